//! What is kept of answers: never older than it says, and asked once for all.

mod flights;
mod headers;
mod outages;
mod random;
mod ranges;

use std::time::Duration;

use serde_json::Value;

use crate::support::TestApp;

/// As much as a server keeps by default.
const BYTES: u64 = 64 * 1024 * 1024;
const UP: &str = "tidewater_cache_redis_up";
const MISSES: &str = r#"tidewater_cache_answers_total{found="nowhere"}"#;
const OF_RESPONSES: &str = r#"tidewater_cache_answers_total{found="response"}"#;

/// What was sold between two days of March, to one who takes answers so old.
fn sales(from: u32, to: u32, max_staleness: u32) -> String {
    format!(
        r#"{{ sales(range: {{from: "2026-03-{from:02}T00:00:00Z", to: "2026-03-{to:02}T00:00:00Z"}},
            maxStaleness: {max_staleness}) {{ totals {{ orders }} provenance {{ cache asOf }} }} }}"#
    )
}

/// An answer and where it was found.
async fn found(app: &TestApp, query: &str) -> (String, Value) {
    let mut data = app.data(query).await;
    let report = data.as_object_mut().unwrap().values_mut().next().unwrap();
    let cache = report["provenance"]["cache"].as_str().unwrap().to_owned();
    (cache, report.take())
}

/// Where an answer was found.
async fn whence(app: &TestApp, query: &str) -> String {
    found(app, query).await.0
}

/// Waits until it keeps answers in Redis.
async fn until_up(app: &TestApp) {
    until("up", async || app.metric(UP).await > 0.0).await;
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looking = tokio::time::timeout(Duration::from_secs(30), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    looking.await.unwrap_or_else(|_| panic!("never {what}"));
}
