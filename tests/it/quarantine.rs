//! What cannot be stored as it is: looked at, mended, stored after all, or discarded.

mod replay;
mod retention;

use serde_json::{Value, json};
use tidewater::access::Scope;
use uuid::Uuid;

use crate::ingest::{key, run};
use crate::records::column;
use crate::support::TestApp;

/// A server whose clicks must have a price, which is not negative.
pub async fn strict() -> TestApp {
    let app = TestApp::start().await;
    app.data(
        r#"mutation { putEventSchema(eventType: "click", mode: ENFORCE, schema: {
            required: ["price"], properties: {price: {minimum: 0}}
        }) { eventSchema { mode } } }"#,
    )
    .await;
    app
}

/// A click that fits if its price does.
pub fn priced(price: &Value) -> Value {
    json!({
        "eventId": Uuid::new_v4(), "type": "click", "timestamp": "2026-03-01T12:00:00Z",
        "userId": "u1", "properties": {"price": price, "n": 7},
    })
}

/// Sends events that must all be quarantined; their ids there, in order of the events.
pub async fn hold(app: &TestApp, events: &[Value]) -> Vec<Value> {
    let (_, answer) = app.send(&json!(events)).await;
    assert_eq!(answer["quarantined"], events.len(), "{answer}");
    let mut ids = Vec::new();
    for event in events {
        let id = event["eventId"].as_str().unwrap();
        let sql = format!("SELECT quarantine_id AS id FROM quarantine WHERE event_id = '{id}'");
        ids.push(crate::ingest::rows(&app.db, &sql).await[0]["id"].clone());
    }
    ids
}

/// So many clicks that are held, each received a minute after the one before, from 10 o'clock on.
pub async fn fill(app: &TestApp, count: u32, payload: &str) {
    let sql = format!(
        "INSERT INTO quarantine (tenant_id, quarantine_id, received_at, batch_id, protocol, event_type,
                                 code, path, message, payload, state_at)
         SELECT 1, md5('q' || n)::uuid, timestamptz '2026-03-01 10:00Z' + n * interval '1 minute',
                md5('b')::uuid, 'native', 'click', 'schema_violation', 'properties.price', 'No.',
                {payload}, now()
         FROM generate_series(1, {count}) AS n"
    );
    run(&app.db, &sql).await;
}

#[tokio::test]
async fn what_is_held_is_listed_newest_first_filtered_and_in_pages() {
    let app = TestApp::start().await;
    fill(&app, 5, "'{}'").await;
    run(
        &app.db,
        "UPDATE quarantine SET code = 'invalid_type' WHERE received_at = '2026-03-01 10:02Z';
         UPDATE quarantine SET event_type = 'view' WHERE received_at = '2026-03-01 10:03Z';
         UPDATE quarantine SET state = 'discarded' WHERE received_at = '2026-03-01 10:04Z';",
    )
    .await;
    let at = |minute: u32| json!(format!("2026-03-01T10:{minute:02}:00+00:00"));
    let list = async |arguments: &str| {
        let query = format!(
            "{{ quarantine({arguments}) {{ totalCount nodes {{ receivedAt }} pageInfo {{ endCursor hasNextPage }} }} }}"
        );
        app.data(&query).await["quarantine"].take()
    };
    for (filter, expected) in [
        ("", vec![5, 4, 3, 2, 1]),
        ("states: [HELD]", vec![5, 3, 2, 1]),
        ("states: [DISCARDED, REPLAYED]", vec![4]),
        (r#"codes: ["invalid_type", "other"]"#, vec![2]),
        (r#"eventTypes: ["view"]"#, vec![3]),
        (
            r#"range: {from: "2026-03-01T10:02:00Z", to: "2026-03-01T10:04:00Z"}"#,
            vec![3, 2],
        ),
        (
            r#"states: [HELD], eventTypes: ["click"], codes: ["schema_violation"]"#,
            vec![5, 1],
        ),
        ("states: []", vec![]),
    ] {
        let found = list(&format!("filter: {{{filter}}}")).await;
        let expected: Vec<Value> = expected.into_iter().map(at).collect();
        assert_eq!(column(&found, "receivedAt"), expected, "{filter}");
        assert_eq!(found["totalCount"], expected.len(), "{filter}");
    }
    let first = list("first: 2").await;
    assert_eq!(column(&first, "receivedAt"), [at(5), at(4)]);
    let next = list(&format!(
        "first: 2, after: {}",
        first["pageInfo"]["endCursor"]
    ))
    .await;
    assert_eq!(column(&next, "receivedAt"), [at(3), at(2)]);
    assert_eq!(next["pageInfo"]["hasNextPage"], true);
    let oldest = list("last: 1").await;
    assert_eq!(column(&oldest, "receivedAt"), [at(1)]);
}

#[tokio::test]
async fn the_same_sent_again_is_held_once() {
    let app = strict().await;
    let bad = priced(&json!(-1));
    for _ in 0..2 {
        hold(&app, &[bad.clone(), priced(&json!(-2))][..1]).await;
    }
    assert_eq!(app.db.number("SELECT count(*) FROM quarantine").await, 1);
}

#[tokio::test]
async fn quarantine_is_for_admins_of_its_own_tenant() {
    let app = strict().await;
    let ids = hold(&app, &[priced(&json!(-1))]).await;
    let reader = key(&app.db, "default", Scope::Read).await;
    let stranger = key(&app.db, "another", Scope::Admin).await;
    let queries = [
        "{ quarantine { totalCount } }".to_owned(),
        format!(
            "mutation {{ replayQuarantined(ids: [{}]) {{ replayed }} }}",
            ids[0]
        ),
        format!(
            "mutation {{ discardQuarantined(ids: [{}]) {{ discarded }} }}",
            ids[0]
        ),
        "mutation { discardQuarantined(filter: {}) { discarded } }".to_owned(),
    ];
    for query in queries {
        let by_reader = app.ask_as(&reader, &query).await;
        assert_eq!(
            by_reader["errors"][0]["extensions"]["code"], "forbidden",
            "{query}"
        );
        let by_stranger = app.ask_as(&stranger, &query).await;
        assert!(by_stranger.get("errors").is_none(), "{by_stranger}");
        let answer = by_stranger["data"].as_object().unwrap().values().next();
        let count = answer.unwrap().as_object().unwrap().values().next();
        assert_eq!(count, Some(&json!(0)), "{query}");
    }
    let held = "SELECT count(*) FROM quarantine WHERE state = 'held'";
    assert_eq!(app.db.number(held).await, 1);
}

#[tokio::test]
async fn what_is_discarded_stays_to_be_read_and_is_not_replayed() {
    let app = strict().await;
    let events = [priced(&json!(-1)), priced(&json!(-2)), priced(&json!(-3))];
    let ids = hold(&app, &events).await;
    let discard = format!(
        "mutation {{ discardQuarantined(ids: [{}]) {{ discarded left }} }}",
        ids[1]
    );
    for expected in [1, 0] {
        assert_eq!(
            app.data(&discard).await["discardQuarantined"],
            json!({"discarded": expected, "left": 0})
        );
    }
    let list = r"{ quarantine(filter: {states: [DISCARDED]}) { nodes { quarantineId eventId } } }";
    assert_eq!(
        app.data(list).await["quarantine"]["nodes"],
        json!([{"quarantineId": ids[1], "eventId": events[1]["eventId"]}])
    );
    let replay = format!(
        "mutation {{ replayQuarantined(ids: [{}], patch: {{properties: {{price: 1}}}}) {{ replayed results {{ status }} }} }}",
        ids[1]
    );
    assert_eq!(
        app.data(&replay).await["replayQuarantined"],
        json!({"replayed": 0, "results": [{"status": "NOT_HELD"}]})
    );
    let all = r#"mutation { discardQuarantined(filter: {codes: ["schema_violation"]}) { discarded left } }"#;
    assert_eq!(
        app.data(all).await["discardQuarantined"],
        json!({"discarded": 2, "left": 0})
    );
    assert_eq!(app.db.number("SELECT count(*) FROM quarantine").await, 3);
}

#[tokio::test]
async fn either_ids_or_a_filter_says_what_is_meant() {
    let app = TestApp::start().await;
    let id = Uuid::new_v4();
    let too_many = vec![format!("\"{id}\""); 1_001].join(", ");
    for arguments in [
        "dryRun: true".to_owned(),
        format!(r#"ids: ["{id}"], filter: {{}}"#),
        format!("ids: [{too_many}]"),
        r#"filter: {codes: ["\u0000"]}"#.to_owned(),
    ] {
        let query = format!("mutation {{ replayQuarantined({arguments}) {{ left }} }}");
        assert_eq!(app.code(&query).await, "invalid_filter", "{arguments}");
    }
    let cursor = "mutation { replayQuarantined(filter: {}, after: \"x\") { left } }";
    assert_eq!(app.code(cursor).await, "invalid_cursor");
}
