//! Held events are stored after all.

use std::time::Duration;

use serde_json::{Value, json};
use tidewater::app::Role;
use uuid::Uuid;

use super::{fill, hold, priced, strict};
use crate::ingest::{rows, run};
use crate::support::{TestApp, TestDb, assert_consistent, services};

const REPLAY: &str = "mutation ($ids: [UUID!], $patch: JSON, $dryRun: Boolean!) {
    replayQuarantined(ids: $ids, patch: $patch, dryRun: $dryRun) {
        replayed left results { quarantineId status code path message eventId }
    }
}";

/// Replays these; the answer.
async fn replay(app: &TestApp, ids: &[Value], patch: Value, dry_run: bool) -> Value {
    let variables = json!({"ids": ids, "patch": patch, "dryRun": dry_run});
    let mut answer = app.ask_with(REPLAY, variables).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["replayQuarantined"].take()
}

async fn states(app: &TestApp) -> Value {
    rows(
        &app.db,
        "SELECT state, count(*) FROM quarantine GROUP BY state",
    )
    .await
}

#[tokio::test]
async fn a_patch_mends_what_is_held_and_it_is_stored_once_at_its_own_time() {
    let app = strict().await;
    let bad = priced(&json!(-12.50));
    let ids = hold(&app, std::slice::from_ref(&bad)).await;
    let patch = json!({"properties": {"price": 12.5, "n": null}, "region": "DE"});

    let passes = replay(&app, &ids, patch.clone(), true).await;
    assert_eq!(
        passes,
        json!({"replayed": 0, "left": 0, "results": [{
            "quarantineId": ids[0], "status": "PASSES", "code": null, "path": null,
            "message": null, "eventId": bad["eventId"],
        }]})
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 0);
    assert_eq!(states(&app).await, json!([{"state": "held", "count": 1}]));

    let done = replay(&app, &ids, patch.clone(), false).await;
    assert_eq!(
        [&done["replayed"], &done["results"][0]["status"]],
        [&json!(1), &json!("ACCEPTED")],
        "{done}"
    );
    assert_eq!(
        rows(
            &app.db,
            "SELECT event_id, event_type, region, data, timestamp = '2026-03-01 12:00Z' AS then FROM event"
        )
        .await,
        json!([{
            "event_id": bad["eventId"], "event_type": "click", "region": "DE",
            "data": {"price": 12.5}, "then": true,
        }])
    );
    assert_eq!(
        states(&app).await,
        json!([{"state": "replayed", "count": 1}])
    );

    let again = replay(&app, &ids, patch.clone(), false).await;
    assert_eq!(again["results"][0]["status"], "NOT_HELD");
    // As if the server had been killed after it had stored the event, before it noted that down.
    run(&app.db, "UPDATE quarantine SET state = 'held'").await;
    let again = replay(&app, &ids, patch, false).await;
    assert_eq!(
        [&again["replayed"], &again["results"][0]["status"]],
        [&json!(1), &json!("DUPLICATE")],
        "{again}"
    );
    assert_eq!(
        states(&app).await,
        json!([{"state": "replayed", "count": 1}])
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 1);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_event_without_an_id_of_its_own_is_stored_once_too() {
    let app = TestApp::start().await;
    let payload = r#"'{"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1"}'"#;
    fill(&app, 3, payload).await;
    let query = "mutation { replayQuarantined(filter: {}) { replayed results { status quarantineId eventId } } }";
    let first = app.data(query).await;
    assert_eq!(first["replayQuarantined"]["replayed"], 3);
    for result in first["replayQuarantined"]["results"].as_array().unwrap() {
        assert_eq!(result["quarantineId"], result["eventId"]);
    }
    run(&app.db, "UPDATE quarantine SET state = 'held'").await;
    let second = app.data(query).await;
    let results = second["replayQuarantined"]["results"].as_array().unwrap();
    assert!(
        results.iter().all(|one| one["status"] == "DUPLICATE"),
        "{second}"
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 3);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_still_breaks_a_rule_or_meets_another_stays_with_its_first_reason() {
    let app = strict().await;
    let events = [priced(&json!(-1)), priced(&json!(-2)), priced(&json!(-3))];
    let ids = hold(&app, &events).await;
    // Another content under the second's id came through meanwhile.
    let mut other = priced(&json!(5));
    other["eventId"] = events[1]["eventId"].clone();
    app.accept(&[other]).await;

    let still = replay(
        &app,
        &ids[..1],
        json!({"properties": {"price": null}}),
        false,
    )
    .await;
    assert_eq!(
        still["results"][0],
        json!({
            "quarantineId": ids[0], "status": "HELD", "code": "schema_violation",
            "path": "properties.price", "message": r#""price" is a required property"#,
            "eventId": events[0]["eventId"],
        })
    );
    let spoilt = replay(&app, &ids[..1], json!("no object"), false).await;
    assert_eq!(spoilt["results"][0]["status"], "HELD", "{spoilt}");
    let mixed = replay(&app, &ids, json!({"properties": {"price": 4}}), false).await;
    let mut statuses: Vec<&str> = mixed["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["ACCEPTED", "ACCEPTED", "CONFLICT"], "{mixed}");
    assert_eq!(
        rows(
            &app.db,
            "SELECT state, event_id, code, message FROM quarantine WHERE state = 'held'"
        )
        .await,
        json!([{
            "state": "held", "event_id": events[1]["eventId"], "code": "schema_violation",
            "message": "the value is less than the minimum of 0",
        }])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_thousand_are_replayed_at_once_and_the_next_go_on_behind_them() {
    let app = TestApp::start().await;
    // Every other one still breaks a rule, and stays in front of those behind it.
    let payload = r#"format('{"eventId": "%s", "type": %s, "timestamp": "2026-03-01T12:00:00Z", "userId": "u%s"}',
        md5('e' || n)::uuid, CASE WHEN n % 2 = 0 THEN '"click"' ELSE '7' END, n)"#;
    fill(&app, 1_300, payload).await;
    let replay = async |after: &Value| {
        let query = format!(
            "mutation {{ replayQuarantined(filter: {{}}, after: {after}) {{ replayed left endCursor results {{ status code }} }} }}"
        );
        app.data(&query).await["replayQuarantined"].take()
    };
    let first = replay(&Value::Null).await;
    assert_eq!([&first["replayed"], &first["left"]], [500, 300]);
    assert_eq!(
        first["results"][0],
        json!({"status": "HELD", "code": "invalid_type"})
    );
    let second = replay(&first["endCursor"]).await;
    assert_eq!([&second["replayed"], &second["left"]], [150, 0]);
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 650);
    assert_eq!(
        states(&app).await,
        json!([{"state": "held", "count": 650}, {"state": "replayed", "count": 650}])
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_replay_counts_clocks_from_the_time_of_the_first_receipt() {
    let app = TestApp::start().await;
    // Its clock is an hour slow: it happened a minute before it was sent.
    let payload = r#"'{"type": "track", "event": "Clicked", "messageId": "m1", "userId": "u1",
        "originalTimestamp": "2026-03-01T09:00:00Z", "sentAt": "2026-03-01T09:01:00Z"}'"#;
    fill(&app, 1, payload).await;
    run(&app.db, "UPDATE quarantine SET protocol = 'segment'").await;
    let query = "mutation { replayQuarantined(filter: {}) { results { status code message } } }";
    let done = app.data(query).await;
    assert_eq!(
        done["replayQuarantined"]["results"][0]["status"], "ACCEPTED",
        "{done}"
    );
    let then = "SELECT count(*) FROM event WHERE timestamp = '2026-03-01 10:00Z'";
    assert_eq!(app.db.number(then).await, 1);
}

#[tokio::test]
async fn an_id_that_was_never_held_is_said_to_be_so() {
    let app = TestApp::start().await;
    let id = json!(Uuid::new_v4());
    let answer = replay(&app, &[id.clone(), id.clone()], Value::Null, false).await;
    assert_eq!(
        answer,
        json!({"replayed": 0, "left": 0, "results": [{
            "quarantineId": id, "status": "NOT_HELD", "code": null, "path": null,
            "message": null, "eventId": null,
        }]})
    );
}

#[tokio::test]
async fn with_a_stream_too_an_event_leaves_quarantine_only_when_it_is_stored() {
    let redis = &services().redis_url;
    let app = TestApp::stream(TestDb::migrated().await, redis, Role::All, |_| ()).await;
    let payload = r#"format('{"eventId": "%s", "type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1"}',
        md5('e' || n)::uuid)"#;
    fill(&app, 2, payload).await;
    // Another content under the first one's id is stored meanwhile.
    let id = rows(&app.db, "SELECT md5('e1')::uuid AS id").await[0]["id"].take();
    let other = json!({"eventId": id, "type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u2"});
    app.accept(&[other]).await;
    while app.db.number("SELECT count(*) FROM event").await < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let query = "mutation { replayQuarantined(filter: {}) { results { status } } }";
    assert_eq!(
        app.data(query).await["replayQuarantined"]["results"],
        json!([{"status": "CONFLICT"}, {"status": "ACCEPTED"}])
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 2);
    assert_eq!(
        states(&app).await,
        json!([{"state": "held", "count": 1}, {"state": "replayed", "count": 1}])
    );
    assert_consistent(&app.db).await;
}
