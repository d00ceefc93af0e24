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
    as_of: DateTime<Utc>,
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
    /// How many events were in quarantine then, of whatever range; 10,000 stands for as many or more.
    quarantined: i64,
    /// How many rows the database gave for the numbers.
    rows_read: i64,
    /// How many milliseconds the database took, when the numbers were read.
    query_ms: i64,
    /// How far an estimate may be off, as a part of it; null of exact answers.
    error_bound: Option<f64>,
    /// From when on events are kept: RFC 3339, UTC; only where the range begins before.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_from: Option<DateTime<Utc>>,
    /// What there is to say to who reads the numbers, in words; only where there is anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What is paid for besides.
    #[serde(skip)]
    rows_estimated: i64,
    /// Said in headers, so that the same answer has the same bytes.
    #[serde(skip)]
    pub(super) found: provenance::Found,
}

impl Provenance {
    /// Whether the answer is the same byte by byte until it changes.
    pub(super) fn is_kept(&self) -> bool {
        self.found.cached != provenance::Cached::Bypass
    }

    /// How many rows are paid for.
    pub(super) const fn rows_to_pay(&self) -> i64 {
        self.rows_estimated
    }

    /// Leaves the numbers alone.
    pub(super) fn forget_when(&mut self) {
        self.as_of = DateTime::UNIX_EPOCH;
        self.query_ms = 0;
    }
}

impl From<provenance::Provenance> for Provenance {
    fn from(provenance: provenance::Provenance) -> Self {
        Self {
            warnings: provenance.warnings(),
            kept_from: provenance.kept_from,
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
            rows_read: provenance.rows_read,
            query_ms: provenance.query_ms,
            rows_estimated: provenance.rows_estimated,
            error_bound: provenance.error_bound,
            found: provenance.found,
        }
    }
}
