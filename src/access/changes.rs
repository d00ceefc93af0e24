//! Which keys changed? Each change of a key has a number, in the order in which they commit
//! (`api_key.changed`). A process looks for newer ones than it knows, for all its requests at once:
//! one small statement, whatever is asked of it. It needs nothing but the database, so any number of
//! processes hear of a change, through any pooler and without Redis.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Identity, MEMORY, STALE};
use crate::storage::entity::api_key;
use crate::storage::queries::keys::changes;
use crate::storage::{Db, StorageError};

/// How long between two looks.
pub(super) const APART: Duration = Duration::from_millis(300);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How old the last look may be for what is remembered to be believed.
const BELIEVED: Duration = Duration::from_millis(900);
/// How many keys that changed are known; for as long as what they were before may be believed.
const CHANGED: u64 = 100_000;

#[derive(Clone, Copy)]
struct Looked {
    /// When the first look had ended: of what changed before it nothing is known.
    since: Instant,
    /// When the last look began.
    last: Instant,
}

/// The changes that were seen.
pub(super) struct Changes {
    /// The number of the last one of each key.
    of: Cache<Uuid, i64>,
    /// The number of the last one; below 0 before the first look.
    last: AtomicI64,
    /// Since when nothing was missed, and when it was last looked.
    looked: Mutex<Option<Looked>>,
    tell: watch::Sender<i64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            of: Cache::builder()
                .max_capacity(CHANGED)
                .time_to_live(STALE + MEMORY)
                .build(),
            last: AtomicI64::new(-1),
            looked: Mutex::default(),
            tell: watch::Sender::new(0),
        }
    }
}

impl Changes {
    /// Looks what changed since; whether nothing that was known before can be believed: this was the
    /// first look, or one at another database.
    pub(super) async fn look(&self, db: &Db) -> bool {
        let begun = Instant::now();
        let last = self.last.load(Ordering::Relaxed);
        // The first look only tells from where on the next one looks.
        let since = if last < 0 { i64::MAX } else { last };
        let looking = tokio::time::timeout(PATIENCE, changes(db.control(), since)).await;
        let looking = looking.unwrap_or_else(|_| {
            Err(StorageError::Unavailable(
                "the database does not answer".to_owned(),
            ))
        });
        let (now, changed) = match looking {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "it is not known which keys changed");
                return false;
            }
        };
        for (key, number) in &changed {
            self.of.insert(*key, *number);
        }
        self.last.store(now, Ordering::Relaxed);
        // A database that knows less than before is another one, or has been restored.
        let is_new = last < 0 || last > now;
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looked.filter(|_| !is_new);
        *looked = Some(Looked {
            since: before.map_or_else(Instant::now, |looked| looked.since),
            last: begun,
        });
        drop(looked);
        if is_new {
            self.of.invalidate_all();
        }
        if now != last {
            self.tell.send_replace(now);
        }
        is_new
    }

    /// What this process changed itself it need not look for.
    pub(super) fn note(&self, key: &api_key::Model) {
        self.of.insert(key.api_key_id, key.changed);
    }

    /// Whether every change is seen since this moment: what was read after it, and has not changed,
    /// is true.
    pub(super) fn are_seen_since(&self, read_at: Instant) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_some_and(|looked| looked.since <= read_at && looked.last.elapsed() < BELIEVED)
    }

    /// Whether a key changed since this was read.
    pub(super) fn is_newer(&self, identity: &Identity) -> bool {
        let changed = self.of.get(&identity.key());
        changed.is_some_and(|number| number > identity.changed())
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.tell.subscribe()
    }
}
