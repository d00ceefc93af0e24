//! What became of the requests of a run.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::event::Sums;
use super::feed::Prepared;

/// The longest time that is told apart.
const LONGEST: Duration = Duration::from_hours(1);

/// The counts in the server's answer to a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Counts {
    /// Stored by it.
    pub accepted: u64,
    /// Stored before.
    pub duplicates: u64,
    /// Known with another content.
    pub conflicts: u64,
    /// Kept aside.
    pub quarantined: u64,
    /// To be sent again.
    pub limited: u64,
    /// Not taken.
    pub rejected: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.accepted + self.duplicates + self.limited + self.refused()
    }

    /// Those that the server has looked at and not stored.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.conflicts + self.quarantined + self.rejected
    }
}

/// Why a request was sent again, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// The answer was 429, or told of events that are to be sent again.
    pub limited: u64,
    /// The answer was 503.
    pub unavailable: u64,
    /// Another answer that may pass, such as 500.
    pub failed: u64,
    /// There was no answer.
    pub unanswered: u64,
}

impl Retries {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.limited + self.unavailable + self.failed + self.unanswered
    }
}

/// What became of the requests of a run.
#[derive(Debug)]
pub struct Tally {
    /// Requests that were sent, each once.
    pub requests: u64,
    /// Events in them.
    pub sent: u64,
    /// Events in them that were sent before.
    pub resent: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Events of requests that were never answered for good.
    pub unacknowledged: u64,
    /// What the server says it did.
    pub counts: Counts,
    /// How often requests were sent again.
    pub retries: Retries,
    /// What was acknowledged adds so much to the totals.
    pub certain: Sums,
    /// What was sent and perhaps not stored adds up to so much more.
    pub possible: Sums,
    /// When the last acknowledgement came.
    pub last: Option<Instant>,
    /// From when a request was due to its acknowledgement, in microseconds.
    pub latency: Histogram<u64>,
    /// From when it was really sent, the last time, to its acknowledgement.
    pub service: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).expect("an hour is short");
        let histogram = || Histogram::new_with_bounds(1, longest, 3).expect("the bounds are good");
        Self {
            requests: 0,
            sent: 0,
            resent: 0,
            bytes: 0,
            unacknowledged: 0,
            counts: Counts::default(),
            retries: Retries::default(),
            certain: Sums::default(),
            possible: Sums::default(),
            last: None,
            latency: histogram(),
            service: histogram(),
        }
    }
}

impl Tally {
    /// Counts a request that is sent for the first time.
    pub fn sent(&mut self, prepared: &Prepared) {
        self.requests += 1;
        self.sent += u64::from(prepared.events);
        self.resent += u64::from(prepared.resent);
        self.bytes += prepared.body.len() as u64;
    }

    /// Counts what the server says of a request.
    pub fn acknowledged(&mut self, prepared: &Prepared, counts: &Counts, service: Duration) {
        self.last = Some(Instant::now());
        let sum = &mut self.counts;
        sum.accepted += counts.accepted;
        sum.duplicates += counts.duplicates;
        sum.conflicts += counts.conflicts;
        sum.quarantined += counts.quarantined;
        sum.limited += counts.limited;
        sum.rejected += counts.rejected;
        self.service.saturating_record(micros(service));
        if counts.refused() == 0 {
            self.certain = self.certain.with(&prepared.sums, |a, b| a + b);
        } else {
            // Which ones, a summary does not say.
            self.possible = self.possible.with(&prepared.sums, |a, b| a + b);
        }
    }

    /// Counts a request that is given up.
    pub fn given_up(&mut self, prepared: &Prepared) {
        self.unacknowledged += u64::from(prepared.events);
        self.possible = self.possible.with(&prepared.sums, |a, b| a + b);
    }

    /// Counts how long a request took from when it was due, however it ended.
    pub fn took(&mut self, latency: Duration) {
        self.latency.saturating_record(micros(latency));
    }

    /// Events that the server answered for.
    #[must_use]
    pub fn acknowledged_events(&self) -> u64 {
        self.counts.accepted + self.counts.duplicates
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}
