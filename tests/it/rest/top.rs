//! `/v1/top/products` and `/v1/top/pages`, and the same of GraphQL.

use serde_json::{Value, json};

use super::json_of;
use crate::records::put_catalogue;
use crate::support::{Order, TestApp, pageview};

const MARCH: &str =
    r#"range: {between: {from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}}"#;

/// In February one pot; in March three orders with a mug, one of them with a pot, and one spade.
async fn sell(app: &TestApp) {
    put_catalogue(app).await;
    let on = |day: &str, product: &str, user: &str| {
        Order::of(product).by(user).at(format!("{day}T12:00:00Z"))
    };
    app.accept(&[
        on("2026-02-10", "pot", "u1").for_amount("7.00").event(),
        on("2026-03-01", "mug", "u1").with("region", "DE").event(),
        on("2026-03-02", "mug", "u1").with("region", "DE").times(3).for_amount("30.00").event(),
        on("2026-03-03", "mug", "u2").with("region", "FR").and("pot", 2, "15.00").event(),
        on("2026-03-04", "unlisted", "u3").for_amount("5.00").event(),
        on("2026-03-05", "mug", "u4").with("currency", "EUR").event(),
        json!({"type": "refund", "timestamp": "2026-03-06T12:00:00Z", "userId": "u1", "currency": "USD",
               "lines": [{"productId": "mug", "quantity": 1, "amount": "40.00"}]}),
    ])
    .await;
}

#[tokio::test]
async fn the_products_that_sold_best_come_first() {
    let app = TestApp::start().await;
    sell(&app).await;
    let answer = json_of(
        &app,
        "/v1/top/products?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z&limit=2\
         &include=BUYERS&currency=USD&compareTo=2026-02-01T00:00:00Z/2026-03-01T00:00:00Z",
    )
    .await;
    let numbers = |revenue: &str, net: &str, orders: i64, units: i64, buyers: i64| json!({"revenue": revenue, "netRevenue": net, "orders": orders, "units": units, "buyers": buyers});
    let none = numbers("0.00", "0.00", 0, 0, 0);
    let pot = numbers("7.00", "7.00", 1, 1, 1);
    let with = |mut numbers: Value, more: Value| {
        numbers
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        numbers
    };
    assert_eq!(
        answer["rows"],
        json!([
            with(
                numbers("50.00", "10.00", 3, 5, 2),
                json!({
                "rank": 1, "productId": "mug", "title": "Mug", "share": "0.714286", "compared": none})
            ),
            with(
                numbers("15.00", "15.00", 1, 2, 1),
                json!({
                "rank": 2, "productId": "pot", "title": "Pot", "share": "0.214286", "compared": pot})
            ),
        ])
    );
    assert_eq!(
        answer["others"],
        with(numbers("5.00", "5.00", 1, 1, 1), json!({"compared": none}))
    );
    // The order with two products is one.
    assert_eq!(
        answer["total"],
        with(numbers("70.00", "30.00", 4, 8, 3), json!({"compared": pot}))
    );
    assert_eq!(answer["provenance"]["source"], "ROLLUP_AND_RAW");

    let query = format!(
        r#"{{ topProducts({MARCH}, by: NET_REVENUE, limit: 3, filter: {{not: {{dimension: {{dimension: REGION, in: ["FR"]}}}}}}) {{
            currency rows {{ rank productId product {{ title }} netRevenue share compared {{ units }} }}
            others {{ revenue }} total {{ netRevenue buyers }} provenance {{ source }} }} }}"#
    );
    assert_eq!(
        app.data(&query).await["topProducts"],
        json!({
            "currency": "USD",
            "rows": [
                {"rank": 1, "productId": "unlisted", "product": null, "netRevenue": "5.00", "share": "1.000000", "compared": null},
                {"rank": 2, "productId": "mug", "product": {"title": "Mug"}, "netRevenue": "0.00", "share": "0.000000", "compared": null},
            ],
            "others": null,
            // Buyers are of any currency here.
            "total": {"netRevenue": "5.00", "buyers": 3},
            "provenance": {"source": "ROLLUP_AND_RAW"},
        })
    );
}

#[tokio::test]
async fn the_pages_that_were_seen_most_come_first() {
    let app = TestApp::start().await;
    let at = |minute: u32| format!("2026-03-01T12:{minute:02}:00Z");
    let view = |visitor: &str, url: &str, minute: u32| {
        let mut view = pageview(visitor, url, at(minute));
        view["sessionId"] = json!(format!("s{visitor}"));
        view
    };
    app.accept(&[
        view("a", "/mugs", 0),
        view("a", "/", 1),
        view("b", "/", 2),
        view("c", "/", 3),
        view("c", "/", 4),
        view("d", "/pots", 5),
        json!({"type": "click", "timestamp": at(9), "anonymousId": "e", "sessionId": "se"}),
    ])
    .await;
    let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z";
    let path = format!("/v1/top/pages?{range}&limit=1&include=users,sessions,bounce_rate");
    let answer = json_of(&app, &path).await;
    assert_eq!(
        (&answer["rows"], &answer["others"], &answer["total"]),
        (
            &json!([{"rank": 1, "pageUrl": "/", "share": "0.666667", "pageviews": 4, "users": 3,
                     "sessions": 2, "bounceRate": "0.500000"}]),
            &json!({"pageviews": 2, "users": 2, "sessions": 2, "bounceRate": "0.500000"}),
            &json!({"pageviews": 6, "users": 4, "sessions": 4, "bounceRate": "0.500000"}),
        )
    );
    let query = format!(
        "{{ topPages({MARCH}, by: SESSIONS) {{ rows {{ pageUrl sessions pageviews compared {{ pageviews }} }} others {{ pageviews }} }} }}"
    );
    let rows = json!([
        {"pageUrl": "/", "sessions": 2, "pageviews": 4, "compared": null},
        {"pageUrl": "/mugs", "sessions": 1, "pageviews": 1, "compared": null},
        {"pageUrl": "/pots", "sessions": 1, "pageviews": 1, "compared": null},
    ]);
    let data = app.data(&query).await;
    assert_eq!(data["topPages"], json!({"rows": rows, "others": null}));
}

#[tokio::test]
async fn what_no_list_can_be_of_is_refused() {
    let app = TestApp::start().await;
    let range = "last=24h";
    for (path, code) in [
        ("products?".to_owned(), "invalid_parameter"),
        (
            format!("products?{range}&by=PAGEVIEWS"),
            "invalid_parameter",
        ),
        (format!("products?{range}&limit=0"), "invalid_metrics"),
        (format!("products?{range}&limit=1001"), "invalid_metrics"),
        (format!("pages?{range}&currency=USD"), "invalid_parameter"),
        (format!("pages?{range}&include=BUYERS"), "invalid_parameter"),
        (
            format!(
                r#"pages?{range}&filter={{"dimension":{{"dimension":"PRODUCT","in":["mug"]}}}}"#
            ),
            "unsupported_dimension",
        ),
    ] {
        let (_, problem) = app.get(&format!("/v1/top/{path}")).await;
        assert_eq!(problem["code"], code, "{path}: {problem}");
    }
    let refused = format!("{{ topPages({MARCH}, limit: 0) {{ rows {{ rank }} }} }}");
    assert_eq!(app.code(&refused).await, "invalid_metrics");
}
