//! More comes than can be stored.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::support::{KEY, Process, Proxy, TestDb, assert_consistent};

/// How much a server holds at most, whatever comes: what docs/OPERATIONS.md says.
const BOUND_MIB: u64 = 512;
const SENDERS: usize = 120;

/// One to 300 events, and 3 MB in either case: what is not kept of a body is held with it.
fn body(events: usize) -> (usize, Bytes) {
    let padding = "x".repeat(10_000);
    let event = |_| {
        json!({"eventId": Uuid::new_v4(), "type": "click", "timestamp": "2026-03-01T12:00:00Z",
               "userId": "u1", "properties": {"padding": padding}})
    };
    let mut body = (0..events).map(event).collect::<Value>().to_string();
    body.push_str(&" ".repeat(3_000_000_usize.saturating_sub(body.len())));
    (events, body.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_postgresql_stopped_senders_are_refused_and_memory_stays_bounded() {
    let db = TestDb::migrated().await;
    let proxy = Proxy::before(&db).await;
    let server = Process::serve(&[("DATABASE_URL", &proxy.url)]).await;
    let address = format!("{}/v1/batch?receipts=summary", server.url);
    let client = Client::builder().no_proxy().build().unwrap();
    let send = Arc::new(move |body: Bytes| {
        let request = client.post(&address).bearer_auth(KEY).body(body);
        let request = request.header("content-type", "application/json");
        async move { request.send().await.unwrap() }
    });
    // Its key and rules are known from here on.
    let (first, bytes) = body(1);
    assert_eq!(send(bytes).await.status(), StatusCode::OK);

    proxy.hold(true);
    // Longer than keys and rules are remembered, shorter than a statement may take.
    let end = Instant::now() + Duration::from_secs(12);
    let senders = (0..SENDERS).map(|n| {
        let send = Arc::clone(&send);
        tokio::spawn(async move {
            let (mut acknowledged, mut refused) = (0, 0);
            while Instant::now() < end {
                let (events, bytes) = body(if n % 2 == 0 { 1 } else { 300 });
                let answer = send(bytes).await;
                match answer.status() {
                    StatusCode::OK => acknowledged += events,
                    StatusCode::SERVICE_UNAVAILABLE => {
                        assert!(answer.headers().contains_key("retry-after"));
                        refused += 1;
                        sleep(Duration::from_millis(500)).await;
                    }
                    other => panic!("{other}"),
                }
            }
            (acknowledged, refused)
        })
    });
    let senders: Vec<_> = senders.collect();
    sleep_until(end).await;
    let peak = server.peak_memory();
    proxy.hold(false);
    assert!(peak < BOUND_MIB, "the server took {peak} MiB");

    let (mut acknowledged, mut refused) = (first, 0);
    for sender in senders {
        let (more_acknowledged, more_refused) = sender.await.unwrap();
        acknowledged += more_acknowledged;
        refused += more_refused;
    }
    assert!(refused > 20, "only {refused} requests were refused");
    // Those whose batches waited were answered in the end.
    assert!(acknowledged > first);
    let stored = db.number("SELECT count(*) FROM event").await;
    assert_eq!(stored, i64::try_from(acknowledged).unwrap());
    assert_consistent(&db).await;
}
