//! Where numbers come from, as JSON.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::reports::provenance;

/// What was read: `ROLLUP` (the rollups), `ROLLUP_AND_USER_DAYS` (and for distinct counts the days on
/// which users did something), `ROLLUP_AND_RAW` (and the facts themselves), `USER_DAYS` or `RAW`
/// (those alone).
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum Source {
    /// The minute rollups alone.
    Rollup,
    /// The minute rollups, and for distinct counts the days on which users did something.
    RollupAndUserDays,
    /// The rollups, and for distinct counts the facts themselves.
    RollupAndRaw,
    /// The days on which users did something, alone.
    UserDays,
    /// The facts alone.
    Raw,
}

/// Where an answer comes from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Provenance {
    /// Every event that was acknowledged before this moment is in the answer: RFC 3339, UTC.
    pub(super) as_of: DateTime<Utc>,
    /// The latest time of an event that is stored, of whatever range: RFC 3339, UTC; null if there
    /// is none.
    watermark: Option<DateTime<Utc>>,
    #[schema(inline)]
    source: Source,
    /// Whether any number is an estimate.
    approximate: bool,
    /// How many events of the range arrived more than five minutes after they happened; they are
    /// in the numbers.
    late_events: i64,
    /// How many events of the range are left out because bots did them; 0 with `includeBots=true`.
    excluded_bots: i64,
    /// How many events are in quarantine now, of whatever range; 10,000 stands for as many or more.
    quarantined: i64,
}

impl From<provenance::Provenance> for Provenance {
    fn from(provenance: provenance::Provenance) -> Self {
        Self {
            as_of: provenance.as_of,
            watermark: provenance.watermark,
            source: match provenance.source {
                provenance::Source::Rollup => Source::Rollup,
                provenance::Source::RollupAndUserDays => Source::RollupAndUserDays,
                provenance::Source::RollupAndRaw => Source::RollupAndRaw,
                provenance::Source::UserDays => Source::UserDays,
                provenance::Source::Raw => Source::Raw,
            },
            approximate: provenance.approximate,
            late_events: provenance.late_events,
            excluded_bots: provenance.excluded_bots,
            quarantined: provenance.quarantined,
        }
    }
}
