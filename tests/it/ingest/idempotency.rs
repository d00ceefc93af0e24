//! What is remembered of ids: in the open run, in closed ones, by several servers, and what
//! happens past the window.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tidewater::clock::Clock;
use uuid::Uuid;

use super::{click, run, statuses};
use crate::support::{Order, TestApp, assert_consistent};

/// As if the open run were all but full: the next batch closes it.
async fn fill_run(app: &TestApp) {
    run(&app.db, "UPDATE idempotency_head SET entries = 10000000").await;
}

/// Waits until nothing is left to be sealed.
async fn until_sealed(app: &TestApp) {
    let open = "SELECT count(*) FROM idempotency_segment
                WHERE run < (SELECT run FROM idempotency_head)";
    let sealed = async {
        while app.db.number(open).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sealed)
        .await
        .expect("runs are sealed within seconds");
}

/// What a server says of: an event again, another under its id, and a new one.
async fn assert_known(app: &TestApp, event: &Value) {
    let other = Order::of("mug")
        .with("eventId", event["eventId"].clone())
        .by("somebody else");
    let (_, answer) = app
        .send(&json!([event, other.event(), Order::of("tea").event()]))
        .await;
    assert_eq!(statuses(&answer), ["duplicate", "conflict", "accepted"]);
}

#[tokio::test]
async fn ids_of_closed_runs_are_known_to_every_server() {
    let app = TestApp::start().await;
    let old: Vec<Value> = (0..600).map(|_| Order::of("mug").event()).collect();
    for part in old.chunks(200) {
        app.accept(part).await;
        fill_run(&app).await;
        app.accept(&[Order::of("tea").event()]).await;
        until_sealed(&app).await;
    }
    assert_eq!(
        app.db.number("SELECT count(*) FROM idempotency_run").await,
        3
    );
    let newcomer = TestApp::on(app.db.clone(), None, Clock::System).await;
    for server in [&app, &newcomer] {
        for event in [&old[0], &old[199], &old[200], &old[599]] {
            assert_known(server, event).await;
        }
        let (_, answer) = server.send(&json!(old)).await;
        assert_eq!(statuses(&answer), vec!["duplicate"; old.len()]);
    }
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn servers_side_by_side_count_an_id_once_while_runs_close_under_them() {
    let first = TestApp::start().await;
    let second = TestApp::on(first.db.clone(), None, Clock::System).await;
    let mut contents: HashMap<Uuid, u64> = HashMap::new();
    for round in 0..12 {
        if round % 3 == 2 {
            fill_run(&first).await;
        }
        // Few ids, sent by both at once and again in later rounds.
        let batches: Vec<Vec<Value>> = (0..6)
            .map(|_| {
                let one = |_| {
                    let id = Uuid::from_u128(rand::random_range(0..150));
                    // With one time alone, the key of the facts would find what is sent twice.
                    click(
                        id,
                        &format!("2026-03-01T12:00:0{}Z", rand::random_range(0..9)),
                    )
                };
                (0..40).map(one).collect()
            })
            .collect();
        let sending = batches.iter().enumerate().map(|(n, batch)| {
            let server = if n % 2 == 0 { &first } else { &second };
            async move { server.send(&json!(batch)).await.1 }
        });
        for (answer, batch) in join_all(sending).await.iter().zip(&batches) {
            for (status, event) in statuses(answer).into_iter().zip(batch) {
                let id = event["eventId"].as_str().unwrap().parse().unwrap();
                match status {
                    "accepted" => *contents.entry(id).or_default() += 1,
                    "duplicate" | "conflict" => {}
                    other => panic!("{other}: {answer}"),
                }
            }
        }
    }
    assert!(contents.values().all(|times| *times == 1), "accepted twice");
    let stored = first.db.number("SELECT count(*) FROM event").await;
    assert_eq!(stored, i64::try_from(contents.len()).unwrap());
    assert_consistent(&first.db).await;
}

#[tokio::test]
async fn past_the_window_the_same_event_is_a_duplicate_still_and_its_id_is_free_for_another_time() {
    let app = TestApp::start().await;
    let old = Order::of("mug").event();
    app.accept(std::slice::from_ref(&old)).await;
    fill_run(&app).await;
    app.accept(&[Order::of("tea").event()]).await;
    until_sealed(&app).await;
    run(
        &app.db,
        "UPDATE idempotency_run SET closed_at = now() - interval '8 days'",
    )
    .await;
    let forgotten = async {
        while app.db.number("SELECT count(*) FROM idempotency_run").await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten)
        .await
        .expect("what is past the window is forgotten");
    assert_eq!(
        app.db.number("SELECT count(*) FROM idempotency_page").await,
        0
    );

    // The facts' own key knows it: time and id are the same.
    let (_, answer) = app.send(&json!([old, Order::of("tea").event(), old])).await;
    assert_eq!(statuses(&answer), ["duplicate", "accepted", "duplicate"]);
    let moved = Order::of("mug")
        .with("eventId", old["eventId"].clone())
        .at("2026-03-01T12:00:01Z");
    let (_, answer) = app.send(&json!([moved.event()])).await;
    assert_eq!(statuses(&answer), ["accepted"]);
}

#[tokio::test]
async fn what_happened_before_the_window_is_accepted_and_told_of() {
    let app = TestApp::start().await;
    let ago = |hours: i64| (Clock::System.now() - TimeDelta::hours(hours)).to_rfc3339();
    let inside = click(Uuid::from_u128(1), &ago(7 * 24 - 1));
    let outside = click(Uuid::from_u128(2), &ago(7 * 24 + 1));
    let (_, answer) = app.send(&json!([inside, outside])).await;
    assert_eq!(answer["outsideIdempotencyWindow"], 1);
    assert_eq!(
        answer["receipts"],
        json!([
            {"eventId": inside["eventId"], "status": "accepted"},
            {"eventId": outside["eventId"], "status": "accepted", "outsideIdempotencyWindow": true},
        ])
    );
    // Sent again, it is known all the same.
    let (_, again) = app.send(&json!([inside, outside])).await;
    assert_eq!(statuses(&again), ["duplicate"; 2]);
    assert!(again.get("outsideIdempotencyWindow").is_none());

    let lines = format!("{}\n", click(Uuid::from_u128(3), &ago(24 * 30)));
    let upload = app.request(Method::POST, "/v1/events");
    let upload = upload.header("content-type", "application/x-ndjson");
    let answers = upload
        .body(lines)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in answers.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["outsideIdempotencyWindow"], 1, "{line}");
    }
    let event = json!({"type": "click", "timestamp": ago(24 * 30), "userId": "u1"});
    let mutation = "mutation($events: [EventInput!]!) {
        ingestEvents(events: $events) {
            accepted outsideIdempotencyWindow receipts { outsideIdempotencyWindow }
        }
    }";
    let answer = app.ask_with(mutation, json!({"events": [event]})).await;
    assert_eq!(
        answer["data"]["ingestEvents"],
        json!({
            "accepted": 1, "outsideIdempotencyWindow": 1,
            "receipts": [{"outsideIdempotencyWindow": true}],
        })
    );
}
