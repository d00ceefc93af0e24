//! The socket that subscriptions come through: graphql-transport-ws.

use serde_json::json;
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;

use crate::support::{KEY, Order, Process, Subscription, TestApp, TestDb};

#[tokio::test]
async fn a_wrong_key_or_none_closes_the_socket() {
    let app = TestApp::start().await;
    for payload in [
        json!({"authorization": "Bearer wrong"}),
        json!({"authorization": KEY}),
        json!({}),
    ] {
        let mut socket = Subscription::connect(&app.url).await;
        socket
            .say(json!({"type": "connection_init", "payload": payload}))
            .await;
        assert_eq!(socket.hear().await, Err(4403), "{payload}");
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_sent_away() {
    let app = TestApp::start().await;
    let mut socket = Subscription::connect(&app.url).await;
    assert_eq!(socket.hear().await, Err(4408));
}

#[tokio::test]
async fn a_question_can_be_asked_over_the_socket() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let mut socket = app
        .subscribe("{ purchases { nodes { productId user { externalId } } } }")
        .await;
    let nodes = json!([{"productId": "mug", "user": {"externalId": "u1"}}]);
    assert_eq!(socket.next().await, json!({"purchases": {"nodes": nodes}}));
    assert_eq!(
        socket.hear().await,
        Ok(json!({"id": "1", "type": "complete"}))
    );
}

#[tokio::test]
async fn a_refused_question_over_the_socket_has_its_code() {
    let app = TestApp::start().await;
    for (query, code) in [
        ("{ events(first: 0) { totalCount } }", "invalid_page"),
        ("{ nothing }", "invalid_query"),
        (
            "{ users(first: 100) { nodes { events(first: 100) { nodes { eventId } } } } }",
            "query_too_complex",
        ),
        (
            "subscription { liveSales(window: A_YEAR) { orders } }",
            "invalid_query",
        ),
    ] {
        let mut socket = app.subscribe(query).await;
        let message = socket.hear().await.unwrap();
        let errors = match message["type"].as_str() {
            Some("error") => &message["payload"],
            _ => &message["payload"]["errors"],
        };
        assert_eq!(errors[0]["extensions"]["code"], code, "{message}");
    }
}

#[tokio::test]
async fn a_ping_is_answered() {
    let app = TestApp::start().await;
    let mut socket = Subscription::connect(&app.url).await;
    let payload = json!({"authorization": format!("Bearer {KEY}")});
    socket
        .say(json!({"type": "connection_init", "payload": payload}))
        .await;
    assert_eq!(socket.hear().await, Ok(json!({"type": "connection_ack"})));
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, Ok(json!({"type": "pong"})));
}

#[tokio::test]
async fn a_revoked_key_ends_its_subscriptions() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let now = Clock::System.now();
    let tenant = keys::ensure_tenant(&db, keys::DEFAULT_TENANT)
        .await
        .unwrap();
    let tenant = TenantId(tenant.tenant_id);
    let key = keys::create(&db, tenant, "dashboard", &[Scope::Read], now)
        .await
        .unwrap();
    let query = "subscription { liveSales(window: ONE_HOUR) { orders } }";
    let mut dashboard = Subscription::begin(&app.url, &key, query).await;
    dashboard.next().await;

    let listed = keys::list(&db, tenant).await.unwrap();
    let id = listed
        .iter()
        .find(|key| key.label == "dashboard")
        .unwrap()
        .api_key_id;
    assert!(keys::revoke(&db, id, now).await.unwrap());
    assert_eq!(dashboard.hear().await, Err(4403));
}

#[tokio::test]
async fn whoever_talks_but_names_no_key_is_sent_away() {
    let app = TestApp::start().await;
    let mut socket = Subscription::connect(&app.url).await;
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "pong");
    assert_eq!(socket.hear().await, Err(4408));
}

#[tokio::test]
async fn a_server_that_stops_tells_its_subscribers_to_come_back() {
    let db = TestDb::migrated().await;
    let server = Process::serve(&[("DATABASE_URL", &db.url())]).await;
    let query = "subscription { liveSales(window: ONE_HOUR) { orders } }";
    let mut dashboard = Subscription::begin(&server.url, KEY, query).await;
    dashboard.next().await;
    let (ended_well, heard) = tokio::join!(server.terminate(), dashboard.hear());
    assert_eq!((ended_well, heard), (true, Err(1012)));
}
