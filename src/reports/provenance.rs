//! Where a number comes from: part of every answer.

use chrono::{DateTime, Utc};

/// What was read for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The rollups alone.
    Rollup,
    /// The rollups, and for distinct counts the facts themselves.
    RollupAndRaw,
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Every event that was acknowledged before this moment is in the answer.
    pub as_of: DateTime<Utc>,
    /// What was read.
    pub source: Source,
    /// Whether any number is an estimate.
    pub approximate: bool,
    /// How many events of the range arrived more than five minutes after they happened.
    pub late_events: i64,
}

impl Provenance {
    /// Of an exact answer from the rollups and, if something distinct was counted, from the facts.
    pub(super) fn exact(as_of: DateTime<Utc>, counted_facts: bool, late_events: i64) -> Self {
        let source = if counted_facts {
            Source::RollupAndRaw
        } else {
            Source::Rollup
        };
        Self {
            as_of,
            source,
            approximate: false,
            late_events,
        }
    }
}
