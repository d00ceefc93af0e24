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
    /// The minute rollups, and for distinct counts the days on which users did something.
    RollupAndUserDays,
    /// The minute rollups or days, and for distinct counts the facts themselves.
    RollupAndRaw,
    /// The days on which users did something, alone.
    UserDays,
    /// The facts alone.
    Raw,
}

/// Where an answer comes from.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Provenance {
    /// Every event that was acknowledged before this moment is in the answer.
    as_of: DateTime<Utc>,
    /// The latest time of an event that is stored, of whatever range; nothing if there is none.
    watermark: Option<DateTime<Utc>>,
    /// What was read.
    source: Source,
    /// Whether any number is an estimate.
    approximate: bool,
    /// How many events of the range arrived more than five minutes after they happened; they are
    /// in the numbers.
    late_events: i64,
    /// How many events of the range are left out because bots did them; 0 with `includeBots`.
    excluded_bots: i64,
    /// How many events are in quarantine now, of whatever range; 10,000 stands for as many or more.
    quarantined: i64,
}

impl From<provenance::Provenance> for Provenance {
    fn from(provenance: provenance::Provenance) -> Self {
        Self {
            as_of: provenance.as_of,
            watermark: provenance.watermark,
            source: provenance.source.into(),
            approximate: provenance.approximate,
            late_events: provenance.late_events,
            excluded_bots: provenance.excluded_bots,
            quarantined: provenance.quarantined,
        }
    }
}
