//! Where numbers come from.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};

use crate::reports::provenance;

/// Where an answer was found.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "provenance::Cached")]
pub(in crate::graphql) enum Cached {
    /// In this process: nothing that it is made of had changed since `asOf` when it was last looked,
    /// which was after the question, or no longer before it than `maxStaleness`.
    HitProcess,
    /// In Redis, where another process has put it; the same holds.
    HitShared,
    /// It is no longer true, but was true no longer ago than `maxStaleness` allows. The next one is
    /// being made.
    Stale,
    /// In the database.
    Miss,
    /// In the database, for nothing is kept of such answers.
    Bypass,
}

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
    /// Every event that was acknowledged before this moment is in the answer: when its numbers were
    /// read. Nothing that they are made of has changed since, unless the answer is older than that by
    /// `maxStaleness`.
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
    /// How many events were in quarantine then, of whatever range; 10,000 stands for as many or more.
    quarantined: i64,
    /// How many rows the database gave for the numbers.
    rows_read: i64,
    /// How many milliseconds the database took, when the numbers were read.
    query_ms: i64,
    /// How far an estimate may be off, as a part of it; nothing of exact answers.
    error_bound: Option<f64>,
    /// From when on events are kept, if the range begins before.
    kept_from: Option<DateTime<Utc>>,
    /// What there is to say to who reads the numbers, in words.
    warnings: Vec<String>,
    /// Where the answer was found.
    cache: Cached,
}

impl From<provenance::Provenance> for Provenance {
    fn from(provenance: provenance::Provenance) -> Self {
        Self {
            warnings: provenance.warnings(),
            kept_from: provenance.kept_from,
            as_of: provenance.as_of,
            watermark: provenance.watermark,
            source: provenance.source.into(),
            approximate: provenance.approximate,
            late_events: provenance.late_events,
            excluded_bots: provenance.excluded_bots,
            quarantined: provenance.quarantined,
            rows_read: provenance.rows_read,
            query_ms: provenance.query_ms,
            error_bound: provenance.error_bound,
            cache: provenance.found.cached.into(),
        }
    }
}
