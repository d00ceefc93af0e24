//! What is kept: an answer as bytes, and what tells whether it is still true.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::dependency::DependsOn;
use super::tail::Tail;
use crate::domain::tenant::TenantId;

/// What an answer was made of.
#[derive(Clone, Debug)]
pub struct Made {
    /// The answer.
    pub body: Bytes,
    /// The facts that it is made of.
    pub depends_on: DependsOn,
    /// The number of the last change that is in it.
    pub number: i64,
    /// The moment that it is of.
    pub as_of: DateTime<Utc>,
    /// When it is no longer true even if nothing changes.
    pub valid_until: Option<DateTime<Utc>>,
}

/// The same as others read it.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<'a> {
    tenant: TenantId,
    depends_on: DependsOn,
    number: i64,
    #[serde(with = "chrono::serde::ts_microseconds")]
    as_of: DateTime<Utc>,
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    valid_until: Option<DateTime<Utc>>,
    #[serde(borrow)]
    body: &'a [u8],
}

/// An answer that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tenant: TenantId,
    pub(super) made: Made,
    /// Of which history its number is.
    pub(super) era: u64,
    /// Of a response: how old its answers may be.
    pub(super) max_staleness: Duration,
    checked: Mutex<Checked>,
}

/// What was last found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    /// Nothing that it depends on changed up to here.
    pub(super) number: i64,
    /// It was true then.
    pub(super) at: Instant,
    /// It was found to be true no longer.
    fell: bool,
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    True,
    /// No longer; for the first time that this is found if so.
    Fell(bool),
}

impl Entry {
    /// An answer that is true `now`, but for as long as it has been since its moment.
    pub(super) fn new(tenant: TenantId, made: Made, era: u64, now: DateTime<Utc>) -> Self {
        let age = (now - made.as_of).to_std().unwrap_or_default();
        let at = Instant::now();
        let checked = Checked {
            number: made.number,
            at: at.checked_sub(age).unwrap_or(at),
            fell: false,
        };
        Self {
            tenant,
            made,
            era,
            max_staleness: Duration::ZERO,
            checked: checked.into(),
        }
    }

    /// One of which more is known than of when it was made, for those who take answers so old.
    pub(super) fn checked_before(
        mut self,
        number: i64,
        at: Instant,
        max_staleness: Duration,
    ) -> Self {
        self.max_staleness = max_staleness;
        *self.lock() = Checked {
            number,
            at,
            fell: false,
        };
        self
    }

    /// What others wrote.
    pub(super) fn read(bytes: &[u8], era: u64, now: DateTime<Utc>) -> Option<Self> {
        let stored: Stored<'_> = postcard::from_bytes(bytes).ok()?;
        let made = Made {
            body: Bytes::copy_from_slice(stored.body),
            depends_on: stored.depends_on,
            number: stored.number,
            as_of: stored.as_of,
            valid_until: stored.valid_until,
        };
        Some(Self::new(stored.tenant, made, era, now))
    }

    /// For others to read.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let Made {
            body,
            depends_on,
            number,
            as_of,
            valid_until,
        } = &self.made;
        let stored = Stored {
            tenant: self.tenant,
            depends_on: depends_on.clone(),
            number: *number,
            as_of: *as_of,
            valid_until: *valid_until,
            body,
        };
        postcard::to_stdvec(&stored).ok()
    }

    /// What the last look tells of it.
    pub(super) fn state(&self, tail: &Tail, now: DateTime<Utc>) -> State {
        let mut checked = self.lock();
        let is_over = self.made.valid_until.is_some_and(|until| until <= now);
        let depends_on = &self.made.depends_on;
        if is_over || !tail.is_unchanged(self.era, self.tenant, depends_on, checked.number) {
            let first = !checked.fell;
            checked.fell = true;
            return State::Fell(first);
        }
        checked.number = checked.number.max(tail.position());
        checked.at = checked.at.max(tail.looked());
        State::True
    }

    /// How long ago it was true for all that is known.
    pub(super) fn age(&self) -> Duration {
        self.lock().at.elapsed()
    }

    pub(super) fn checked(&self) -> Checked {
        *self.lock()
    }

    /// How much memory it takes, about.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.made.body.len() + self.made.depends_on.size() + OVERHEAD
    }

    fn lock(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the map takes for each entry, about.
const OVERHEAD: usize = 200;
