//! Receipts that are read later.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::access::Scope;
use tidewater::app::Role;
use tidewater::clock::Clock;
use uuid::Uuid;

use crate::ingest::{click, key, run};
use crate::support::{Order, TestApp, TestDb, answer, services};

/// An hour ago.
fn recently() -> String {
    (Clock::System.now() - TimeDelta::hours(1)).to_rfc3339()
}

/// What `GET /v1/receipts/{batchId}` says to the holder of a key.
async fn later(app: &TestApp, key: &str, batch_id: &str) -> (StatusCode, Value) {
    let request = app.anonymous(Method::GET, &format!("/v1/receipts/{batch_id}"));
    answer(request.bearer_auth(key)).await
}

#[tokio::test]
async fn receipts_read_later_are_those_that_were_given() {
    let app = TestApp::start().await;
    let key = key(&app.db, "default", Scope::Ingest).await;
    app.data(
        r#"mutation { warn: putEventSchema(eventType: "warned", mode: WARN, schema: {required: ["a"]}) { eventSchema { mode } }
                      hold: putEventSchema(eventType: "held", mode: ENFORCE, schema: {required: ["a"]}) { eventSchema { mode } } }"#,
    )
    .await;
    let (id, time) = (Uuid::new_v4(), &recently());
    let mut conflict = click(id, time);
    conflict["userId"] = "somebody else".into();
    let event = |event_type: &str| json!({"type": event_type, "timestamp": time, "userId": "u1"});
    let batch = json!([
        click(id, time),
        click(id, time),
        conflict,
        event("warned"),
        event("held"),
        7,
        {"eventId": Uuid::new_v4(), "type": "click", "timestamp": "tomorrow", "userId": "u1"},
        Order::of("mug").at(time).event(),
    ]);
    let (_, given) = app.send(&batch).await;
    let counts = [
        "accepted",
        "duplicates",
        "conflicts",
        "quarantined",
        "rejected",
    ];
    assert_eq!(
        counts.map(|count| given[count].as_u64().unwrap()),
        [3, 1, 1, 2, 1],
        "{given}"
    );
    let batch_id = given["batchId"].as_str().unwrap();
    assert_eq!(
        later(&app, &key, batch_id).await,
        (StatusCode::OK, given.clone())
    );

    let summary = app.anonymous(
        Method::GET,
        &format!("/v1/receipts/{batch_id}?receipts=summary"),
    );
    let (_, summary) = answer(summary.bearer_auth(&key)).await;
    assert_eq!(summary["accepted"], given["accepted"]);
    let positions = summary["receipts"].as_array().unwrap().iter();
    let positions: Vec<u64> = positions
        .map(|one| one["position"].as_u64().unwrap())
        .collect();
    assert_eq!(positions, [2, 3, 4, 5, 6]);

    let graphql = app
        .data(&format!(
            r#"{{ receipt(batchId: "{batch_id}") {{
                batchId accepted duplicates conflicts quarantined rejected
                receipts {{ eventId status code message path }} }} }}"#
        ))
        .await;
    let graphql = &graphql["receipt"];
    for count in counts {
        assert_eq!(graphql[count], given[count], "{count}");
    }
    let receipts = graphql["receipts"].as_array().unwrap();
    for (receipt, given) in receipts.iter().zip(given["receipts"].as_array().unwrap()) {
        for field in ["eventId", "code", "message", "path"] {
            assert_eq!(receipt[field], given[field], "{field} of {given}");
        }
    }
}

#[tokio::test]
async fn what_the_database_refuses_has_its_receipt_too() {
    let app = TestApp::start().await;
    let refuse = "ALTER TABLE event ADD CHECK (region IS DISTINCT FROM 'nowhere')";
    run(&app.db, refuse).await;
    let events: Vec<Value> = (0..6)
        .map(|n| {
            let mut event = click(Uuid::new_v4(), &recently());
            event["region"] = if n == 3 { "nowhere" } else { "here" }.into();
            event
        })
        .collect();
    let (_, given) = app.send(&json!(events)).await;
    assert_eq!(
        [&given["accepted"], &given["quarantined"]],
        [5, 1],
        "{given}"
    );
    assert_eq!(given["receipts"][3]["code"], "storage_rejected");
    let batch_id = given["batchId"].as_str().unwrap();
    let (_, later) = app.get(&format!("/v1/receipts/{batch_id}")).await;
    assert_eq!(later, given);
}

#[tokio::test]
async fn the_parts_of_a_batch_are_put_together_and_what_is_not_stored_yet_is_pending() {
    let app = TestApp::start().await;
    let (_, given) = app.send(&json!([click(Uuid::new_v4(), &recently())])).await;
    let batch_id = given["batchId"].as_str().unwrap();
    // Positions 3 and 1, of a batch whose third event another worker has.
    let parts = format!(
        r#"INSERT INTO receipt (tenant_id, batch_id, part, received_at, outcomes, notes)
           VALUES (1, '{batch_id}', 3, now(), '\x00000003{event}00', '[]'),
                  (1, '{batch_id}', 1, now(), '\x00000001{none}03',
                   '[{{"position": 1, "code": "invalid_type", "path": "type", "message": "No."}}]')"#,
        event = "11".repeat(16),
        none = "00".repeat(16),
    );
    run(&app.db, &parts).await;
    let (_, later) = app.get(&format!("/v1/receipts/{batch_id}")).await;
    assert_eq!(
        later["receipts"],
        json!([
            given["receipts"][0],
            {"eventId": null, "status": "rejected", "code": "invalid_type", "path": "type", "message": "No."},
            {"eventId": null, "status": "pending"},
            {"eventId": "11111111-1111-1111-1111-111111111111", "status": "accepted"},
        ])
    );
    assert_eq!([&later["accepted"], &later["rejected"]], [2, 1]);
}

#[tokio::test]
async fn a_batch_is_known_to_its_tenant_alone() {
    let app = TestApp::start().await;
    let (_, given) = app.send(&json!([click(Uuid::new_v4(), &recently())])).await;
    let batch_id = given["batchId"].as_str().unwrap();
    let stranger = key(&app.db, "another", Scope::Admin).await;
    let reader = key(&app.db, "default", Scope::Read).await;
    assert_eq!(later(&app, &reader, batch_id).await.0, StatusCode::OK);
    let unknown = Uuid::new_v4().to_string();
    for (key, id) in [
        (&stranger, batch_id),
        (&reader, unknown.as_str()),
        (&reader, "no-id"),
    ] {
        let (status, problem) = later(&app, key, id).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("unknown_receipt")),
            "{id}"
        );
    }
    let query = format!(r#"{{ receipt(batchId: "{batch_id}") {{ accepted }} }}"#);
    let theirs = app.ask_as(&stranger, &query).await;
    assert_eq!(theirs["data"]["receipt"], Value::Null, "{theirs}");
    let nobody = app.anonymous(Method::GET, &format!("/v1/receipts/{batch_id}"));
    assert_eq!(answer(nobody).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn receipts_of_days_past_the_window_are_dropped() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    // The first of January 2020, by the time that ids begin with.
    run(
        &app.db,
        "CREATE TABLE receipt_2020_01_01 PARTITION OF receipt
         FOR VALUES FROM ('016f5e66-e800-0000-0000-000000000000')
                      TO ('016f638d-4400-0000-0000-000000000000')",
    )
    .await;
    // A server looks when it starts, and then every hour.
    let next = TestApp::on(app.db.clone(), None, Clock::System).await;
    let old = "SELECT count(*) FROM pg_class WHERE relname = 'receipt_2020_01_01'";
    let dropped = async {
        while next.db.number(old).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), dropped)
        .await
        .expect("old receipts go");
    assert_eq!(app.db.number("SELECT count(*) FROM receipt").await, 1);
}

#[tokio::test]
async fn warnings_stay_with_their_events_though_a_stream_cuts_the_batch() {
    let app = TestApp::stream(
        TestDb::migrated().await,
        &services().redis_url,
        Role::All,
        |_| (),
    )
    .await;
    app.data(
        r#"mutation { putEventSchema(eventType: "warned", mode: WARN, schema: {required: ["a"]}) { eventSchema { mode } } }"#,
    )
    .await;
    let event = |n: u32| {
        json!({"eventId": Uuid::new_v4(), "type": "warned", "timestamp": recently(),
               "userId": format!("u{n}")})
    };
    let (_, given) = app.send(&(0..20).map(event).collect::<Value>()).await;
    let path = format!("/v1/receipts/{}", given["batchId"].as_str().unwrap());
    let all = async {
        loop {
            let (_, later) = app.get(&path).await;
            if later["accepted"] == 20 {
                return later;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let later = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert_eq!(later.unwrap()["receipts"], given["receipts"]);
}
