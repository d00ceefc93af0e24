//! The Segment tracking API and PostHog's: what their SDKs send is stored as it is meant.
//!
//! The fixtures are what the SDKs of npm sent, byte for byte but for the key:
//! `@segment/analytics-node` 3.1.0, `@rudderstack/rudder-sdk-node` 3.0.13, `posthog-node` 5.70.0.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{rows, statuses};
use crate::support::{KEY, TestApp, answer, assert_consistent};

const SEGMENT: &str = include_str!("fixtures/segment_node.json");
const RUDDERSTACK: [&str; 2] = [
    include_str!("fixtures/rudderstack_node_first.json"),
    include_str!("fixtures/rudderstack_node.json"),
];
const POSTHOG: &str = include_str!("fixtures/posthog_node.json");

/// Sends a fixture the way its SDK does.
async fn send(app: &TestApp, path: &str, kind: &str, body: &str) -> Value {
    let body = body.replace("{KEY}", KEY);
    let request = app
        .anonymous(Method::POST, path)
        .header("content-type", kind);
    let request = if path == "/v1/batch" {
        request.basic_auth(KEY, Some(""))
    } else {
        request
    };
    let (status, answer) = answer(request.body(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn events(app: &TestApp) -> Value {
    let query = "SELECT event_type, external_id, page_url, channel FROM event \
         JOIN \"user\" USING (tenant_id, user_id)";
    rows(&app.db, query).await
}

#[tokio::test]
async fn what_segments_sdk_sends_is_stored_and_a_retry_changes_nothing() {
    let app = TestApp::start().await;
    let answer = send(&app, "/v1/batch", "application/json", SEGMENT).await;
    assert_eq!(
        (&answer["accepted"], &answer["quarantined"]),
        (&json!(9), &json!(1))
    );
    let receipt = &answer["receipts"][9];
    assert_eq!(
        (&receipt["code"], &receipt["path"]),
        (&json!("missing_field"), &json!("properties.products"))
    );
    assert!(
        receipt["messageId"]
            .as_str()
            .unwrap()
            .starts_with("node-next-")
    );
    let stored = events(&app).await;
    let types: Vec<&str> = stored
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "add_to_cart",
            "alias",
            "group",
            "identify",
            "pageview",
            "product_viewed",
            "purchase",
            "refund",
            "screen",
        ]
    );
    let purchases = "SELECT product_id, quantity, amount, currency, order_id FROM purchase";
    assert_eq!(
        rows(&app.db, purchases).await,
        json!([
            {"product_id": "mug", "quantity": 2, "amount": 2990, "currency": "USD", "order_id": "o-1"},
            {"product_id": "tea", "quantity": 1, "amount": 410, "currency": "USD", "order_id": "o-1"},
        ])
    );
    let refunds = "SELECT product_id, quantity, amount FROM refund";
    assert_eq!(
        rows(&app.db, refunds).await,
        json!([{"product_id": "", "quantity": 0, "amount": 1495}])
    );
    // Sent again later: only the time of sending differs.
    let again = SEGMENT.replace("\"sentAt\":\"2026", "\"sentAt\":\"2027");
    let answer = send(&app, "/v1/batch", "application/json", &again).await;
    assert_eq!(answer["duplicates"], 9);
    assert_eq!(events(&app).await, stored);
    let held = "SELECT protocol, event_type, code, path, state FROM quarantine";
    assert_eq!(
        rows(&app.db, held).await,
        json!([{"protocol": "segment", "event_type": "purchase", "code": "missing_field",
                "path": "properties.products", "state": "held"}])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_rudderstacks_sdk_sends_is_stored() {
    let app = TestApp::start().await;
    for body in RUDDERSTACK {
        let kind = "application/x-www-form-urlencoded";
        let answer = send(&app, "/v1/batch", kind, body).await;
        assert!(statuses(&answer).iter().all(|status| *status == "accepted"));
    }
    let known = "SELECT external_id, username, email FROM \"user\"";
    assert_eq!(
        rows(&app.db, known).await,
        json!([
            {"external_id": "rud-1", "username": "rudi", "email": "r@shop.example"},
            {"external_id": "rud-anon", "username": null, "email": null},
            {"external_id": "rud-old", "username": null, "email": null},
        ])
    );
    let amounts = rows(&app.db, "SELECT amount, currency FROM purchase").await;
    assert_eq!(
        amounts,
        json!([{"amount": 2990, "currency": "EUR"}, {"amount": 410, "currency": "EUR"}])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_posthogs_sdk_sends_is_stored_with_the_key_of_the_body() {
    let app = TestApp::start().await;
    let answer = send(&app, "/batch/", "application/json", POSTHOG).await;
    assert_eq!(answer["accepted"], 6, "{answer}");
    let users = "SELECT external_id, anonymous, email FROM \"user\" WHERE external_id LIKE 'ph-%'";
    assert_eq!(
        rows(&app.db, users).await,
        json!([
            {"external_id": "ph-1", "anonymous": false, "email": "p@shop.example"},
            {"external_id": "ph-anon", "anonymous": true, "email": null},
            {"external_id": "ph-old", "anonymous": true, "email": null},
        ])
    );
    let again = send(&app, "/batch/", "application/json", POSTHOG).await;
    assert_eq!(again["duplicates"], 6);
    let unknown = app
        .anonymous(Method::POST, "/batch/")
        .json(&json!({"api_key": "nobody's", "batch": []}));
    let (status, problem) = crate::support::answer(unknown).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (401, &json!("unknown_key"))
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn each_address_of_the_tracking_api_takes_its_message() {
    let app = TestApp::start().await;
    let common = json!({"userId": "u", "timestamp": "2026-03-01T12:00:00Z", "writeKey": KEY});
    for (kind, more, event_type) in [
        (
            "track",
            json!({"event": "Product Clicked"}),
            "product_clicked",
        ),
        (
            "identify",
            json!({"anonymousId": "a", "traits": {"username": "n"}}),
            "identify",
        ),
        (
            "page",
            json!({"context": {"page": {"url": "https://shop.example/"}}}),
            "pageview",
        ),
        ("screen", json!({"name": "Home"}), "screen"),
        ("group", json!({"groupId": "g"}), "group"),
        ("alias", json!({"previousId": "p"}), "alias"),
    ] {
        let mut message = common.clone();
        message
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        // The key is in the body, as pages send it that set no header.
        let request = app
            .anonymous(Method::POST, &format!("/v1/{kind}"))
            .header("content-type", "text/plain")
            .body(message.to_string());
        let (status, answer) = answer(request).await;
        assert_eq!(
            (status.as_u16(), &answer["accepted"]),
            (200, &json!(1)),
            "{answer}"
        );
        let stored = format!("SELECT 1 AS one FROM event WHERE event_type = '{event_type}'");
        assert_eq!(rows(&app.db, &stored).await, json!([{"one": 1}]), "{kind}");
    }
    let keyless = json!({"event": "x", "userId": "u"});
    let request = app.anonymous(Method::POST, "/v1/track").json(&keyless);
    assert_eq!(answer(request).await.1["code"], "missing_key");
    let spoilt = app.anonymous(Method::POST, "/v1/track").body("{");
    assert_eq!(answer(spoilt).await.1["code"], "missing_key");
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_summary_lists_what_was_not_stored_and_no_other_parameter_is_known() {
    let app = TestApp::start().await;
    let good = json!({"type": "track", "event": "x", "userId": "u", "messageId": "m-1"});
    let bad = json!({"type": "track", "userId": "u", "messageId": "m-2"});
    let request = app.request(Method::POST, "/v1/batch?receipts=summary");
    let (_, told) = answer(request.json(&json!([good, bad]))).await;
    assert_eq!(
        (&told["accepted"], &told["quarantined"]),
        (&json!(1), &json!(1))
    );
    let receipts = told["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        (
            &receipts[0]["position"],
            &receipts[0]["messageId"],
            &receipts[0]["path"]
        ),
        (&json!(1), &json!("m-2"), &json!("event"))
    );
    for query in ["receipts=some", "receipt=all", "receipts=all&x=1"] {
        let request = app.request(Method::POST, &format!("/v1/batch?{query}"));
        let (status, problem) = answer(request.json(&json!([]))).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &json!("invalid_parameter")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_key_that_a_library_puts_into_an_event_is_not_kept() {
    let app = TestApp::start().await;
    let made = "tw_live_0123456789abcdefghijABCDEFGHIJ012345";
    let good = json!({"type": "track", "event": "Product Clicked", "userId": "u", "writeKey": KEY,
        "timestamp": "2026-03-01T12:00:00Z", "properties": {"token": made}});
    // Of no time: it is held back.
    let bad = json!({"type": "track", "event": "Product Clicked", "userId": "u", "writeKey": KEY,
        "timestamp": "?", "properties": {"token": made}});
    for message in [good, bad] {
        let request = app.anonymous(Method::POST, "/v1/track");
        let request = request.header("content-type", "text/plain");
        let (status, answer) = answer(request.body(message.to_string())).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let kept = "SELECT count(*) FROM event, quarantine
                WHERE data->>'token' = 'tw_live_***' AND quarantine.payload LIKE '%tw_live_***%'";
    assert_eq!(app.db.number(kept).await, 1);
    let keys = format!(
        "SELECT count(*) FROM event, quarantine
         WHERE concat(data, payload) LIKE '%{KEY}%' OR concat(data, payload) LIKE '%{made}%'"
    );
    assert_eq!(app.db.number(&keys).await, 0);
}
