//! Writes the exports that are queued, and deletes the files whose time is over.

use std::time::Duration;

use crate::clock::Clock;
use crate::reports::Reports;
use crate::reports::exports::run::{Outcome, Rendering};
use crate::reports::exports::sweep;
use crate::storage::Db;
use crate::telemetry::metrics::Metrics;

/// How many exports a process writes at a time: each holds a connection of those that read.
const AT_ONCE: usize = 2;
/// How long to wait where none is queued.
const PAUSE: Duration = Duration::from_secs(1);
/// How often files are deleted.
const SWEEP: Duration = Duration::from_mins(10);

/// Does both for ever; what fails is tried again.
pub async fn run(
    db: Db,
    reports: Reports,
    rendering: impl Rendering,
    metrics: Metrics,
    clock: Clock,
) {
    let writers = (0..AT_ONCE).map(|_| write(&reports, &rendering, &metrics));
    let sweeping = async {
        let mut interval = tokio::time::interval(SWEEP);
        loop {
            interval.tick().await;
            match sweep(&db, clock.now()).await {
                Ok(0) => {}
                Ok(exports) => tracing::info!(exports, "expired exports forgotten"),
                Err(error) => tracing::warn!(%error, "expired exports were not deleted"),
            }
        }
    };
    tokio::join!(futures_util::future::join_all(writers), sweeping);
}

async fn write(reports: &Reports, rendering: &impl Rendering, metrics: &Metrics) {
    loop {
        let outcome = reports.write_next_export(rendering).await;
        match &outcome {
            Ok(Some(Outcome::Done)) => metrics.exports_done.increment(1),
            Ok(Some(Outcome::Failed)) => metrics.exports_failed.increment(1),
            Ok(Some(Outcome::Left) | None) => {}
            Err(error) => tracing::warn!(%error, "no export was taken up"),
        }
        if !matches!(outcome, Ok(Some(_))) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
