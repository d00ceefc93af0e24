//! Where numbers come from.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};

use crate::reports::provenance;

/// What was read for an answer.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "provenance::Source")]
pub(in crate::graphql) enum Source {
    /// The minute rollups alone.
    Rollup,
    /// The minute rollups, and for distinct counts the facts themselves.
    RollupAndRaw,
}

/// Where an answer comes from.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Provenance {
    /// Every event that was acknowledged before this moment is in the answer.
    as_of: DateTime<Utc>,
    /// What was read.
    source: Source,
    /// Whether any number is an estimate.
    approximate: bool,
    /// How many events of the range arrived more than five minutes after they happened; they are
    /// in the numbers.
    late_events: i64,
}

impl From<provenance::Provenance> for Provenance {
    fn from(provenance: provenance::Provenance) -> Self {
        Self {
            as_of: provenance.as_of,
            source: provenance.source.into(),
            approximate: provenance.approximate,
            late_events: provenance.late_events,
        }
    }
}
