//! Single records, lists of them, and what belongs to them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidewater::domain::event::user_id;
use tidewater::domain::tenant::TenantId;
use uuid::Uuid;

use crate::support::{Order, TestApp, pageview};

mod limits;
mod paging;
pub mod tenants;

const TENANT: TenantId = TenantId(1);

/// The values of one field of a list's nodes.
pub fn column(list: &Value, field: &str) -> Vec<Value> {
    let nodes = list["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node[field].clone()).collect()
}

/// A catalogue of a mug and a pot of coffee in the kitchen, and a spade in the garden.
pub async fn put_catalogue(app: &TestApp) {
    let products = r#"mutation { putProducts(products: [
        {productId: "mug", title: "Mug", category: ["Kitchen"], price: "9.90", stock: 4, attributes: {colour: "blue"}},
        {productId: "pot", title: "Pot", category: ["Kitchen", "Coffee"]},
        {productId: "spade", title: "Spade", category: ["Kitchen garden"]}
    ]) { stored } }"#;
    assert_eq!(
        app.data(products).await,
        json!({"putProducts": {"stored": 3}})
    );
}

#[tokio::test]
async fn every_record_is_found_by_its_id_with_all_that_belongs_to_it() {
    let app = TestApp::start().await;
    put_catalogue(&app).await;
    let order = Order::of("mug")
        .with("region", "DE")
        .with("channel", "ads")
        .with("campaign", "spring")
        .with("sessionId", "s1")
        .with("properties", json!({"gift": true}))
        .and("pot", 2, "59.80")
        .event();
    let identify = json!({
        "type": "identify", "timestamp": "2026-03-01T11:00:00Z", "userId": "u1",
        "properties": {"username": "Ada", "email": "ada@example.com"},
    });
    let visit = pageview("v1", "https://shop.example/mug", "2026-03-01T11:59:00.5Z");
    app.accept(&[identify, order.clone(), visit.clone()]).await;

    let id = order["eventId"].as_str().unwrap();
    let user = user_id(TENANT, "u1", false);
    let event = app
        .data(&format!(
            r#"{{ event(id: "{id}") {{
                eventId type timestamp data sessionId region channel campaign userId
                user {{ externalId anonymous username email }}
                pageviews {{ pageUrl }}
                purchases {{ purchaseId productId quantity amount currency category region channel product {{ title }} }}
            }} }}"#
        ))
        .await;
    let purchases = event["event"]["purchases"].as_array().unwrap().clone();
    let line_ids: BTreeSet<&str> = purchases
        .iter()
        .map(|line| line["purchaseId"].as_str().unwrap())
        .collect();
    assert_eq!(line_ids.len(), 2);
    let mut event = event;
    let mut lines = purchases.clone();
    lines.sort_by_key(|line| line["productId"].to_string());
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("purchaseId");
    }
    event["event"]["purchases"] = json!(lines);
    assert_eq!(
        event["event"],
        json!({
            "eventId": id, "type": "purchase", "timestamp": "2026-03-01T12:00:00+00:00",
            "data": {"gift": true}, "sessionId": "s1", "region": "DE", "channel": "ads",
            "campaign": "spring", "userId": user,
            "user": {"externalId": "u1", "anonymous": false, "username": "Ada", "email": "ada@example.com"},
            "pageviews": [],
            "purchases": [
                {"productId": "mug", "quantity": 1, "amount": "10.00", "currency": "USD", "category": "Kitchen", "region": "DE", "channel": "ads", "product": {"title": "Mug"}},
                {"productId": "pot", "quantity": 2, "amount": "59.80", "currency": "USD", "category": "Kitchen > Coffee", "region": "DE", "channel": "ads", "product": {"title": "Pot"}},
            ],
        })
    );

    let line = purchases[0]["purchaseId"].as_str().unwrap();
    let visit_id = visit["eventId"].as_str().unwrap();
    let pages = app
        .data(r"{ pageviews { nodes { pageviewId eventId } } }")
        .await;
    assert_eq!(column(&pages["pageviews"], "eventId"), [json!(visit_id)]);
    let page = &column(&pages["pageviews"], "pageviewId")[0];
    let others = app
        .data(&format!(
            r#"{{
                purchase(id: "{line}") {{ purchaseId eventId event {{ type }} user {{ userId }} }}
                pageview(id: {page}) {{ pageviewId pageUrl timestamp event {{ eventId }} user {{ externalId anonymous }} }}
                user(id: "{user}") {{ externalId events {{ totalCount nodes {{ type }} }} purchases {{ totalCount }} }}
                named: user(externalId: "u1") {{ userId }}
                product(id: "mug") {{ productId title description category price currency stock leadTimeDays attributes }}
            }}"#
        ))
        .await;
    assert_eq!(
        others,
        json!({
            "purchase": {"purchaseId": line, "eventId": id, "event": {"type": "purchase"}, "user": {"userId": user}},
            "pageview": {
                "pageviewId": page, "pageUrl": "https://shop.example/mug",
                "timestamp": "2026-03-01T11:59:00.500+00:00", "event": {"eventId": visit_id},
                "user": {"externalId": "v1", "anonymous": true},
            },
            "user": {
                "externalId": "u1",
                "events": {"totalCount": 2, "nodes": [{"type": "purchase"}, {"type": "identify"}]},
                "purchases": {"totalCount": 2},
            },
            "named": {"userId": user},
            "product": {
                "productId": "mug", "title": "Mug", "description": "", "category": ["Kitchen"],
                "price": "9.90", "currency": "USD", "stock": 4, "leadTimeDays": null,
                "attributes": {"colour": "blue"},
            },
        })
    );
}

#[tokio::test]
async fn an_id_that_nothing_has_gives_null() {
    let app = TestApp::start().await;
    let id = Uuid::new_v4();
    let query = format!(
        r#"{{
            event(id: "{id}") {{ eventId }}
            user(id: "{id}") {{ userId }}
            named: user(externalId: "nobody") {{ userId }}
            pageview(id: "{id}") {{ pageviewId }}
            purchase(id: "{id}") {{ purchaseId }}
            last: purchase(id: "ffffffff-ffff-ffff-ffff-ffffffffffff") {{ purchaseId }}
            first: purchase(id: "00000000-0000-0000-0000-000000000000") {{ purchaseId }}
            product(id: "nothing") {{ productId }}
        }}"#
    );
    assert_eq!(
        app.data(&query).await,
        json!({
            "event": null, "user": null, "named": null, "pageview": null, "purchase": null,
            "last": null, "first": null, "product": null,
        })
    );
    assert_eq!(app.code("{ user { userId } }").await, "invalid_filter");
}

#[tokio::test]
async fn a_filter_narrows_a_list_to_what_it_names() {
    let app = TestApp::start().await;
    put_catalogue(&app).await;
    let at = |minute: u32| format!("2026-03-01T12:{minute:02}:00Z");
    app.accept(&[
        Order::of("mug").at(at(1)).with("region", "DE").event(),
        Order::of("pot").at(at(2)).by("u2").event(),
        Order::of("spade").at(at(3)).with("region", "FR").event(),
        Order::of("unlisted").at(at(4)).event(),
        pageview("v1", "/mug", at(5)),
        json!({"type": "add_to_cart", "timestamp": at(6), "userId": "u2", "region": "DE"}),
    ])
    .await;
    let (u1, u2) = (user_id(TENANT, "u1", false), user_id(TENANT, "u2", false));
    let range = |from, to| format!(r#"range: {{from: "{}", to: "{}"}}"#, at(from), at(to));

    for (filter, expected) in [
        (
            format!(r#"userId: "{u1}""#),
            vec!["unlisted", "spade", "mug"],
        ),
        (format!(r#"userId: "{u2}""#), vec!["pot"]),
        (r#"productId: "pot""#.to_owned(), vec!["pot"]),
        // What lies below `Kitchen`, but not what merely begins like it.
        (r#"category: "Kitchen""#.to_owned(), vec!["pot", "mug"]),
        (r#"category: "Kitchen > Coffee""#.to_owned(), vec!["pot"]),
        (r#"category: "Kitch%""#.to_owned(), vec![]),
        (r#"region: "DE""#.to_owned(), vec!["mug"]),
        (range(2, 4), vec!["spade", "pot"]),
        (format!(r#"{}, region: "FR""#, range(2, 4)), vec!["spade"]),
    ] {
        let query =
            format!("{{ purchases(filter: {{{filter}}}) {{ totalCount nodes {{ productId }} }} }}");
        let list = &app.data(&query).await["purchases"];
        assert_eq!(column(list, "productId"), expected, "{filter}");
        assert_eq!(list["totalCount"], expected.len(), "{filter}");
    }
    for (filter, expected) in [
        (
            r#"types: ["pageview", "add_to_cart"]"#.to_owned(),
            vec!["add_to_cart", "pageview"],
        ),
        (r"types: []".to_owned(), vec![]),
        (
            format!(r#"userId: "{u2}""#),
            vec!["add_to_cart", "purchase"],
        ),
        (
            r#"region: "DE""#.to_owned(),
            vec!["add_to_cart", "purchase"],
        ),
        (range(5, 6), vec!["pageview"]),
    ] {
        let query = format!("{{ events(filter: {{{filter}}}) {{ nodes {{ type }} }} }}");
        let list = &app.data(&query).await["events"];
        assert_eq!(column(list, "type"), expected, "{filter}");
    }
    let v1 = user_id(TENANT, "v1", true);
    let query = format!(
        r#"{{
            pageviews(filter: {{userId: "{v1}", {}}}) {{ nodes {{ pageUrl }} }}
            none: pageviews(filter: {{region: "DE"}}) {{ nodes {{ pageUrl }} }}
            products(filter: {{category: "Kitchen"}}) {{ totalCount nodes {{ productId }} }}
        }}"#,
        range(5, 6)
    );
    assert_eq!(
        app.data(&query).await,
        json!({
            "pageviews": {"nodes": [{"pageUrl": "/mug"}]},
            "none": {"nodes": []},
            "products": {"totalCount": 2, "nodes": [{"productId": "mug"}, {"productId": "pot"}]},
        })
    );
}
