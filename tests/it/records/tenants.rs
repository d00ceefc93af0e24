//! Who may see what.

use serde_json::json;
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;

use crate::records::put_catalogue;
use crate::support::{Order, TestApp, pageview};

/// A key of this tenant, who is made if there is none of the name.
pub async fn key(app: &TestApp, tenant: &str, scope: Scope) -> String {
    key_with(app, tenant, &[scope]).await
}

/// One that may read, and export.
pub async fn reader(app: &TestApp, tenant: &str) -> String {
    key_with(app, tenant, &[Scope::Read, Scope::Export]).await
}

async fn key_with(app: &TestApp, tenant: &str, scopes: &[Scope]) -> String {
    let db = Db::open(&app.db.url(), |_| {}).await.unwrap();
    let tenant = keys::ensure_tenant(&db, tenant).await.unwrap();
    let now = Clock::System.now();
    let tenant = TenantId(tenant.tenant_id);
    let key = keys::create(&db, tenant, "test", scopes, now)
        .await
        .unwrap();
    db.close().await;
    key
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another_by_id_list_or_sum() {
    let app = TestApp::start().await;
    put_catalogue(&app).await;
    let order = Order::of("mug").event();
    let visit = pageview("v1", "/", "2026-03-01T12:00:00Z");
    app.accept(&[order.clone(), visit]).await;
    let ids = app
        .data("{ purchases { nodes { purchaseId userId } edges { cursor } } pageviews { nodes { pageviewId } } }")
        .await;
    let query = format!(
        r#"{{
            event(id: {}) {{ eventId }}
            purchase(id: {}) {{ purchaseId }}
            pageview(id: {}) {{ pageviewId }}
            user(id: {}) {{ userId }}
            named: user(externalId: "u1") {{ userId }}
            product(id: "mug") {{ productId }}
            events {{ totalCount nodes {{ eventId }} }}
            users {{ totalCount nodes {{ userId }} }}
            pageviews {{ totalCount nodes {{ pageviewId }} }}
            purchases {{ totalCount nodes {{ purchaseId }} }}
            products {{ totalCount nodes {{ productId }} }}
            sales(range: {{from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}}) {{ totals {{ orders revenue buyers }} }}
            traffic(range: {{from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}}) {{ totals {{ events users }} }}
        }}"#,
        order["eventId"],
        ids["purchases"]["nodes"][0]["purchaseId"],
        ids["pageviews"]["nodes"][0]["pageviewId"],
        ids["purchases"]["nodes"][0]["userId"],
    );
    let nothing = json!({"totalCount": 0, "nodes": []});
    let other = key(&app, "another shop", Scope::Admin).await;
    assert_eq!(
        app.ask_as(&other, &query).await["data"],
        json!({
            "event": null, "purchase": null, "pageview": null, "user": null, "named": null,
            "product": null, "events": nothing, "users": nothing, "pageviews": nothing,
            "purchases": nothing, "products": nothing,
            "sales": {"totals": {"orders": 0, "revenue": "0.00", "buyers": 0}},
            "traffic": {"totals": {"events": 0, "users": 0}},
        })
    );
    // The same question by the owner finds everything.
    let own = app.data(&query).await;
    assert!(
        own.as_object()
            .unwrap()
            .values()
            .all(|value| !value.is_null()),
        "{own}"
    );
}

#[tokio::test]
async fn what_belongs_to_a_record_is_the_tenants_own_even_where_ids_are_the_same() {
    let app = TestApp::start().await;
    put_catalogue(&app).await;
    let order = Order::of("mug").event();
    app.accept(std::slice::from_ref(&order)).await;
    // The other shop uses the same event id, the same time and the same product id.
    let other = key(&app, "another shop", Scope::Admin).await;
    let copy = Order::of("mug")
        .by("someone")
        .with("eventId", order["eventId"].clone())
        .for_amount("77.00");
    let request = app
        .anonymous(reqwest::Method::POST, "/v1/batch")
        .bearer_auth(&other);
    let sent = request.json(&json!([copy.event()])).send().await.unwrap();
    assert_eq!(
        sent.json::<serde_json::Value>().await.unwrap()["accepted"],
        1
    );

    let query = "{ purchases { nodes { amount product { title } user { externalId } event { eventId purchases { amount } } } } }";
    let purchases = |amount: &str, product, user: &str| {
        json!({"purchases": {"nodes": [{
            "amount": amount, "product": product, "user": {"externalId": user},
            "event": {"eventId": order["eventId"], "purchases": [{"amount": amount}]},
        }]}})
    };
    assert_eq!(
        app.ask_as(&other, query).await["data"],
        purchases("77.00", json!(null), "someone")
    );
    assert_eq!(
        app.ask(query).await["data"],
        purchases("10.00", json!({"title": "Mug"}), "u1")
    );
}

#[tokio::test]
async fn a_key_does_what_its_scopes_allow_and_no_more() {
    let app = TestApp::start().await;
    let ingest = key(&app, "default", Scope::Ingest).await;
    let read = key(&app, "default", Scope::Read).await;
    let put =
        r#"mutation { putProducts(products: [{productId: "mug", title: "Mug"}]) { stored } }"#;
    let forbidden = json!("forbidden");
    let code = |answer: serde_json::Value| answer["errors"][0]["extensions"]["code"].clone();

    for query in [
        "{ events { totalCount } }",
        "{ users { totalCount } }",
        r#"{ product(id: "mug") { title } }"#,
        r#"{ sales(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}) { currency } }"#,
        r#"{ traffic(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}) { timezone } }"#,
    ] {
        assert_eq!(code(app.ask_as(&ingest, query).await), forbidden, "{query}");
        assert_eq!(code(app.ask_as(&read, query).await), json!(null), "{query}");
    }
    assert_eq!(code(app.ask_as(&ingest, put).await), json!(null));
    assert_eq!(code(app.ask_as(&read, put).await), forbidden);
    assert_eq!(
        code(app.ask_as("tw_no_such_key", "{ __typename }").await),
        json!("unknown_key")
    );
}
