//! What a tenant asks of its events: schemas of their properties, and a bound on their types.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::access::Scope;
use tidewater::app::Role;
use tidewater::clock::Clock;
use uuid::Uuid;

use crate::ingest::{key, statuses};
use crate::support::{TestApp, TestDb, answer, assert_consistent, services};

/// What a price must be.
fn prices() -> Value {
    json!({"required": ["price"], "properties": {"price": {"type": "number", "minimum": 0}}})
}

/// Sets a schema; the whole answer.
async fn put(app: &TestApp, event_type: &str, schema: &Value, mode: &str) -> Value {
    let mutation = "mutation ($type: String!, $schema: JSON!, $mode: SchemaMode!) {
        putEventSchema(eventType: $type, schema: $schema, mode: $mode) {
            eventSchema { eventType schema mode }
        }
    }";
    let variables = json!({"type": event_type, "schema": schema, "mode": mode});
    app.ask_with(mutation, variables).await
}

fn view(price: &Value) -> Value {
    json!({
        "eventId": Uuid::new_v4(), "type": "product_viewed", "timestamp": "2026-03-01T12:00:00Z",
        "userId": "u1", "properties": {"price": price},
    })
}

#[tokio::test]
async fn what_does_not_fit_an_enforced_schema_is_quarantined_and_the_rest_is_kept() {
    let app = TestApp::start().await;
    put(&app, "product_viewed", &prices(), "ENFORCE").await;
    let bad = view(&json!(-5));
    let other = json!({"type": "click", "timestamp": "2026-03-01T12:00:00Z", "userId": "u1"});
    let (status, answer) = app.send(&json!([view(&json!(9.9)), bad, other])).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(statuses(&answer), ["accepted", "quarantined", "accepted"]);
    assert_eq!(
        answer["receipts"][1],
        json!({
            "eventId": bad["eventId"], "status": "quarantined", "code": "schema_violation",
            "path": "properties.price", "message": "the value is less than the minimum of 0",
        })
    );
    let list = app
        .data("{ quarantine { nodes { eventId type code path message payload state protocol } } }")
        .await;
    let mut held = list["quarantine"]["nodes"][0].clone();
    let payload: Value = serde_json::from_str(held["payload"].take().as_str().unwrap()).unwrap();
    assert_eq!(payload, bad);
    assert_eq!(
        held,
        json!({
            "eventId": bad["eventId"], "type": "product_viewed", "code": "schema_violation",
            "path": "properties.price", "message": "the value is less than the minimum of 0",
            "payload": null, "state": "HELD", "protocol": "native",
        })
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 2);
    let violations = app.metric("tidewater_ingest_schema_violations_total").await;
    assert!((violations - 1.0).abs() < f64::EPSILON, "{violations}");
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_schema_that_warns_is_told_of_and_one_that_is_off_is_not_looked_at() {
    let app = TestApp::start().await;
    put(&app, "product_viewed", &prices(), "WARN").await;
    let bad = view(&json!("free"));
    let (_, warned) = app.send(&json!([bad])).await;
    assert_eq!(
        warned["receipts"][0],
        json!({
            "eventId": bad["eventId"], "status": "accepted", "code": "schema_violation",
            "path": "properties.price", "message": r#"the value is not of type "number""#,
            "outsideIdempotencyWindow": true,
        })
    );
    let again = json!([view(&json!("free")), view(&json!(5))]);
    let summary = app.request(Method::POST, "/v1/batch?receipts=summary");
    let (_, summary) = answer(summary.json(&again)).await;
    assert_eq!(summary["receipts"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &summary["receipts"][0]["position"],
            &summary["receipts"][0]["code"]
        ),
        (&json!(0), &json!("schema_violation"))
    );
    put(&app, "product_viewed", &prices(), "OFF").await;
    let bad = view(&json!("free"));
    let (_, quiet) = app.send(&json!([bad])).await;
    assert_eq!(
        quiet["receipts"][0],
        json!({"eventId": bad["eventId"], "status": "accepted", "outsideIdempotencyWindow": true})
    );
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 4);
}

#[tokio::test]
async fn schemas_are_put_listed_replaced_and_deleted() {
    let app = TestApp::start().await;
    let read = key(&app.db, "default", Scope::Read).await;
    let stranger = key(&app.db, "another", Scope::Admin).await;
    let list = "{ eventSchemas { eventType mode schema } }";
    let first = put(&app, "page_view", &json!({"type": "object"}), "WARN").await;
    assert_eq!(
        first["data"]["putEventSchema"]["eventSchema"],
        json!({"eventType": "pageview", "schema": {"type": "object"}, "mode": "WARN"})
    );
    put(&app, "click", &prices(), "ENFORCE").await;
    put(&app, "pageview", &json!({}), "OFF").await;
    assert_eq!(
        app.ask_as(&read, list).await["data"]["eventSchemas"],
        json!([
            {"eventType": "click", "mode": "ENFORCE", "schema": prices()},
            {"eventType": "pageview", "mode": "OFF", "schema": {}},
        ])
    );
    assert_eq!(
        app.ask_as(&stranger, list).await["data"]["eventSchemas"],
        json!([])
    );
    let delete = r#"mutation { deleteEventSchema(eventType: "click") { deleted } }"#;
    let by_stranger = app.ask_as(&stranger, delete).await;
    assert_eq!(
        by_stranger["data"]["deleteEventSchema"]["deleted"],
        json!(false)
    );
    let by_reader = app.ask_as(&read, delete).await;
    assert_eq!(by_reader["errors"][0]["extensions"]["code"], "forbidden");
    for expected in [true, false] {
        let deleted = app.data(delete).await;
        assert_eq!(deleted["deleteEventSchema"]["deleted"], expected);
    }
    let left = app.data(list).await;
    assert_eq!(left["eventSchemas"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_with_the_place() {
    let app = TestApp::start().await;
    for (schema, expected) in [
        (
            json!({"properties": {"a": {"type": "objekt"}}}),
            "/properties/a/type",
        ),
        (json!({"$ref": "https://example.com/schema"}), "/$ref"),
        (json!({"pattern": "(?<=a)b"}), "/pattern"),
        (json!({"title": "\u{0}"}), ""),
        (json!([1]), "not an object"),
    ] {
        let answer = put(&app, "click", &schema, "ENFORCE").await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "invalid_schema", "{answer}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    let answer = put(&app, "No Type", &json!({}), "WARN").await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"],
        "invalid_event_type"
    );
    for n in 0..200 {
        let answer = put(&app, &format!("t{n}"), &json!({}), "OFF").await;
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    let answer = put(&app, "one_more", &json!({}), "OFF").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "invalid_schema");
    let replaced = put(&app, "t0", &json!({}), "WARN").await;
    assert!(replaced.get("errors").is_none(), "{replaced}");
}

#[tokio::test]
async fn another_process_follows_a_schema_within_five_seconds() {
    let first = TestApp::start().await;
    let second = TestApp::on(first.db.clone(), None, Clock::System).await;
    let send = async || {
        let (_, answer) = second.send(&json!([view(&json!(-1))])).await;
        statuses(&answer)[0].to_owned()
    };
    assert_eq!(send().await, "accepted");
    for (mode, expected) in [("ENFORCE", "quarantined"), ("OFF", "accepted")] {
        put(&first, "product_viewed", &prices(), mode).await;
        let changed = Instant::now();
        while send().await != expected {
            assert!(changed.elapsed() < Duration::from_secs(7), "{mode}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn types_that_lie_in_a_stream_count_though_none_of_them_is_stored() {
    let redis = &services().redis_url;
    let app = TestApp::stream(TestDb::migrated().await, redis, Role::Api, |_| ()).await;
    let event = |n: u32| {
        json!({"eventId": Uuid::new_v4(), "type": format!("t{n}"),
               "timestamp": "2026-03-01T12:00:00Z", "userId": "u1"})
    };
    let (_, answer) = app.send(&(0..1_000).map(event).collect::<Value>()).await;
    assert_eq!(answer["accepted"], 1_000);
    // Longer than rules are remembered.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (_, answer) = app.send(&json!([event(1_001), event(7)])).await;
    assert_eq!(statuses(&answer), ["quarantined", "accepted"]);
}

#[tokio::test]
async fn beyond_a_thousand_types_new_ones_are_quarantined_and_known_ones_go_on() {
    let app = TestApp::start().await;
    let event = |event_type: String| {
        json!({
            "eventId": Uuid::new_v4(), "type": event_type, "timestamp": "2026-03-01T12:00:00Z",
            "userId": "u1",
        })
    };
    // All in one batch: nothing of it is stored yet when the first is judged.
    let batch: Vec<Value> = (0..1_010).map(|n| event(format!("t{n}"))).collect();
    let (_, answer) = app.send(&json!(batch)).await;
    assert_eq!(
        [&answer["accepted"], &answer["quarantined"]],
        [1_000, 10],
        "{}",
        answer["receipts"][1_005]
    );
    let refused = &answer["receipts"][1_005];
    assert_eq!(
        [&refused["code"], &refused["path"]],
        ["too_many_event_types", "type"]
    );
    let counted = app
        .metric("tidewater_ingest_event_types_refused_total")
        .await;
    assert!((counted - 10.0).abs() < f64::EPSILON, "{counted}");

    // Another process knows of them from the database.
    let other = TestApp::on(app.db.clone(), None, Clock::System).await;
    for app in [&app, &other] {
        let (_, answer) = app
            .send(&json!([event("new".into()), event("t7".into())]))
            .await;
        assert_eq!(statuses(&answer), ["quarantined", "accepted"]);
    }
    let types = "SELECT count(DISTINCT event_type) FROM event";
    assert_eq!(app.db.number(types).await, 1_000);
    assert_eq!(
        app.db.number("SELECT count(*) FROM event_type").await,
        1_000
    );
}

#[tokio::test]
async fn a_tenant_does_not_use_up_the_types_of_another() {
    let app = TestApp::on(TestDb::migrated().await, None, Clock::System).await;
    let stranger = key(&app.db, "another", Scope::Ingest).await;
    let batch: Vec<Value> = (0..1_001)
        .map(|n| json!({"type": format!("t{n}"), "timestamp": "2026-03-01T12:00:00Z", "userId": "u"}))
        .collect();
    let (_, own) = app.send(&json!(batch)).await;
    assert_eq!(own["quarantined"], 1);
    let request = app.anonymous(reqwest::Method::POST, "/v1/batch");
    let (_, theirs) = answer(request.bearer_auth(stranger).json(&json!([batch[1_000]]))).await;
    assert_eq!(statuses(&theirs), ["accepted"]);
}
