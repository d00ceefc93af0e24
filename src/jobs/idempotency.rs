//! Keeps the idempotency log small: sorts what was closed into pages, forgets what is past the
//! window, and drops the receipts of the days before it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::storage::partitions::drop_receipts_before;
use crate::storage::writes::WriteMemory;
use crate::storage::{Db, StorageError};

/// A run of the log is closed every 900,000 ids, at most every few seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs the job every two seconds; what fails is tried again the next time.
pub async fn run(db: Db, memory: Arc<WriteMemory>, window: Duration, clock: Clock) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = once(&db, &memory, window, &clock).await {
            tracing::warn!(%error, "the idempotency log was not kept");
        }
    }
}

/// Runs the job once.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn once(
    db: &Db,
    memory: &WriteMemory,
    window: Duration,
    clock: &Clock,
) -> Result<(), StorageError> {
    memory.keep_idempotency(db, window).await?;
    let dropped = drop_receipts_before(db.writes(), (clock.now() - window).date_naive()).await?;
    if dropped > 0 {
        tracing::info!(days = dropped, "receipts dropped");
    }
    Ok(())
}
