//! IP addresses: by default their networks are kept and nothing more, wherever an event goes.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::ingest::rows;
use crate::support::{TestApp, answer};

/// Sends an event that is stored, and one that is held, both with addresses.
async fn send(app: &TestApp, n: u32) {
    let track = json!({"messageId": format!("m-{n}"), "userId": "u", "event": "e",
        "timestamp": "2026-03-01T12:00:00Z", "context": {"ip": "203.0.113.177"},
        "properties": {"ip": "203.0.113.177", "proxies": {"x-forwarded-for": "2001:db8:1:2::3"}}});
    let mut held = track.clone();
    held["timestamp"] = "yesterday".into();
    for body in [track, held] {
        let (status, told) = answer(app.request(Method::POST, "/v1/track").json(&body)).await;
        assert!(status.is_success(), "{told}");
    }
}

async fn kept(app: &TestApp) -> (Value, Value) {
    let stored = rows(&app.db, "SELECT data FROM event ORDER BY event_id").await;
    let held = rows(
        &app.db,
        "SELECT payload::jsonb -> 'context' AS context FROM quarantine",
    )
    .await;
    (stored, held)
}

async fn policy(app: &TestApp, word: &str) {
    let put = format!(
        "mutation {{ putPrivacyPolicy(policy: {{ipAddresses: {word}}}) {{ ipAddresses }} }}"
    );
    assert_eq!(
        app.data(&put).await["putPrivacyPolicy"]["ipAddresses"],
        word
    );
    // Rules are remembered for five seconds.
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    app.db.run("DELETE FROM event; ").await;
    app.db.run("DELETE FROM quarantine").await;
}

#[tokio::test]
async fn only_networks_are_kept_unless_a_tenant_says_otherwise() {
    let app = TestApp::start().await;
    let data = |ip: Value, proxy: Value| json!([{"data": {"ip": ip, "proxies": {"x-forwarded-for": proxy}}}]);
    let context = |ip: Value| json!([{"context": {"ip": ip}}]);
    send(&app, 1).await;
    let expected = data("203.0.113.0".into(), "2001:db8:1::".into());
    assert_eq!(kept(&app).await, (expected, context("203.0.113.0".into())));

    policy(&app, "DROPPED").await;
    send(&app, 2).await;
    let expected = data(Value::Null, Value::Null);
    assert_eq!(kept(&app).await, (expected, context(Value::Null)));

    policy(&app, "FULL").await;
    send(&app, 3).await;
    let expected = data("203.0.113.177".into(), "2001:db8:1:2::3".into());
    assert_eq!(
        kept(&app).await,
        (expected, context("203.0.113.177".into()))
    );
}
