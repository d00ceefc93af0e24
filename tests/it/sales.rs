//! What was sold and what happened, over time and by group.

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use serde_json::{Value, json};
use tidewater::clock::Clock;

use crate::support::{Order, TestApp, pageview};

mod bots;
mod buckets;
pub mod naive;
mod plans;
mod random;
mod refunds;
mod refusals;
mod restatements;

/// A server in January 2027: whatever these tests send lies behind it.
pub async fn later() -> TestApp {
    TestApp::with_clock(Clock::manual("2027-01-01T00:00:00Z".parse().unwrap())).await
}

/// Puts products with their categories.
pub async fn put(app: &TestApp, products: &[(&str, &[&str])]) {
    let product = |(id, category): &(&str, &[&str])| json!({"productId": id, "title": id, "category": category});
    let products: Vec<Value> = products.iter().map(product).collect();
    let query =
        "mutation($products: [ProductInput!]!) { putProducts(products: $products) { stored } }";
    let answer = app.ask_with(query, json!({"products": products})).await;
    assert_eq!(
        answer["data"]["putProducts"]["stored"],
        products.len(),
        "{answer}"
    );
}

/// `sales` of March 2026.
async fn march(app: &TestApp, arguments: &str, fields: &str) -> Value {
    let range = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}"#;
    app.data(&format!("{{ sales({range} {arguments}) {{ {fields} }} }}"))
        .await["sales"]
        .take()
}

#[tokio::test]
async fn an_order_of_several_products_is_one_order_in_total_and_one_of_each_product() {
    let app = later().await;
    put(
        &app,
        &[
            ("mug", &["Kitchen"]),
            ("pot", &["Kitchen"]),
            ("spade", &["Garden"]),
        ],
    )
    .await;
    let order = Order::of("mug")
        .times(3)
        .for_amount("30.00")
        .and("pot", 1, "20.00")
        .and("spade", 2, "7.50");
    // A product may be named by several lines.
    app.accept(&[
        order.and("mug", 1, "10.00").event(),
        Order::of("mug").by("u2").event(),
    ])
    .await;
    let measures = "revenue orders units averageOrderValue buyers";
    let fields = |key: &str| format!("buckets {{ {key} {measures} }} totals {{ {measures} }}");
    let totals = json!({"revenue": "77.50", "orders": 2, "units": 8, "averageOrderValue": "38.75", "buyers": 2});

    assert_eq!(
        march(&app, "groupBy: [PRODUCT]", &fields("productId")).await,
        json!({"totals": totals, "buckets": [
            {"productId": "mug", "revenue": "50.00", "orders": 2, "units": 5, "averageOrderValue": "25.00", "buyers": 2},
            {"productId": "pot", "revenue": "20.00", "orders": 1, "units": 1, "averageOrderValue": "20.00", "buyers": 1},
            {"productId": "spade", "revenue": "7.50", "orders": 1, "units": 2, "averageOrderValue": "7.50", "buyers": 1},
        ]})
    );
    assert_eq!(
        march(&app, "groupBy: [CATEGORY]", &fields("category")).await,
        json!({"totals": totals, "buckets": [
            {"category": "Garden", "revenue": "7.50", "orders": 1, "units": 2, "averageOrderValue": "7.50", "buyers": 1},
            {"category": "Kitchen", "revenue": "70.00", "orders": 2, "units": 6, "averageOrderValue": "35.00", "buyers": 2},
        ]})
    );
    assert_eq!(
        march(&app, "", &fields("")).await,
        json!({"totals": totals, "buckets": [totals]})
    );
}

#[tokio::test]
async fn each_currency_is_asked_for_alone_and_the_others_are_named() {
    let app = later().await;
    app.accept(&[
        Order::of("mug").event(),
        Order::of("mug")
            .with("currency", "EUR")
            .for_amount("20.05")
            .event(),
        Order::of("mug")
            .with("currency", "JPY")
            .for_amount("1500")
            .event(),
        Order::of("mug")
            .with("currency", "KWD")
            .for_amount("1.005")
            .event(),
        Order::of("mug")
            .with("currency", "KWD")
            .for_amount("2")
            .event(),
        // Outside the range.
        Order::of("mug")
            .with("currency", "CHF")
            .at("2026-04-01T00:00:00Z")
            .event(),
    ])
    .await;
    let fields = "currency otherCurrencies totals { revenue orders averageOrderValue }";
    for (argument, expected) in [
        (
            "",
            json!({"currency": "USD", "otherCurrencies": ["EUR", "JPY", "KWD"], "totals": {"revenue": "10.00", "orders": 1, "averageOrderValue": "10.00"}}),
        ),
        (
            r#"currency: "JPY""#,
            json!({"currency": "JPY", "otherCurrencies": ["EUR", "KWD", "USD"], "totals": {"revenue": "1500", "orders": 1, "averageOrderValue": "1500"}}),
        ),
        // 1.5025 is rounded half up.
        (
            r#"currency: "KWD""#,
            json!({"currency": "KWD", "otherCurrencies": ["EUR", "JPY", "USD"], "totals": {"revenue": "3.005", "orders": 2, "averageOrderValue": "1.503"}}),
        ),
        (
            r#"currency: "CHF""#,
            json!({"currency": "CHF", "otherCurrencies": ["EUR", "JPY", "KWD", "USD"], "totals": {"revenue": "0.00", "orders": 0, "averageOrderValue": null}}),
        ),
    ] {
        assert_eq!(march(&app, argument, fields).await, expected);
        assert_eq!(
            march(
                &app,
                &format!("{argument} groupBy: [PRODUCT, REGION]"),
                fields
            )
            .await,
            expected
        );
    }
}

#[tokio::test]
async fn a_sale_stays_in_the_category_it_was_made_in() {
    let app = later().await;
    let fields = "buckets { category orders }";
    let order = || Order::of("mug").event();
    app.accept(&[order()]).await;
    put(&app, &[("mug", &["Kitchen"])]).await;
    app.accept(&[order(), order()]).await;
    put(&app, &[("mug", &["Gifts", "Mugs"])]).await;
    assert_eq!(
        march(&app, "groupBy: [CATEGORY]", fields).await,
        json!({"buckets": [{"category": "", "orders": 1}, {"category": "Kitchen", "orders": 2}]})
    );
    app.accept(&[order()]).await;
    assert_eq!(
        march(&app, "groupBy: [CATEGORY]", fields).await,
        json!({"buckets": [
            {"category": "", "orders": 1}, {"category": "Gifts > Mugs", "orders": 1}, {"category": "Kitchen", "orders": 2},
        ]})
    );
}

#[tokio::test]
async fn an_event_that_comes_late_is_counted_when_it_happened_and_named_as_late() {
    let now: DateTime<Utc> = "2026-03-05T12:00:00Z".parse().unwrap();
    let app = TestApp::with_clock(Clock::manual(now)).await;
    app.accept(&[
        Order::of("mug").at("2026-03-01T12:00:00Z").event(),
        Order::of("mug").at("2026-03-05T11:54:59Z").event(),
        // Five minutes are not late yet.
        Order::of("mug").at("2026-03-05T11:55:00Z").event(),
        Order::of("mug").at("2026-03-05T12:00:00Z").event(),
        pageview("v1", "/", "2026-03-02T00:00:00Z"),
    ])
    .await;
    let range = |from: &str, to: &str| {
        format!(
            r#"range: {{from: "2026-03-{from}T00:00:00Z", to: "2026-03-{to}T00:00:00Z"}}, granularity: DAY"#
        )
    };
    let provenance = "provenance { asOf lateEvents source approximate }";
    let query = format!(
        "{{ sales({}) {{ buckets {{ orders }} {provenance} }} none: sales({}) {{ buckets {{ orders }} {provenance} }} traffic({}) {{ buckets {{ events }} {provenance} }} }}",
        range("01", "06"),
        range("03", "05"),
        range("01", "06"),
    );
    let provenance = |late| json!({"asOf": "2026-03-05T12:00:00+00:00", "lateEvents": late, "source": "ROLLUP", "approximate": false});
    let buckets =
        |name: &str, counts: &[u8]| counts.iter().map(|n| json!({name: n})).collect::<Vec<_>>();
    assert_eq!(
        app.data(&query).await,
        json!({
            "sales": {"buckets": buckets("orders", &[1, 0, 0, 0, 3]), "provenance": provenance(2)},
            "none": {"buckets": buckets("orders", &[0, 0]), "provenance": provenance(0)},
            "traffic": {"buckets": buckets("events", &[1, 1, 0, 0, 3]), "provenance": provenance(3)},
        })
    );
}

#[tokio::test]
async fn sums_that_no_bigint_holds_are_told_exactly() {
    let app = TestApp::start().await;
    // 500 lines of the largest amount are 5 * 10^14 minor units; a bigint holds 18,446 of them.
    let order = |n: i64| {
        let at = DateTime::from_timestamp(1_770_000_000 + 60 * n, 0).unwrap();
        let mut order = Order::of("gold")
            .at(at.to_rfc3339())
            .for_amount("10000000000.00");
        for _ in 1..500 {
            order = order.and("gold", 1, "10000000000.00");
        }
        order.event()
    };
    app.accept(&[order(0)]).await;
    // As many more as it takes, straight into the rollup: 20,000 minutes of one order each. It is
    // read where a range does not begin with a quarter of an hour.
    let mut connection = app.db.connect().await;
    sqlx::query(
        "INSERT INTO sales_minute
         SELECT 1, 0, to_timestamp(1770000060) + n * interval '1 minute', 'USD', '', '', '', '',
                1, 500, 500000000000000
         FROM generate_series(0, 19998) AS n ON CONFLICT DO NOTHING",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let data = app
        .data(r#"{ sales(range: {from: "2026-02-01T00:01:00Z", to: "2026-02-20T00:00:00Z"}) { totals { revenue orders } } }"#)
        .await;
    assert_eq!(
        data["sales"]["totals"],
        json!({"revenue": "100000000000000000.00", "orders": 20_000})
    );
}
