//! Redis or PostgreSQL goes away and comes back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidewater::app::Role;
use uuid::Uuid;

use super::{events, lying, until_drained, until_stored};
use crate::crash::stored;
use crate::support::{Redis, TestApp, TestDb, assert_consistent};

/// Sends until it is told to stop; the ids of what was acknowledged, and how often it was not.
async fn hammer(
    app: &TestApp,
    stop: &tokio_util::sync::CancellationToken,
) -> (HashSet<Uuid>, usize) {
    let (mut acknowledged, mut refused) = (HashSet::new(), 0);
    while !stop.is_cancelled() {
        let batch = events(50);
        let (status, answer) = app.send(&json!(batch)).await;
        if status == StatusCode::OK {
            assert_eq!(answer["accepted"], 50, "{answer}");
            let ids = batch.iter().map(|event| event["eventId"].as_str().unwrap());
            acknowledged.extend(ids.map(|id| id.parse::<Uuid>().unwrap()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            refused += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    (acknowledged, refused)
}

async fn refused_with(app: &TestApp, batch: &Value) -> Value {
    let begun = Instant::now();
    let request = app.request(Method::POST, "/v1/batch").json(batch);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    answer["code"].clone()
}

#[tokio::test]
async fn while_redis_is_away_nothing_is_acknowledged_and_afterwards_all_goes_on() {
    let mut redis = Redis::durable().await;
    let app = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::All, |_| ()).await;
    app.accept(&events(10)).await;
    until_stored(&app.db, 10).await;
    let batch = json!(events(10));
    redis.kill().await;
    for _ in 0..3 {
        assert_eq!(refused_with(&app, &batch).await, "log_unavailable");
    }
    redis.start().await;
    while app.send(&batch).await.0 != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_stored(&app.db, 20).await;
    // It hangs: whether it takes what it is sent cannot be known, and is not said.
    redis.signal(Signal::SIGSTOP);
    let batch = json!(events(10));
    assert_eq!(refused_with(&app, &batch).await, "log_unavailable");
    redis.signal(Signal::SIGCONT);
    while app.send(&batch).await.0 != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_stored(&app.db, 30).await;
    until_drained(&app.db, &redis).await;
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_redis_that_is_killed() {
    let mut redis = Redis::durable().await;
    let app = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::All, |_| ()).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let kills = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(rand::random_range(200..600))).await;
            redis.kill().await;
            redis.start().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.cancel();
    };
    let ((one, _), (other, _), ()) = tokio::join!(hammer(&app, &stop), hammer(&app, &stop), kills);
    until_drained(&app.db, &redis).await;
    let stored = stored(&app.db).await;
    assert!(!one.is_empty() && one.union(&other).all(|id| stored.contains(id)));
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn while_the_database_is_away_events_are_taken_and_stored_afterwards() {
    let redis = Redis::durable().await;
    let app = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::All, |_| ()).await;
    app.accept(&events(10)).await;
    until_stored(&app.db, 10).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let outages = async {
        for away in [300, 6_000] {
            app.db.shut().await;
            // Longer than a key is remembered, the second time.
            tokio::time::sleep(Duration::from_millis(away)).await;
            app.accept(&events(10)).await;
            app.db.open().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        stop.cancel();
    };
    let ((acknowledged, refused), ()) = tokio::join!(hammer(&app, &stop), outages);
    assert_eq!(refused, 0);
    until_stored(&app.db, 30 + i64::try_from(acknowledged.len()).unwrap()).await;
    until_drained(&app.db, &redis).await;
    let stored = stored(&app.db).await;
    assert!(acknowledged.iter().all(|id| stored.contains(id)));
    assert_eq!(lying(&app.db, &redis).await, 0);
    assert_consistent(&app.db).await;
}
