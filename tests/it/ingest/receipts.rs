//! What is accepted, and what the database holds then.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::access::Scope;
use uuid::Uuid;

use super::{click, key, rows, statuses};
use crate::support::{KEY, Order, TestApp, answer, assert_consistent};

const CLICK: Uuid = Uuid::from_u128(1);
const VIEW: Uuid = Uuid::from_u128(2);
const ORDER: Uuid = Uuid::from_u128(3);

/// A click, a pageview and an order of two lines.
fn one_of_each() -> Value {
    json!([
        {
            "eventId": CLICK, "type": "click", "timestamp": "2026-03-01T13:00:00+01:00",
            "userId": "u1", "sessionId": "s1", "region": "DE", "channel": "ads",
            "campaign": "spring", "properties": {"button": "buy", "n": [1, null, {"a": 1.5}]},
        },
        {
            "eventId": VIEW, "type": "page_view", "timestamp": "2026-03-01T12:00:01.123456789Z",
            "anonymousId": "u1", "region": "DE", "url": "https://shop.example/mugs?q=%20",
        },
        Order::of("mug").times(2).for_amount("29.9").and("tea", 1, "0")
            .at("2026-03-01T12:00:02Z").with("eventId", ORDER.to_string()).with("channel", "email")
            .event(),
    ])
}

/// The bytes as gzip packs them.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = gzip.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

#[tokio::test]
async fn a_batch_gets_its_receipts_in_order_in_either_shape_plain_or_packed() {
    let bodies = [
        (one_of_each(), false),
        (json!({"batch": one_of_each()}), false),
        (one_of_each(), true),
        (json!({"batch": one_of_each()}), true),
    ];
    for (body, packed) in bodies {
        let app = TestApp::start().await;
        let request = app.request(Method::POST, "/v1/batch");
        let request = if packed {
            request
                .header("content-type", "application/json; charset=utf-8")
                .header("content-encoding", "gzip")
                .body(gzip(body.to_string().as_bytes()))
        } else {
            request.json(&body)
        };
        let (status, mut answer) = answer(request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let batch_id = answer["batchId"].take();
        assert!(batch_id.as_str().unwrap().parse::<Uuid>().is_ok());
        assert_eq!(
            answer,
            json!({
                "batchId": null, "durability": "committed", "accepted": 3, "duplicates": 0, "conflicts": 0, "quarantined": 0, "rejected": 0,
                "outsideIdempotencyWindow": 3,
                "receipts": [
                    {"eventId": CLICK, "status": "accepted", "outsideIdempotencyWindow": true},
                    {"eventId": VIEW, "status": "accepted", "outsideIdempotencyWindow": true},
                    {"eventId": ORDER, "status": "accepted", "outsideIdempotencyWindow": true},
                ],
            })
        );
        assert_consistent(&app.db).await;
    }
}

#[tokio::test]
async fn events_users_pages_and_orders_are_stored_as_they_were_sent() {
    let app = TestApp::start().await;
    app.accept(one_of_each().as_array().unwrap()).await;
    let stored = rows(
        &app.db,
        r#"SELECT event_id, tenant_id, timestamp AT TIME ZONE 'UTC' AS at, event_type, external_id,
                  anonymous, session_id, region, channel, campaign, data,
                  received_at > now() - interval '1 minute' AS just_now
           FROM event JOIN "user" USING (tenant_id, user_id)"#,
    );
    assert_eq!(
        stored.await,
        json!([
            {
                "event_id": CLICK, "tenant_id": 1, "at": "2026-03-01T12:00:00",
                "event_type": "click", "external_id": "u1", "anonymous": false, "session_id": "s1",
                "region": "DE", "channel": "ads", "campaign": "spring",
                "data": {"button": "buy", "n": [1, null, {"a": 1.5}]}, "just_now": true,
            },
            {
                "event_id": VIEW, "tenant_id": 1, "at": "2026-03-01T12:00:01.123456",
                "event_type": "pageview", "external_id": "u1", "anonymous": true,
                "session_id": null, "region": "DE", "channel": null, "campaign": null, "data": {},
                "just_now": true,
            },
            {
                "event_id": ORDER, "tenant_id": 1, "at": "2026-03-01T12:00:02",
                "event_type": "purchase", "external_id": "u1", "anonymous": false,
                "session_id": null, "region": null, "channel": "email", "campaign": null,
                "data": {}, "just_now": true,
            },
        ])
    );
    // That they belong to each other is what `assert_consistent` looks at.
    assert_eq!(
        rows(&app.db, "SELECT event_id, page_url, region FROM pageview").await,
        json!([
            {"event_id": VIEW, "page_url": "https://shop.example/mugs?q=%20", "region": "DE"},
        ])
    );
    let purchases = rows(
        &app.db,
        "SELECT event_id, product_id, quantity, amount, currency, category, region, channel
         FROM purchase",
    );
    assert_eq!(
        purchases.await,
        json!([
            {
                "event_id": ORDER, "product_id": "mug", "quantity": 2, "amount": 2990,
                "currency": "USD", "category": "", "region": null, "channel": "email",
            },
            {
                "event_id": ORDER, "product_id": "tea", "quantity": 1, "amount": 0,
                "currency": "USD", "category": "", "region": null, "channel": "email",
            },
        ])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_an_event_tells_of_its_user_is_kept_and_the_latest_counts() {
    let app = TestApp::start().await;
    let sign_up = |properties: Value| {
        json!({
            "type": "sign_up", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1",
            "properties": properties,
        })
    };
    let mut other = sign_up(json!({"email": "somebody@shop.example"}));
    other["type"] = "newsletter".into();
    app.accept(&[sign_up(
        json!({"username": "ann", "email": "a@shop.example"}),
    )])
    .await;
    app.accept(&[sign_up(json!({"email": "ann@shop.example"})), other])
        .await;
    assert_eq!(
        rows(&app.db, r#"SELECT username, email FROM "user""#).await,
        json!([{"username": "ann", "email": "ann@shop.example"}])
    );
}

#[tokio::test]
async fn an_event_without_an_id_gets_one_and_a_resend_of_it_is_another_event() {
    let app = TestApp::start().await;
    let event = json!([{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1"}]);
    let (_, first) = app.send(&event).await;
    let (_, second) = app.send(&event).await;
    assert_eq!(
        (statuses(&first), statuses(&second)),
        (vec!["accepted"], vec!["accepted"])
    );
    assert_ne!(
        first["receipts"][0]["eventId"],
        second["receipts"][0]["eventId"]
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 2);
}

#[tokio::test]
async fn an_empty_batch_is_answered_with_no_receipts() {
    let app = TestApp::start().await;
    let (status, answer) = app.send(&json!([])).await;
    assert_eq!((status, statuses(&answer)), (StatusCode::OK, Vec::new()));
}

#[tokio::test]
async fn a_key_opens_as_bearer_and_as_basic() {
    let app = TestApp::start().await;
    let ingest_key = key(&app.db, "default", Scope::Ingest).await;
    for key in [KEY, &ingest_key] {
        let body = json!([click(Uuid::new_v4(), "2026-03-01T12:00:00Z")]);
        let request = || app.anonymous(Method::POST, "/v1/batch").json(&body);
        let (_, bearer) = answer(request().bearer_auth(key)).await;
        assert_eq!(statuses(&bearer), ["accepted"]);
        for password in [None, Some("whatever")] {
            let (_, basic) = answer(request().basic_auth(key, password)).await;
            assert_eq!(statuses(&basic), ["duplicate"]);
        }
    }
}

#[tokio::test]
async fn graphql_gives_the_same_receipts_as_http() {
    let (http, graphql) = (TestApp::start().await, TestApp::start().await);
    let mut events = one_of_each();
    events.as_array_mut().unwrap().extend([
        click(CLICK, "2026-03-01T12:00:00Z"),
        click(VIEW, "tomorrow"),
        one_of_each()[2].clone(),
    ]);
    let mutation = "mutation ($events: [EventInput!]!) {
        ingestEvents(events: $events) {
            accepted duplicates conflicts rejected
            receipts { eventId status code message path }
        }
    }";
    for _ in 0..2 {
        let (_, by_http) = http.send(&events).await;
        let by_graphql = graphql.ask_with(mutation, json!({"events": events})).await;
        let by_graphql = &by_graphql["data"]["ingestEvents"];
        for count in ["accepted", "duplicates", "conflicts", "rejected"] {
            assert_eq!(by_http[count], by_graphql[count], "{count}");
        }
        for (n, receipt) in by_http["receipts"].as_array().unwrap().iter().enumerate() {
            let other = &by_graphql["receipts"][n];
            for field in ["eventId", "code", "message", "path"] {
                assert_eq!(receipt[field], other[field], "{field} of {n}");
            }
            let status = other["status"].as_str().unwrap().to_lowercase();
            assert_eq!(receipt["status"], status.as_str(), "{n}");
        }
    }
    assert_consistent(&graphql.db).await;
}
