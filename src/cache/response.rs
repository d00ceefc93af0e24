//! Whole responses, kept with all that the answers in them depend on.
//!
//! A response is kept once all its answers came out of this process: then what it says of itself is
//! true the next time, too. It is served only while it is true; who takes older answers is asked
//! through to them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::entry::{Entry, Made};
use super::{Answered, Cache, Cached, DependsOn, Key};
use crate::domain::calendar::floor_minute;

/// The answers in one response.
#[derive(Debug, Default)]
pub struct Collected(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    answers: Vec<Answered>,
    /// The worst of where they were found.
    cached: Option<Cached>,
    /// The least of how old they may be.
    max_staleness: Option<Duration>,
    /// How long the first of them may still be shown.
    fresh_for: Option<Duration>,
    /// How many rows they were expected to go through.
    rows_estimated: i64,
    /// The minute that a range which ends now was resolved in.
    until: Option<DateTime<Utc>>,
}

/// What there is to say of a response as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where it was found, or the worst of its answers.
    pub cached: Cached,
    /// Whether it was found as a whole.
    pub whole: bool,
    /// How long it may still be shown.
    pub fresh_for: Duration,
}

impl Collected {
    /// One more answer, to one who takes answers so old; nothing if it is not kept.
    pub fn add(&self, answered: Option<&Answered>, max_staleness: Duration) {
        let mut parts = self.lock();
        let cached = answered.map_or(Cached::Bypass, |answered| answered.cached);
        parts.cached = parts.cached.max(Some(cached));
        let fresh_for = answered.map_or(max_staleness, |one| one.fresh_for(max_staleness));
        let least = |known: Option<Duration>, one| known.map_or(one, |known| known.min(one));
        parts.max_staleness = Some(least(parts.max_staleness, max_staleness));
        parts.fresh_for = Some(least(parts.fresh_for, fresh_for));
        parts.answers.extend(answered.cloned());
    }

    /// So many rows an answer was expected to go through, when it was made.
    pub fn estimated(&self, rows: i64) {
        let mut parts = self.lock();
        parts.rows_estimated = parts.rows_estimated.saturating_add(rows);
    }

    /// How many rows all answers were expected to go through.
    #[must_use]
    pub fn rows_estimated(&self) -> i64 {
        self.lock().rows_estimated
    }

    /// A range ends at this moment: the next minute it is another.
    pub fn resolve(&self, now: DateTime<Utc>) {
        let end = floor_minute(now) + TimeDelta::minutes(1);
        let mut parts = self.lock();
        parts.until = Some(parts.until.map_or(end, |until| until.min(end)));
    }

    /// What there is to say; nothing without answers.
    #[must_use]
    pub fn served(&self) -> Option<Served> {
        let parts = self.lock();
        Some(Served {
            cached: parts.cached?,
            whole: false,
            fresh_for: parts.fresh_for?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response as an entry, if it can be one.
    fn entry(&self, key: Key, body: Bytes) -> Option<Entry> {
        let parts = self.lock();
        if parts.cached? != Cached::HitProcess {
            return None;
        }
        let entries = || parts.answers.iter().map(|answered| &answered.entry);
        let first = entries().next()?;
        if entries().any(|entry| entry.era != first.era || entry.tenant != key.tenant) {
            return None;
        }
        let ends = entries().filter_map(|entry| entry.made.valid_until);
        let made = Made {
            body,
            depends_on: entries().fold(DependsOn::default(), |all, entry| {
                all.and(entry.made.depends_on.clone())
            }),
            number: entries().map(|entry| entry.made.number).min()?,
            as_of: entries().map(|entry| entry.made.as_of).min()?,
            valid_until: ends.chain(parts.until).min(),
        };
        let (mut number, mut at) = (i64::MAX, Instant::now());
        for entry in entries() {
            let checked = entry.checked();
            number = number.min(checked.number);
            at = at.min(checked.at);
        }
        let now = made.as_of;
        let entry = Entry::new(key.tenant, made, first.era, now);
        Some(entry.checked_before(number, at, parts.max_staleness?))
    }
}

impl Cache {
    /// A whole response, if it is kept and true.
    pub async fn response(&self, key: Key) -> Option<(Bytes, Served)> {
        let inner = self.0.as_ref()?;
        let entry = inner.kept(key)?;
        let max_staleness = entry.max_staleness;
        if !inner.is_true(&entry, max_staleness).await {
            return None;
        }
        inner.metrics.cache_hit_response.increment(1);
        let served = Served {
            cached: Cached::HitProcess,
            whole: true,
            fresh_for: max_staleness.saturating_sub(entry.age()),
        };
        Some((entry.made.body.clone(), served))
    }

    /// Keeps a response, if its answers allow it.
    pub fn keep_response(&self, key: Key, body: &Bytes, collected: &Collected) {
        if let Some(inner) = &self.0
            && let Some(entry) = collected.entry(key, body.clone())
        {
            inner.keep(key, entry);
        }
    }
}
