//! Answers that were given, kept for as long as they are true.
//!
//! **What is true is known from the database, not from messages.** Every transaction that changes
//! facts marks the hours that it changes with its number ([`crate::storage::queries::changes`]). An
//! answer is kept with the hours that it is made of ([`DependsOn`]) and the number of the last
//! change that it saw; it is true until one of those hours is marked with a later one. Each process
//! asks what was marked since it asked last ([`looks`]) and remembers it ([`tail`]). Who wants an
//! answer of this moment waits for such a look that began after they came, which all who wait
//! share; who takes an older one need not. What is not known is taken for changed.
//!
//! An answer is kept in this process, and in Redis where there is one ([`shared`]); it is made once
//! for all who wait for it ([`flights`]), here and, for a while, in other processes. Whole responses
//! are kept in this process alone, with all that their answers depend on.
//!
//! The room knows nothing of what is asked: a [`Source`] has a key and makes bytes. It may import
//! storage. The next thing to keep: a `Source` in `reports`.

mod answers;
mod dependency;
mod documents;
mod entry;
mod erasures;
mod flights;
mod key;
mod looks;
mod response;
mod shared;
mod tail;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redis::RedisError;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::RedisUrl;
use crate::error::Problem;
use crate::storage::Db;
use crate::telemetry::metrics::Metrics;
use documents::Documents;
use entry::Entry;
use flights::Flights;
use looks::Looks;
use shared::Shared;

pub use answers::Source;
pub use dependency::DependsOn;
pub use entry::Made;
pub use key::Key;
pub use response::{Collected, Served};

/// No entry may take more than this part of the memory.
const LARGEST_PART: u64 = 8;

/// Where an answer was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cached {
    /// In this process.
    HitProcess,
    /// In Redis.
    HitShared,
    /// Somewhere, though it is no longer true; it was, no longer ago than the client allows.
    Stale,
    /// In the database.
    Miss,
    /// In the database, without looking elsewhere.
    #[default]
    Bypass,
}

/// What is kept. Without memory for it, nothing is.
#[derive(Clone, Default)]
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Cache(Option<Arc<Inner>>);

struct Inner {
    clock: Clock,
    metrics: Metrics,
    looks: Looks,
    entries: moka::sync::Cache<Key, Arc<Entry>>,
    /// How large an entry may be.
    largest: usize,
    shared: Option<Arc<Shared>>,
    flights: Flights,
    /// What is being made anew behind those who are served.
    renewing: Mutex<HashSet<Key>>,
    documents: Documents,
}

/// An answer, and where it was found.
#[derive(Clone, Debug)]
pub struct Answered {
    entry: Arc<Entry>,
    /// Where.
    pub cached: Cached,
}

impl Answered {
    /// The answer.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.entry.made.body
    }

    /// How long it may still be shown to one who takes answers so old.
    #[must_use]
    pub fn fresh_for(&self, max_staleness: Duration) -> Duration {
        max_staleness.saturating_sub(self.entry.age())
    }
}

impl Cache {
    /// Keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Keeps so many bytes here, and more in a Redis. What it does behind the requests ends with
    /// `stop`.
    ///
    /// # Errors
    /// When the URL is not one of a Redis.
    pub fn start(
        bytes: u64,
        db: &Db,
        redis: Option<&RedisUrl>,
        clock: &Clock,
        metrics: &Metrics,
        stop: &CancellationToken,
    ) -> Result<Self, RedisError> {
        if bytes == 0 {
            return Ok(Self::off());
        }
        let shared = redis.map(|url| Shared::new(url, metrics)).transpose()?;
        let weigher = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.size()).unwrap_or(u32::MAX);
        let inner = Arc::new(Inner {
            clock: clock.clone(),
            metrics: metrics.clone(),
            looks: Looks::new(db.clone(), metrics.clone()),
            entries: moka::sync::Cache::builder()
                .max_capacity(bytes)
                .weigher(weigher)
                .build(),
            largest: usize::try_from(bytes / LARGEST_PART).unwrap_or(usize::MAX),
            shared: shared.map(Arc::new),
            flights: Flights::default(),
            renewing: Mutex::default(),
            documents: Documents::default(),
        });
        let (looking, sharing) = (Arc::clone(&inner), inner.shared.clone());
        let db = db.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            looking.looks.run().await;
        }));
        let (forgetting, source) = (Arc::clone(&inner), db.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            forgetting.forget_the_erased(&source).await;
        }));
        if let Some(shared) = sharing {
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                shared.run(&db).await;
            }));
        }
        Ok(Self(Some(inner)))
    }

    /// Whether anything is kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Answers from what is kept, or else has it made, once for all who wait. Nothing if nothing
    /// is kept.
    ///
    /// # Errors
    /// Why it could not be made.
    pub async fn answer(&self, source: &impl Source) -> Result<Option<Answered>, Problem> {
        match &self.0 {
            Some(inner) => inner.answer(source).await.map(Some),
            None => Ok(None),
        }
    }

    /// Leave to make an answer anew, unless that is being done.
    #[must_use]
    pub fn begin_renewing(&self, key: Key) -> Option<Renewal> {
        let inner = self.0.as_ref()?;
        let mut renewing = inner
            .renewing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        renewing.insert(key).then(|| Renewal {
            inner: Arc::clone(inner),
            key,
        })
    }
}

/// Leave to make an answer anew, until it is dropped.
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Renewal {
    inner: Arc<Inner>,
    key: Key,
}

impl Renewal {
    /// Makes it.
    pub async fn renew(self, source: &impl Source) {
        self.inner.renew(source).await;
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        let renewing = self.inner.renewing.lock();
        let mut renewing = renewing.unwrap_or_else(PoisonError::into_inner);
        renewing.remove(&self.key);
    }
}

impl Inner {
    /// What this process has.
    fn kept(&self, key: Key) -> Option<Arc<Entry>> {
        let entry = self.entries.get(&key)?;
        // Keys are hashes.
        (entry.tenant == key.tenant).then_some(entry)
    }

    /// Keeps an entry, unless a newer one is there.
    fn keep(&self, key: Key, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let is_newer =
            |known: &Arc<Entry>| known.era == entry.era && known.made.number > entry.made.number;
        let has_newer = self.kept(key).as_ref().is_some_and(is_newer);
        if entry.size() <= self.largest && !has_newer {
            self.entries.insert(key, Arc::clone(&entry));
            let bytes = u32::try_from(self.entries.weighted_size()).unwrap_or(u32::MAX);
            self.metrics.cache_bytes.set(f64::from(bytes));
        }
        entry
    }
}
