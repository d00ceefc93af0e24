//! Tells the metrics how old the newest stored event is: an age that grows while shops send says
//! that nothing arrives.

use std::time::Duration;

use crate::storage::Db;
use crate::storage::queries::watermark::age;
use crate::telemetry::metrics::Metrics;

const INTERVAL: Duration = Duration::from_secs(15);

/// Looks every 15 seconds; while the database is away the last age stands.
pub async fn run(db: Db, metrics: Metrics) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        match age(db.control()).await {
            Ok(Some(seconds)) => metrics.ingest_watermark_age_seconds.set(seconds),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the watermark was not read"),
        }
    }
}
