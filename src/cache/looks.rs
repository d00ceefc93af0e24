//! Looks at what changed: each is one small statement, and whoever waits shares it.
//!
//! Who wants to know whether something is still true now waits for a look that began after they
//! came. While one is under way all who come wait for the next, so at most two are asked for at a
//! time, however many wait. Where many do, the next one begins a moment later, for more of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::tail::{BACK, MAX_FOUND, Tail};
use crate::storage::Db;
use crate::storage::queries::changes::look;
use crate::telemetry::metrics::Metrics;

/// How old a look may be for those who take old answers before there is another behind them.
const RELAXED: Duration = Duration::from_millis(500);
/// So many who wait are many, and this is the moment.
const MANY: usize = 16;
const GATHER: Duration = Duration::from_millis(1);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The looks of a process.
pub(super) struct Looks {
    db: Db,
    metrics: Metrics,
    tail: RwLock<Tail>,
    wanted: Notify,
    begun: AtomicU64,
    done: watch::Sender<Done>,
}

/// A look that is over.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Which.
    number: u64,
    /// Whether it found anything out.
    worked: bool,
}

impl Looks {
    pub(super) fn new(db: Db, metrics: Metrics) -> Self {
        Self {
            db,
            metrics,
            tail: Tail::new().into(),
            wanted: Notify::new(),
            begun: AtomicU64::new(0),
            done: watch::Sender::new(Done::default()),
        }
    }

    /// What is known.
    pub(super) fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is known what had changed when this was called; whether that worked.
    pub(super) async fn look(&self) -> bool {
        let mut done = self.done.subscribe();
        let next = self.begun.load(Ordering::SeqCst) + 1;
        self.wanted.notify_one();
        // One may be under way, and then there is ours.
        let waiting = tokio::time::timeout(3 * PATIENCE, done.wait_for(|done| done.number >= next));
        let found = waiting.await;
        found.is_ok_and(|found| found.is_ok_and(|done| done.worked))
    }

    /// Has somebody look, unless that was a moment ago; waits for nothing.
    pub(super) fn nudge(&self) {
        if self.tail().looked().elapsed() > RELAXED {
            self.wanted.notify_one();
        }
    }

    /// Looks whenever somebody wants to know, for ever.
    pub(super) async fn run(&self) {
        let mut waited = 0;
        loop {
            self.wanted.notified().await;
            if waited >= MANY {
                tokio::time::sleep(GATHER).await;
            }
            waited = self.done.receiver_count();
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let worked = self.once().await;
            self.done.send_replace(Done { number, worked });
        }
    }

    async fn once(&self) -> bool {
        let began = Instant::now();
        let position = self.tail().position();
        let looking = look(self.db.control(), position, BACK, MAX_FOUND);
        let found = tokio::time::timeout(PATIENCE, looking).await;
        self.metrics.cache_look_seconds.record(began.elapsed());
        let why = match found {
            Ok(Ok(look)) => {
                let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
                tail.take(look, began);
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database does not answer".to_owned(),
        };
        tracing::debug!(why, "what changed is not known");
        self.metrics.cache_look_failures.increment(1);
        false
    }
}
