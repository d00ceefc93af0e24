//! Events that go through a Redis Stream: acknowledged after the append, stored by workers, once.

mod bounds;
mod cluster;
mod outages;
mod redelivery;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidewater::app::Role;

use crate::support::{Order, Redis, TestApp, TestDb, assert_consistent, pageview, services};

/// Waits until so many events are stored.
async fn until_stored(db: &TestDb, events: i64) {
    let stored = async {
        while db.number("SELECT count(*) FROM event").await < events {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), stored).await;
    let count = db.number("SELECT count(*) FROM event").await;
    assert!(waited.is_ok() && count == events, "{count} of {events}");
}

/// Waits until no stream of this database holds anything.
async fn until_drained(db: &TestDb, redis: &Redis) {
    let drained = async {
        while lying(db, redis).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), drained).await;
    waited.expect("the streams do not get empty");
}

/// The keys of this database's streams.
async fn streams(db: &TestDb, redis: &Redis) -> Vec<String> {
    let mut connection = db.connect().await;
    let sql = "SELECT current_database() || ':' || installation_id FROM installation";
    let name: String = sea_orm::sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let mut keys: Vec<String> = redis
        .ask(redis::cmd("KEYS").arg(format!("tidewater:{{{name}:*}}:events")))
        .await;
    keys.sort();
    keys
}

/// How many entries lie in the streams.
async fn lying(db: &TestDb, redis: &Redis) -> usize {
    let mut entries = 0;
    for key in streams(db, redis).await {
        entries += redis.ask::<usize>(redis::cmd("XLEN").arg(key)).await;
    }
    entries
}

/// Orders and pageviews of several users.
fn events(count: usize) -> Vec<Value> {
    let one = |n: usize| {
        let user = format!("u{}", n % 17);
        let time = format!("2026-03-01T12:{:02}:00Z", n % 60);
        match n % 3 {
            0 => Order::of("mug").by(&user).at(time).event(),
            _ => pageview(&user, "/", time),
        }
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn what_is_appended_is_acknowledged_and_arrives() {
    let app = TestApp::stream(
        TestDb::migrated().await,
        &services().redis_url,
        Role::All,
        |_| (),
    )
    .await;
    let mut batch = events(20);
    let again = batch[0].clone();
    let mut other = again.clone();
    other["userId"] = "another".into();
    batch.extend([again, other, json!({"type": "?"})]);
    let (status, answer) = app.send(&json!(batch)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let told = [
        "durability",
        "accepted",
        "duplicates",
        "conflicts",
        "rejected",
    ];
    // The Redis of all tests keeps nothing. What is a duplicate turns out later.
    assert_eq!(
        told.map(|field| answer[field].clone()),
        [json!("none"), json!(22), json!(0), json!(0), json!(1)]
    );
    until_stored(&app.db, 20).await;
    app.accept(&events(3)).await;
    until_stored(&app.db, 23).await;

    // The receipts say what became of each in the end.
    let fates = "SELECT count(*) FROM receipt, generate_series(21, length(outcomes), 21) AS n
                 WHERE batch_id = (SELECT min(batch_id::text)::uuid FROM receipt)
                 AND get_byte(outcomes, n - 1) = ";
    let mut counted = Vec::new();
    for fate in 0..4 {
        counted.push(app.db.number(&format!("{fates}{fate}")).await);
    }
    assert_eq!(
        counted[0] + counted[1] + counted[2] + counted[3],
        23,
        "{counted:?}"
    );
    assert_eq!((counted[0], counted[3]), (20, 1), "{counted:?}");
    for _ in 0..100 {
        if app.metric("tidewater_stream_lag_entries").await == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for lag in ["entries", "events", "bytes", "seconds"] {
        let lag = format!("tidewater_stream_lag_{lag}");
        assert!(app.metric(&lag).await.abs() < f64::EPSILON, "{lag}");
    }
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_event_that_the_database_cannot_store_is_quarantined_alone() {
    let app = TestApp::stream(
        TestDb::migrated().await,
        &services().redis_url,
        Role::All,
        |_| (),
    )
    .await;
    app.accept(&[Order::of("gold").event()]).await;
    until_stored(&app.db, 1).await;
    // As after a year's worth of the largest orders in one minute.
    let full = "UPDATE sales_minute SET revenue = 9223372036854775807";
    sea_orm::sqlx::raw_sql(full)
        .execute(&mut app.db.connect().await)
        .await
        .unwrap();
    let gold = Order::of("gold").event();
    let id = gold["eventId"].as_str().unwrap().to_owned();
    let elsewhere = |minute: u32| {
        let order = Order::of("mug").at(format!("2026-03-01T12:{minute:02}:00Z"));
        order.event()
    };
    app.accept(&[elsewhere(1), gold, elsewhere(2), elsewhere(3)])
        .await;
    until_stored(&app.db, 4).await;
    let held = format!("SELECT count(*) FROM quarantine WHERE event_id = '{id}'");
    assert_eq!(app.db.number(&held).await, 1);
    let told = "SELECT count(*) FROM receipt, generate_series(21, length(outcomes), 21) AS n
                WHERE get_byte(outcomes, n - 1) = 4";
    assert_eq!(app.db.number(told).await, 1);
}

#[tokio::test]
async fn a_changed_number_of_partitions_loses_nothing() {
    let redis = Redis::durable().await;
    let sender = TestApp::stream(
        TestDb::migrated().await,
        &redis.url(),
        Role::Api,
        |ingest| {
            ingest.stream_partitions = 7;
        },
    )
    .await;
    let (status, answer) = sender.send(&json!(events(100))).await;
    assert_eq!(
        (status, &answer["durability"]),
        (StatusCode::OK, &json!("always"))
    );
    assert_eq!(streams(&sender.db, &redis).await.len(), 7);
    assert_eq!(sender.db.number("SELECT count(*) FROM event").await, 0);
    sender.stop();

    let db = std::sync::Arc::clone(&sender.db);
    let app = TestApp::stream(db, &redis.url(), Role::All, |ingest| {
        ingest.stream_partitions = 2;
    })
    .await;
    app.accept(&events(50)).await;
    until_stored(&app.db, 150).await;
    until_drained(&app.db, &redis).await;
    assert_consistent(&app.db).await;
}
