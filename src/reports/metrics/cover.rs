//! What of a range is summed up: its buckets as spans, the longest there are, and what remains.

use chrono::{DateTime, Duration, Utc};

use crate::domain::calendar::{Hour, TimeRange};
use crate::domain::summary::Span;
use crate::domain::tenant::TenantId;
use crate::storage::queries::summaries::{Summarised, hours_with_facts, valid};
use crate::storage::{Snapshot, StorageError};

/// A range as what is summed up of it, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    /// Spans in the order of time, each within one bucket.
    pub(super) spans: Vec<Summarised>,
    /// The hours, joined, that are not in them and have facts.
    pub(super) gaps: Vec<TimeRange>,
}

impl Cover {
    /// Of the buckets between these bounds, in spans of these lengths.
    pub(super) async fn of(
        snapshot: &Snapshot,
        tenant: TenantId,
        bounds: &[DateTime<Utc>],
        lengths: &[Span],
    ) -> Result<Self, StorageError> {
        let whole = TimeRange {
            from: bounds[0],
            to: bounds[bounds.len() - 1],
        };
        let (hours, longer): (Vec<Span>, Vec<Span>) =
            lengths.iter().partition(|length| **length == Span::Hour);
        let mut cover = Self::default();
        let mut rest = vec![whole];
        // Of hours there are many: those are asked for that are not in something longer.
        for lengths in [longer, hours] {
            if !lengths.is_empty() {
                let known = valid(&**snapshot, tenant, &rest, &lengths).await?;
                rest = cover.take(&known, bounds, &rest);
            }
        }
        cover.spans.sort_by_key(|one| one.range.from);
        cover.find_gaps(snapshot, tenant, rest).await?;
        Ok(cover)
    }

    /// Of the buckets between these bounds, in what is known: in the order of time, the longer before
    /// the shorter.
    pub(super) async fn in_known(
        snapshot: &Snapshot,
        tenant: TenantId,
        bounds: &[DateTime<Utc>],
        known: &[Summarised],
    ) -> Result<Self, StorageError> {
        let whole = TimeRange {
            from: bounds[0],
            to: bounds[bounds.len() - 1],
        };
        let mut cover = Self::default();
        let rest = cover.take(known, bounds, &[whole]);
        cover.find_gaps(snapshot, tenant, rest).await?;
        Ok(cover)
    }

    /// What of the rest has facts.
    async fn find_gaps(
        &mut self,
        snapshot: &Snapshot,
        tenant: TenantId,
        rest: Vec<TimeRange>,
    ) -> Result<(), StorageError> {
        for gap in rest {
            let hours = hours_with_facts(&**snapshot, tenant, gap).await?;
            self.gaps.extend(joined(&hours, gap));
        }
        Ok(())
    }

    /// Nothing of a range.
    pub(super) fn none(range: TimeRange) -> Self {
        Self {
            spans: Vec::new(),
            gaps: vec![range],
        }
    }

    /// Takes of what is known what fits, and returns what remains of the ranges.
    fn take(
        &mut self,
        known: &[Summarised],
        bounds: &[DateTime<Utc>],
        ranges: &[TimeRange],
    ) -> Vec<TimeRange> {
        let mut rest = Vec::new();
        for range in ranges {
            let mut at = range.from;
            let within =
                |one: &&Summarised| one.range.from >= range.from && one.range.to <= range.to;
            for one in known.iter().filter(within) {
                let bucket = bounds.partition_point(|bound| *bound <= one.range.from);
                let fits = one.range.to <= bounds[bucket];
                if one.range.from >= at && fits {
                    if one.range.from > at {
                        rest.push(TimeRange {
                            from: at,
                            to: one.range.from,
                        });
                    }
                    at = one.range.to;
                    self.spans.push(*one);
                }
            }
            if at < range.to {
                rest.push(TimeRange {
                    from: at,
                    to: range.to,
                });
            }
        }
        rest
    }
}

/// The parts of a range that lie in these hours.
fn joined(hours: &[Hour], range: TimeRange) -> Vec<TimeRange> {
    let mut parts: Vec<TimeRange> = Vec::new();
    for hour in hours {
        let begin = hour.begin();
        let part = TimeRange {
            from: begin.max(range.from),
            to: (begin + Duration::hours(1)).min(range.to),
        };
        match parts.last_mut() {
            Some(last) if last.to == part.from => last.to = part.to,
            _ => parts.push(part),
        }
    }
    parts
}
