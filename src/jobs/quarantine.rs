//! Removes from quarantine what is past its retention, and says so: whatever became of it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::storage::entity::quarantine::State;
use crate::storage::writes::quarantine::expire;
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

const INTERVAL: Duration = Duration::from_hours(1);
/// How many events of a tenant go in one statement.
const AT_ONCE: u32 = 1_000;

/// Runs the job every hour; what fails is tried again the next time.
pub async fn run(db: Db, metrics: Metrics, days: u32, clock: Clock) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = once(&db, &metrics, days, &clock).await {
            tracing::warn!(%error, "the quarantine was not cleared of what is past its retention");
        }
    }
}

/// Runs the job once.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn once(
    db: &Db,
    metrics: &Metrics,
    days: u32,
    clock: &Clock,
) -> Result<(), StorageError> {
    let before = clock.now() - TimeDelta::days(i64::from(days));
    loop {
        let gone = expire(db.control(), before, AT_ONCE).await?;
        if gone.is_empty() {
            return Ok(());
        }
        for expired in gone {
            let (tenant, events) = (expired.tenant_id, expired.events);
            let counter = match expired.state {
                State::Held => {
                    tracing::warn!(tenant, events, "quarantined events were removed unresolved");
                    &metrics.quarantine_expired_held
                }
                State::Replayed => {
                    tracing::info!(
                        tenant,
                        events,
                        "replayed events were removed from quarantine"
                    );
                    &metrics.quarantine_expired_replayed
                }
                State::Discarded => {
                    tracing::info!(
                        tenant,
                        events,
                        "discarded events were removed from quarantine"
                    );
                    &metrics.quarantine_expired_discarded
                }
            };
            counter.increment(u64::try_from(events).unwrap_or(0));
        }
    }
}
