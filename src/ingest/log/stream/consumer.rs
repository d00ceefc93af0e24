//! Takes what was acknowledged out of the streams and into the database.
//!
//! One task a partition and process; any number of processes share a partition through its consumer
//! group. Transactions take turns, so that a process has no more of them at once than it would
//! have without streams, and a partition that waits for its turn gathers meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::observer::State;
use super::partition::Partition;
use super::{Settings, StreamLog};
use crate::ingest::log::WRITERS;
use crate::ingest::writer::Writer;

/// The consumers of a process.
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct Consumers {
    settings: Arc<Settings>,
    state: watch::Receiver<State>,
    writer: Writer,
}

impl Consumers {
    /// Consumers of what `log` appends to, and of what other configurations have left.
    pub(crate) fn new(log: &StreamLog, writer: Writer) -> Self {
        Self {
            settings: Arc::clone(&log.settings),
            state: log.state.clone(),
            writer,
        }
    }

    /// Consumes until it is told to stop; then finishes the transactions at work, acknowledges, and
    /// leaves the groups.
    pub async fn run(mut self, stop: CancellationToken) {
        let name = format!("worker-{}", Uuid::new_v4());
        let turns = Arc::new(Semaphore::new(WRITERS));
        let mut started = BTreeSet::new();
        let mut partitions = JoinSet::new();
        loop {
            let (installation, found): (_, Vec<u16>) = {
                let state = self.state.borrow_and_update();
                let found = state.partitions.iter();
                (
                    state.installation.clone(),
                    found.map(|health| health.partition).collect(),
                )
            };
            if let Some(installation) = installation {
                for partition in found {
                    if started.insert(partition) {
                        let partition = Partition::new(
                            partition,
                            &installation,
                            &name,
                            &self.settings,
                            &self.writer,
                            &turns,
                        );
                        partitions.spawn(partition.run(stop.clone()));
                    }
                }
            }
            match stop.run_until_cancelled(self.state.changed()).await {
                Some(Ok(())) => {}
                // The observer has ended: so will they.
                Some(Err(_)) => stop.cancelled().await,
                None => break,
            }
        }
        while partitions.join_next().await.is_some() {}
    }
}
