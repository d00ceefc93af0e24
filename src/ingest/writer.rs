//! Stores batches, for the log that is PostgreSQL and for the workers of the streams alike.
//!
//! All that is given is stored in one transaction; what cannot be is found by halving, and an event
//! that the database cannot store goes to quarantine alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::log::Written;
use super::poison;
use crate::domain::batch::Batch;
use crate::realtime::bus::{Bus, Committed};
use crate::storage::writes::{Outcome, Stored, StreamEntry, Work, WriteMemory, store};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

/// How many events a transaction gathers before it begins; the last batch may go over.
pub(super) const GATHER: usize = 10_000;
/// How often a transaction is tried that lost against another one.
const ATTEMPTS: u32 = 5;
/// How long a transaction may take in all.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// What is stored as one.
#[derive(Clone, Debug)]
pub(crate) struct Lot {
    /// One batch, or those that were packed together.
    pub(super) batches: Vec<Batch>,
    /// Where it lies, if it comes from a stream.
    pub(super) entry: Option<StreamEntry>,
}

impl Lot {
    /// A batch that lies nowhere else.
    pub(super) fn of(batch: Batch) -> Self {
        Self {
            batches: vec![batch],
            entry: None,
        }
    }

    /// How many events it has.
    pub(super) fn events(&self) -> usize {
        self.batches.iter().map(|batch| batch.events.len()).sum()
    }

    fn work(&self) -> impl Iterator<Item = Work<'_>> {
        let entry = self.entry.as_ref();
        self.batches.iter().map(move |batch| Work { batch, entry })
    }

    /// Cuts it in two; nothing if there is one event in it, or none. The place goes with the second
    /// half, which is stored last: until then the whole is not stored.
    fn halve(&mut self) -> Option<Self> {
        let batches = if self.batches.len() > 1 {
            self.batches.split_off(self.batches.len() / 2)
        } else {
            let batch = self.batches.first_mut()?;
            if batch.events.len() < 2 {
                return None;
            }
            vec![Batch {
                events: batch.events.split_off(batch.events.len() / 2),
                held: Vec::new(),
                rejected: Vec::new(),
                warnings: Vec::new(),
                ..*batch
            }]
        };
        let entry = self.entry.take();
        Some(Self { batches, entry })
    }
}

/// What it takes to store.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) db: Db,
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
    pub(crate) memory: Arc<WriteMemory>,
}

impl Writer {
    /// Stores all of them; what became of each.
    pub(super) async fn write(&self, lots: &[&Lot]) -> Vec<Result<Vec<Written>, StorageError>> {
        let work: Vec<Work<'_>> = lots.iter().flat_map(|lot| lot.work()).collect();
        match self.store_with_retries(&work).await {
            Ok(stored) => {
                let mut outcomes = self.publish(stored).into_iter();
                let own = |lot: &&Lot| {
                    let own = outcomes.by_ref().take(lot.events());
                    Ok(own.map(Written::from).collect())
                };
                lots.iter().map(own).collect()
            }
            Err(error @ StorageError::Unavailable(_)) => {
                self.may_have_committed();
                lots.iter().map(|_| Err(error.clone())).collect()
            }
            // One batch, or one event, is to blame for what happened to all.
            Err(_) => {
                let mut results = Vec::with_capacity(lots.len());
                for lot in lots {
                    let result = self.store_alone(lot).await;
                    if result.is_err() {
                        self.may_have_committed();
                    }
                    results.push(result);
                }
                results
            }
        }
    }

    /// Stores everything of it that can be stored.
    async fn store_alone(&self, lot: &Lot) -> Result<Vec<Written>, StorageError> {
        let mut written = Vec::with_capacity(lot.events());
        let mut open = vec![lot.clone()];
        while let Some(mut part) = open.pop() {
            let work: Vec<Work<'_>> = part.work().collect();
            match self.store_with_retries(&work).await {
                Ok(stored) => written.extend(self.publish(stored).into_iter().map(Written::from)),
                Err(StorageError::Rejected(error)) => {
                    if let Some(rest) = part.halve() {
                        open.extend([rest, part]);
                        continue;
                    }
                    let Some(batch) = part.batches.first_mut() else {
                        return Err(StorageError::Rejected(error));
                    };
                    let Some(event) = batch.events.pop() else {
                        return Err(StorageError::Rejected(error));
                    };
                    tracing::warn!(%error, event_id = %event.what.id, "event quarantined");
                    batch.held.push(poison::held(batch, event));
                    let work: Vec<Work<'_>> = part.work().collect();
                    let stored = self.store_with_retries(&work).await?;
                    self.publish(stored);
                    self.metrics.stored_held.increment(1);
                    written.push(Written::Held);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// The connection may have broken at the commit: what it stored, if it did, is not known here.
    fn may_have_committed(&self) {
        self.bus.gap();
    }

    async fn store_with_retries(&self, work: &[Work<'_>]) -> Result<Stored, StorageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let begun = Instant::now();
            let result = timeout(TRANSACTION_TIMEOUT, store(&self.db, &self.memory, work))
                .await
                .unwrap_or_else(|_| {
                    Err(StorageError::Unavailable(
                        "the transaction took too long".into(),
                    ))
                });
            self.metrics
                .ingest_transaction_seconds
                .record(begun.elapsed());
            let Err(error) = result else {
                return result;
            };
            self.metrics.ingest_failures.increment(1);
            let passing = matches!(
                error,
                StorageError::Retry(_) | StorageError::MissingPartition(_)
            );
            if !passing || attempt == ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(10) * attempt).await;
        }
    }

    /// Counts, and tells everyone what was sold; gives the outcomes back.
    fn publish(&self, stored: Stored) -> Vec<Outcome> {
        let metrics = &self.metrics;
        metrics
            .identity_refused
            .increment(stored.ids_not_joined as u64);
        metrics
            .ingest_collisions
            .increment(stored.collisions as u64);
        metrics.ingest_commit_seconds.record(stored.commit);
        #[allow(clippy::cast_precision_loss, reason = "a transaction is small")]
        metrics
            .ingest_transaction_events
            .record(stored.outcomes.len() as f64);
        for (counter, outcome) in [
            (&metrics.stored_accepted, Outcome::Accepted),
            (&metrics.stored_duplicate, Outcome::Duplicate),
            (&metrics.stored_conflict, Outcome::Conflict),
            (&metrics.stored_erased, Outcome::Erased),
        ] {
            let count = stored.outcomes.iter().filter(|one| **one == outcome);
            counter.increment(count.count() as u64);
        }
        if !stored.sales.is_empty() {
            self.bus.publish(Committed {
                transaction_id: stored.transaction_id,
                sales: stored.sales,
            });
        }
        stored.outcomes
    }
}
