//! What a stream holds is bounded, and what it must not lose it is not given.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tidewater::app::{App, Role};
use tidewater::clock::Clock;
use tidewater::config::IngestMode;

use super::{events, lying, streams, until_drained, until_stored};
use crate::support::{Redis, TestApp, TestDb, assert_consistent, config};

#[tokio::test]
async fn a_full_stream_refuses_at_once_and_loses_nothing() {
    let redis = Redis::durable().await;
    let small = |ingest: &mut tidewater::config::IngestConfig| {
        ingest.stream_partitions = 1;
        ingest.stream_max_mib = 1;
    };
    let sender = TestApp::stream(TestDb::migrated().await, &redis.url(), Role::Api, small).await;
    let mut acknowledged = 0;
    let refused = loop {
        let begun = Instant::now();
        let request = sender.request(Method::POST, "/v1/batch").json(&events(500));
        let response = request.send().await.unwrap();
        if response.status() != StatusCode::OK {
            break (response, begun.elapsed());
        }
        acknowledged += 500;
        assert!(acknowledged < 100_000, "it takes everything");
    };
    let (response, _) = refused;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait = response.headers()["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0);
    // The best of several, for the machine may have other things to do.
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        let (status, answer) = sender.send(&json!(events(1))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["code"], "overloaded");
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
    let key = streams(&sender.db, &redis).await.remove(0);
    let bytes: u64 = redis
        .ask(
            redis::cmd("HGET")
                .arg(key.replace(":events", ":load"))
                .arg("bytes"),
        )
        .await;
    assert!((1024 * 1024..2 * 1024 * 1024).contains(&bytes), "{bytes}");

    let db = std::sync::Arc::clone(&sender.db);
    let worker = TestApp::stream(db, &redis.url(), Role::Worker, small).await;
    until_stored(&worker.db, acknowledged).await;
    until_drained(&worker.db, &redis).await;
    sender.accept(&events(3)).await;
    until_stored(&worker.db, acknowledged + 3).await;
    assert_consistent(&worker.db).await;
}

#[tokio::test]
async fn a_redis_that_would_lose_events_is_refused_with_what_to_do() {
    let db = TestDb::migrated().await;
    for (settings, words) in [
        (vec!["--appendonly", "no"], "appendonly yes"),
        (
            vec!["--appendonly", "yes", "--appendfsync", "no"],
            "appendfsync",
        ),
        (
            vec![
                "--appendonly",
                "yes",
                "--maxmemory",
                "1gb",
                "--maxmemory-policy",
                "allkeys-lru",
            ],
            "noeviction",
        ),
    ] {
        let redis = Redis::with(&settings).await;
        let mut config = config(&db.url(), Some(&redis.url()));
        config.ingest.mode = Some(IngestMode::Stream);
        config.ingest.stream_allow_volatile = false;
        // Some services keep their settings to themselves.
        let forbidden = ["ACL", "SETUSER", "default", "-config"];
        for telling in [true, false] {
            if !telling {
                let mut command = redis::cmd(forbidden[0]);
                let () = redis.ask(command.arg(&forbidden[1..])).await;
            }
            let started = App::build(config.clone(), Role::All, Clock::System).await;
            match started {
                Err(error) => assert!(error.to_string().contains(words), "{error}"),
                // How often it syncs cannot be told then.
                Ok(_) => assert!(!telling && words == "appendfsync", "{settings:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_redis_that_turns_out_to_lose_events_is_given_none() {
    let db = TestDb::migrated().await;
    let mut redis = Redis::stopped(&["--appendonly", "no"]);
    let mut config = config(&db.url(), Some(&redis.url()));
    config.ingest.mode = Some(IngestMode::Stream);
    config.ingest.stream_allow_volatile = false;
    let app = TestApp::start_with(db, config).await;
    let told = async || app.send(&json!(events(1))).await.1["code"].clone();
    while told().await == "unavailable" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told().await, "log_unavailable");
    redis.start().await;
    let refused = async {
        while told().await != "log_not_durable" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await;
    refused.expect("it is not refused");
    assert_eq!(lying(&app.db, &redis).await, 0);
}
