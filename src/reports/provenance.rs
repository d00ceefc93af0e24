//! Where a number comes from: part of every answer.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::metrics::{Read, Step};
use crate::storage::queries::provenance::ProvenanceRow;

pub use crate::cache::Cached;

/// What was read for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The rollups alone; facts of hours that are not summed up yet.
    Rollup,
    /// The rollups, and for distinct counts the days on which users did something.
    RollupAndUserDays,
    /// The rollups, and for distinct counts the facts themselves.
    RollupAndRaw,
    /// The days on which users did something, alone.
    UserDays,
    /// The facts alone.
    Raw,
}

impl Source {
    /// What was read, of several sources; the largest names them.
    pub(super) fn of(plan: &[Step]) -> Self {
        let (mut rollup, mut days, mut raw) = (false, false, false);
        for step in plan {
            if step.summed {
                rollup = true;
                continue;
            }
            match step.source {
                Read::Sales(..) | Read::Traffic(_) => rollup = true,
                Read::UserDays => days = true,
                Read::Facts => raw = true,
            }
        }
        match (rollup, days, raw) {
            (false, false, true) => Self::Raw,
            (_, _, true) => Self::RollupAndRaw,
            (true, true, false) => Self::RollupAndUserDays,
            (false, true, false) => Self::UserDays,
            (_, false, false) => Self::Rollup,
        }
    }
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Every event that was acknowledged before this moment is in the answer.
    pub as_of: DateTime<Utc>,
    /// The latest time of an event that is stored, of whatever range; none if there is none.
    pub watermark: Option<DateTime<Utc>>,
    /// What was read.
    pub source: Source,
    /// Whether any number is an estimate.
    pub approximate: bool,
    /// How many events of the range arrived more than five minutes after they happened.
    pub late_events: i64,
    /// How many events of the range are not in the answer because they are bots'.
    pub excluded_bots: i64,
    /// How many events are in quarantine, of whatever range; 10,000 stands for as many or more.
    pub quarantined: i64,
    /// How many rows the database gave for the numbers.
    pub rows_read: i64,
    /// How many rows it was expected to go through, before they were read.
    pub rows_estimated: i64,
    /// How many milliseconds the database took, when they were read.
    pub query_ms: i64,
    /// How far an estimate may be off, as a part of it; nothing of exact answers.
    pub error_bound: Option<f64>,
    /// From when on events are kept, if the range begins before.
    pub kept_from: Option<DateTime<Utc>>,
    /// Where the answer itself was found: not part of what is kept.
    #[serde(skip)]
    pub found: Found,
}

/// Where an answer was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub cached: Cached,
    /// How long it may still be shown to one who takes answers as old as this one does.
    pub fresh_for: Duration,
}

impl Provenance {
    /// Of an exact answer.
    pub(super) fn exact(as_of: DateTime<Utc>, source: Source, row: &ProvenanceRow) -> Self {
        Self {
            as_of,
            watermark: row.watermark,
            source,
            approximate: false,
            late_events: row.late_events,
            excluded_bots: row.excluded_bots,
            quarantined: row.quarantined,
            rows_read: 0,
            rows_estimated: 0,
            query_ms: 0,
            error_bound: None,
            kept_from: row.kept_from,
            found: Found::default(),
        }
    }

    /// What there is to say to who reads the numbers.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let kept_from = self.kept_from.iter().map(|from| {
            let from = from.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("The range begins before {from}: what is older is not kept.")
        });
        kept_from.collect()
    }

    /// The same of so many rows.
    pub(super) fn of_rows(self, rows: usize) -> Self {
        Self {
            rows_read: i64::try_from(rows).unwrap_or(i64::MAX),
            ..self
        }
    }
}
