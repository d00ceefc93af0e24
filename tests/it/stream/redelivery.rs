//! Redis gives an entry more than once: it counts once.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx;
use tidewater::app::Role;
use uuid::Uuid;

use super::{events, lying, streams, until_drained, until_stored};
use crate::crash::{kill_while_sending, stored};
use crate::support::{Redis, TestApp, TestDb, assert_consistent};

/// The receipts of all batches, as text.
async fn receipts(db: &TestDb) -> Vec<String> {
    sqlx::query_scalar("SELECT receipt::text FROM receipt ORDER BY 1")
        .fetch_all(&mut db.connect().await)
        .await
        .unwrap()
}

/// Everything that lies in a stream: the fields of each entry.
async fn contents(redis: &Redis, key: &str) -> Vec<Vec<Vec<u8>>> {
    let entries: Vec<(String, Vec<Vec<u8>>)> = redis
        .ask(redis::cmd("XRANGE").arg(key).arg("-").arg("+"))
        .await;
    entries.into_iter().map(|(_, fields)| fields).collect()
}

#[tokio::test]
async fn a_packet_that_lies_there_twice_is_stored_once_whenever_it_comes() {
    let redis = Redis::durable().await;
    let sender = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::Api, |_| ()).await;
    sender.accept(&events(60)).await;
    let mut packets = Vec::new();
    for key in streams(&sender.db, &redis).await {
        for fields in contents(&redis, &key).await {
            packets.push((key.clone(), fields));
        }
    }
    assert!(packets.len() > 1);
    let append = async || {
        for (key, fields) in &packets {
            let mut append = redis::cmd("XADD");
            append.arg(key).arg("*").arg(fields);
            redis.ask::<String>(&append).await;
        }
    };
    // As when the first answer was lost: both are given to the worker at once.
    append().await;
    let db = Arc::clone(&sender.db);
    let worker = TestApp::stream(db, &redis.url(), Role::Worker, |_| ()).await;
    until_drained(&worker.db, &redis).await;
    until_stored(&worker.db, 60).await;
    let told = receipts(&worker.db).await;
    // As when the acknowledgement was lost.
    append().await;
    until_drained(&worker.db, &redis).await;
    assert!(worker.metric("tidewater_ingest_stored_total").await <= 60.0);
    // As when that was forgotten: the events' ids are known.
    sqlx::raw_sql("DELETE FROM stream_entry")
        .execute(&mut worker.db.connect().await)
        .await
        .unwrap();
    append().await;
    until_drained(&worker.db, &redis).await;
    assert_eq!(receipts(&worker.db).await, told);
    until_stored(&worker.db, 60).await;
    assert_consistent(&worker.db).await;
}

#[tokio::test]
async fn what_a_dead_worker_was_given_is_claimed_and_stored_once() {
    let redis = Redis::durable().await;
    let sender = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::Api, |_| ()).await;
    sender.accept(&events(60)).await;
    // A worker that was given everything and dies.
    for key in streams(&sender.db, &redis).await {
        let mut make = redis::cmd("XGROUP");
        make.arg("CREATE").arg(&key).arg("tidewater").arg("0");
        redis.ask::<()>(&make).await;
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg("tidewater").arg("dead");
        read.arg("STREAMS").arg(&key).arg(">");
        redis.ask::<redis::Value>(&read).await;
    }
    let one = TestApp::stream(Arc::clone(&sender.db), &redis.url(), Role::Worker, |_| ()).await;
    let other = TestApp::stream(Arc::clone(&sender.db), &redis.url(), Role::Worker, |_| ()).await;
    until_stored(&sender.db, 60).await;
    until_drained(&sender.db, &redis).await;
    let redelivered = "tidewater_stream_redelivered_total";
    assert!(one.metric(redelivered).await + other.metric(redelivered).await > 0.0);
    assert_consistent(&sender.db).await;
}

#[tokio::test]
async fn two_workers_that_have_the_same_entry_at_once_store_it_once() {
    let redis = Redis::durable().await;
    let sender = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::Api, |_| ()).await;
    sender.accept(&events(30)).await;
    // Whoever stores waits here, longer than it takes to be thought dead.
    let mut holder = sender.db.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE watermark")
        .execute(&mut holder)
        .await
        .unwrap();
    let one = TestApp::stream(Arc::clone(&sender.db), &redis.url(), Role::Worker, |_| ()).await;
    let other = TestApp::stream(Arc::clone(&sender.db), &redis.url(), Role::Worker, |_| ()).await;
    let redelivered = "tidewater_stream_redelivered_total";
    let both = async {
        while one.metric(redelivered).await + other.metric(redelivered).await == 0.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .unwrap();
    // Both are at it now, one behind the other.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sender.db.number("SELECT count(*) FROM event").await, 0);
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    until_stored(&sender.db, 30).await;
    until_drained(&sender.db, &redis).await;
    let counted = "tidewater_ingest_stored_total";
    let counted = one.metric(counted).await + other.metric(counted).await;
    assert!((counted - 30.0).abs() < f64::EPSILON, "{counted}");
    assert_consistent(&sender.db).await;
}

#[tokio::test]
async fn what_cannot_be_read_goes_to_the_dead_letters_and_the_rest_goes_on() {
    let redis = Redis::durable().await;
    let app = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::All, |_| ()).await;
    let key = streams(&app.db, &redis).await.remove(0);
    for packet in ["", "\u{1}rubbish", "\u{7f}of a later version"] {
        let mut append = redis::cmd("XADD");
        append
            .arg(&key)
            .arg("*")
            .arg("packet")
            .arg(packet)
            .arg("events")
            .arg(0);
        redis.ask::<String>(&append).await;
    }
    app.accept(&events(30)).await;
    until_stored(&app.db, 30).await;
    until_drained(&app.db, &redis).await;
    let dead = contents(&redis, &key.replace(":events", ":dead")).await;
    let field = |entry: &[Vec<u8>], n: usize| String::from_utf8_lossy(&entry[n]).into_owned();
    let dead: Vec<[String; 3]> = dead
        .iter()
        .map(|entry| [field(entry, 1), field(entry, 4), field(entry, 5)])
        .collect();
    assert_eq!(
        dead,
        [
            ["", "why", "it is no packet"],
            ["\u{1}rubbish", "why", "it is no packet"],
            [
                "\u{7f}of a later version",
                "why",
                "it is of version 127, which this program does not know"
            ],
        ]
        .map(|entry| entry.map(str::to_owned))
    );
    assert!((app.metric("tidewater_stream_dead_total").await - 3.0).abs() < f64::EPSILON);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_was_acknowledged_by_a_server_that_is_killed_is_stored_by_the_next_once() {
    let (db, redis) = (TestDb::migrated().await, Redis::durable().await);
    let (database_url, redis_url) = (db.url(), redis.url());
    let (process, all) = kill_while_sending(&[
        ("DATABASE_URL", &database_url),
        ("REDIS_URL", &redis_url),
        ("TIDEWATER_STREAM_CLAIM_SECONDS", "1"),
    ])
    .await;
    until_drained(&db, &redis).await;
    let stored: std::collections::HashSet<Uuid> = stored(&db).await;
    assert!(stored == all, "{} of {}", stored.len(), all.len());
    assert_consistent(&db).await;
    assert!(process.terminate().await);
    assert_eq!(lying(&db, &redis).await, 0);
}
