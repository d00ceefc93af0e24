//! Keeps the idempotency log small: sorts what was closed into pages, and forgets what is past the
//! window.

use std::sync::Arc;
use std::time::Duration;

use crate::storage::Db;
use crate::storage::writes::WriteMemory;

/// A run of the log is closed every 900,000 ids, at most every few seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs the job every two seconds; what fails is tried again the next time.
pub async fn run(db: Db, memory: Arc<WriteMemory>, window: Duration) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = memory.keep_idempotency(&db, window).await {
            tracing::warn!(%error, "the idempotency log was not kept");
        }
    }
}
