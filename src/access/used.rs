//! When was a key used last, and from where? Noted in memory, and written at most once a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::network::truncated;
use crate::storage::Db;
use crate::storage::writes::keys::{Use, note_used};

/// How far apart what is written of a key is at least.
const APART: Duration = Duration::from_mins(1);
/// After how long without use a key is forgotten here.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// The keys that were used.
#[derive(Default)]
pub(super) struct Used(Mutex<HashMap<Uuid, Last>>);

struct Last {
    at: DateTime<Utc>,
    address: Option<IpAddr>,
    /// Since when there is something to write.
    pending: bool,
    seen: Instant,
    written: Option<Instant>,
}

impl Used {
    /// Notes a use.
    pub(super) fn note(&self, key: Uuid, address: Option<IpAddr>, at: DateTime<Utc>) {
        let mut all = self.lock();
        let written = all.get(&key).and_then(|last| last.written);
        let last = Last {
            at,
            address,
            pending: true,
            seen: Instant::now(),
            written,
        };
        all.insert(key, last);
    }

    /// Writes down what is due.
    pub(super) async fn write(&self, db: &Db) {
        let due: Vec<Use> = {
            let mut all = self.lock();
            all.retain(|_, last| last.pending || last.seen.elapsed() < FORGOTTEN);
            let is_due = |last: &Last| {
                last.pending
                    && last
                        .written
                        .is_none_or(|written| written.elapsed() >= APART)
            };
            let due = all.iter_mut().filter(|(_, last)| is_due(last));
            due.map(|(key, last)| {
                last.pending = false;
                last.written = Some(Instant::now());
                Use {
                    key: *key,
                    at: last.at,
                    address: last.address.map(truncated),
                }
            })
            .collect()
        };
        if due.is_empty() {
            return;
        }
        // What is not written now is written after the next use.
        if let Err(error) = note_used(db.control(), &due).await {
            tracing::debug!(%error, "when keys were used last was not written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
