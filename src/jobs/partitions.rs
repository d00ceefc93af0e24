//! Makes the partitions of this month and the next two, and of today and the next two days, so
//! that no event waits for one; drops those of receipts that are past the idempotency window.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Clock;
use crate::storage::partitions::{KnownSpans, Span, drop_receipts_before};
use crate::storage::{Db, StorageError};

const INTERVAL: Duration = Duration::from_hours(1);

/// Does both every hour; what fails is tried again the next time.
pub async fn run(db: Db, window: Duration, clock: Clock) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = once(&db, &clock).await {
            tracing::warn!(%error, "partitions were not made ahead");
        }
        let first_kept = (clock.now() - window).date_naive();
        match drop_receipts_before(db.writes(), first_kept).await {
            Ok(0) => {}
            Ok(days) => tracing::info!(days, "receipts dropped"),
            Err(error) => tracing::warn!(%error, "old receipts were not dropped"),
        }
    }
}

/// Makes the partitions.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn once(db: &Db, clock: &Clock) -> Result<(), StorageError> {
    let now = clock.now();
    let spans: BTreeSet<Span> = [Span::of(now), Span::of_receipts(now)]
        .into_iter()
        .flat_map(|this| [this, this.next(), this.next().next()])
        .collect();
    // Asks the database each time: another process may have restored it from a backup.
    KnownSpans::default().ensure(db.writes(), &spans).await
}
