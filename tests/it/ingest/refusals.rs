//! What is refused, an event or a whole batch, and how the sender learns why.

use reqwest::{Method, RequestBuilder, StatusCode};
use sea_orm::sqlx;
use serde_json::{Value, json};
use tidewater::access::Scope;
use uuid::Uuid;

use super::bad_events::{ID, bad_events, is_kept};
use super::receipts::gzip;
use super::{click, key, rows, statuses};
use crate::support::{Order, TestApp, answer, assert_consistent};

#[tokio::test]
async fn each_bad_event_is_held_with_its_code_and_path_and_the_good_ones_are_stored() {
    let app = TestApp::start().await;
    let bad = bad_events();
    let mut batch = Vec::new();
    for (event, ..) in &bad {
        batch.push(event.clone());
        batch.push(Order::of("mug").event());
    }
    let (status, answer) = app.send(&json!(batch)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (n, (event, code, path)) in bad.iter().enumerate() {
        let receipt = &answer["receipts"][2 * n];
        assert_eq!(
            (
                receipt["status"].as_str(),
                receipt["code"].as_str(),
                receipt["path"].as_str()
            ),
            (
                Some(if is_kept(event) {
                    "quarantined"
                } else {
                    "rejected"
                }),
                Some(*code),
                *path
            ),
            "{event}"
        );
        assert!(!receipt["message"].as_str().unwrap().is_empty());
        let has_id = event["eventId"] == ID.to_string() && is_kept(event);
        assert_eq!(
            receipt["eventId"].as_str() == Some(&ID.to_string()),
            has_id,
            "{event}"
        );
        assert_eq!(answer["receipts"][2 * n + 1]["status"], "accepted");
    }
    let kept = bad.iter().filter(|(event, ..)| is_kept(event)).count();
    assert_eq!(
        (
            &answer["quarantined"],
            &answer["rejected"],
            &answer["accepted"]
        ),
        (&json!(kept), &json!(bad.len() - kept), &json!(bad.len()))
    );
    // Each is there as it was sent.
    let held = rows(&app.db, "SELECT payload FROM quarantine").await;
    let held: Vec<Value> = held
        .as_array()
        .unwrap()
        .iter()
        .map(|row| serde_json::from_str(row["payload"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(held.len(), kept);
    assert!(
        bad.iter()
            .filter(|(event, ..)| is_kept(event))
            .all(|(event, ..)| held.contains(event))
    );
    assert_consistent(&app.db).await;
    // None of them has taken the id.
    app.accept(&[click(ID, "2026-03-01T12:00:00Z")]).await;
}

#[tokio::test]
async fn a_field_given_twice_is_no_silent_choice() {
    let app = TestApp::start().await;
    let event =
        r#"{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "a", "userId": "b"}"#;
    let request = app.request(Method::POST, "/v1/batch");
    let (_, answer) = answer(request.body(format!("[{event}]"))).await;
    let receipt = &answer["receipts"][0];
    assert_eq!(
        (&receipt["code"], &receipt["path"]),
        (&json!("duplicate_field"), &json!("userId"))
    );
}

#[tokio::test]
async fn the_extremes_of_what_may_be_are_accepted() {
    let app = TestApp::start().await;
    let dear = json!({"productId": "x", "quantity": 1_000_000, "amount": 100_000_000});
    let long = json!({"productId": "x".repeat(128), "quantity": 1, "amount": "0"});
    let mut deep = json!("\u{10ffff}");
    for _ in 0..14 {
        deep = json!([deep]);
    }
    let click_with = |field: &str, value: Value| {
        let mut event = click(Uuid::new_v4(), "2026-03-01T12:00:00Z");
        event[field] = value;
        event
    };
    app.accept(&[
        click(Uuid::nil(), "1970-01-01T00:00:00Z"),
        click(Uuid::max(), "2026-03-01T12:00:00.999999999Z"),
        // A leap second; its minute and its month are over when it begins.
        click(Uuid::new_v4(), "2015-06-30T23:59:60Z"),
        click(Uuid::new_v4(), "2026-03-01T23:59:60.5Z"),
        click_with("userId", "\u{1f30a}".repeat(64).into()),
        click_with("eventId", Uuid::new_v4().urn().to_string().into()),
        Order::of("mug")
            .with("lines", vec![dear; 500])
            .with("currency", "CLF")
            .event(),
        Order::of("mug").with("lines", vec![long; 150]).event(),
        Order::of("mug").for_amount("0").event(),
        click_with(
            "properties",
            json!({"a": deep, "": 1e308, "b": -1e-300, "c": u64::MAX}),
        ),
    ])
    .await;
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn numbers_that_postgres_cannot_keep_spoil_their_event_alone() {
    let app = TestApp::start().await;
    let event = |number: &str| {
        format!(
            r#"{{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1", "properties": {{"n": {number}}}}}"#
        )
    };
    // Each is a good JSON number of no more than 32 KiB.
    let long = format!("0.{}1", "0".repeat(20_000));
    let numbers = [
        "1e-16000",
        "1e-16384",
        "1e-20000",
        "0e-99999",
        "0e9999999999",
        &long,
        "1e308",
        "-0",
        "0.1e1",
    ];
    let events = numbers.map(event).join(",");
    let request = app.request(Method::POST, "/v1/batch");
    let (status, answer) = answer(request.body(format!("[{events}]"))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    // Found before the database is asked: there, each would cost transactions of its own.
    let codes: Vec<Option<&str>> = answer["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| receipt["code"].as_str())
        .collect();
    let bad = Some("invalid_properties");
    assert_eq!(codes, [None, bad, bad, bad, bad, bad, None, None, None]);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_order_whose_sum_no_rollup_can_hold_is_quarantined_alone() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("gold").event()]).await;
    // As after a year's worth of the largest orders in one minute.
    let mut connection = app.db.connect().await;
    sqlx::query("UPDATE sales_minute SET revenue = 9223372036854775807")
        .execute(&mut connection)
        .await
        .unwrap();
    let elsewhere = Order::of("mug").at("2026-03-01T12:01:00Z");
    let (_, answer) = app
        .send(&json!([Order::of("gold").event(), elsewhere.event()]))
        .await;
    assert_eq!(statuses(&answer), ["quarantined", "accepted"]);
    assert_eq!(answer["receipts"][0]["code"], "storage_rejected");
    let held = "SELECT count(*) FROM quarantine WHERE payload::jsonb ->> 'type' = 'purchase'";
    assert_eq!(app.db.number(held).await, 1);
}

/// Checks the whole problem but for its particulars.
async fn assert_problem(request: RequestBuilder, status: u16, code: &str) {
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let challenge = response.headers().get("www-authenticate").cloned();
    assert_eq!(response.status().as_u16(), status, "{code}");
    let mut problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let (title, detail) = (problem["title"].take(), problem["detail"].take());
    assert!(!title.as_str().unwrap().is_empty() && !detail.as_str().unwrap().is_empty());
    assert_eq!(kind, "application/problem+json");
    assert_eq!(
        challenge.is_some_and(|challenge| challenge == "Bearer"),
        status == 401
    );
    assert_eq!(
        problem,
        json!({
            "type": format!("urn:tidewater:problem:{code}"), "title": null, "status": status,
            "detail": null, "code": code,
        })
    );
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_is_a_problem_and_stores_nothing() {
    let app = TestApp::start().await;
    let good = json!([Order::of("mug").event()]).to_string();
    let post = || app.request(Method::POST, "/v1/batch");
    let bodies: [(&[u8], &str); 9] = [
        (b"", "malformed_json"),
        (b"[", "malformed_json"),
        (b"{\"batch\": [{\"type\": }]}", "malformed_json"),
        (b"[] []", "malformed_json"),
        (b"[\"\xff\"]", "malformed_json"),
        (b"1", "malformed_batch"),
        (b"\"[]\"", "malformed_batch"),
        (b"{\"events\": []}", "malformed_batch"),
        (b"{\"batch\": {}}", "malformed_batch"),
    ];
    for (body, code) in bodies {
        assert_problem(post().body(body), 400, code).await;
    }
    let cut = &good[..good.len() - 1];
    assert_problem(post().body(cut.to_owned()), 400, "malformed_json").await;

    let plain = post().body(good.clone()).header("content-type", "text/csv");
    assert_problem(plain, 415, "unsupported_media_type").await;
    let packed = post().body(good.clone()).header("content-encoding", "br");
    assert_problem(packed, 415, "unsupported_media_type").await;
    assert_eq!(rows(&app.db, "TABLE event").await, json!([]));
    // It was all about the form.
    let (_, answer) = answer(post().body(good)).await;
    assert_eq!(statuses(&answer), ["accepted"]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_a_problem_also_when_it_is_packed() {
    let app = TestApp::start().await;
    let post = || app.request(Method::POST, "/v1/batch");
    let many = |n: usize| {
        let events: Vec<Value> = (0..n)
            .map(|_| click(Uuid::new_v4(), "2026-03-01T12:00:00Z"))
            .collect();
        json!(events).to_string()
    };
    assert_problem(post().body(many(2_501)), 413, "batch_too_large").await;
    assert_eq!(answer(post().body(many(2_500))).await.1["accepted"], 2_500);

    let padded = |size: usize| {
        let event = json!([click(Uuid::new_v4(), "2026-03-01T12:00:00Z")]).to_string();
        " ".repeat(size - event.len()) + &event
    };
    let limit = 4 * 1024 * 1024;
    assert_problem(post().body(padded(limit + 1)), 413, "body_too_large").await;
    assert_eq!(answer(post().body(padded(limit))).await.1["accepted"], 1);
    // 200 MB that travel as 200 kB.
    let bomb = gzip(&vec![b' '; 200_000_000]);
    let bomb = post().header("content-encoding", "gzip").body(bomb);
    assert_problem(bomb, 413, "body_too_large").await;
    let broken = post().header("content-encoding", "gzip").body(vec![7; 100]);
    assert_problem(broken, 400, "malformed_json").await;
}

#[tokio::test]
async fn who_may_not_send_is_told_so() {
    let app = TestApp::start().await;
    let body = json!([Order::of("mug").event()]);
    let post = || app.anonymous(Method::POST, "/v1/batch").json(&body);
    assert_problem(post(), 401, "missing_key").await;
    assert_problem(
        post().header("authorization", "Digest x"),
        401,
        "missing_key",
    )
    .await;
    assert_problem(post().bearer_auth("tw_nobody's"), 401, "unknown_key").await;
    assert_problem(
        post().basic_auth("tw_nobody's", Some("")),
        401,
        "unknown_key",
    )
    .await;
    let read_only = key(&app.db, "default", Scope::Read).await;
    assert_problem(post().bearer_auth(&read_only), 403, "forbidden").await;
    let mutation = json!({"query": "mutation { ingestEvents(events: []) { accepted } }"});
    let by_graphql = app
        .anonymous(Method::POST, "/graphql")
        .bearer_auth(&read_only);
    let (_, refused) = answer(by_graphql.json(&mutation)).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "forbidden");
    assert_eq!(rows(&app.db, "TABLE event").await, json!([]));
}
