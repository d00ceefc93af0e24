//! The one place that reads the wall clock; everything else is handed a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time: the machine's, or in tests one that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that the holder of a clone moves by hand; microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn manual(now: DateTime<Utc>) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.timestamp_micros())))
    }

    /// The current time, to the microsecond, as PostgreSQL keeps it.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now().trunc_subsecs(6),
            Self::Manual(micros) => DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed))
                .expect("a manual clock is only set from valid times"),
        }
    }

    /// Moves a manual clock forward; a system clock is not ours to move.
    pub fn advance(&self, by: chrono::Duration) {
        if let Self::Manual(micros) = self {
            let by = by.num_microseconds().unwrap_or(0);
            micros.fetch_add(by, Ordering::Relaxed);
        }
    }
}
