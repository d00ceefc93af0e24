//! Ranges of time, granularities, zones and ages as inputs.

use async_graphql::{Enum, InputObject};
use chrono::{DateTime, FixedOffset, Utc};
use chrono_tz::Tz;

use crate::domain::calendar;
use crate::error::Problem;

/// A span of time: from an instant, up to but without another; widened to whole minutes.
#[derive(Clone, Copy, InputObject)]
pub(in crate::graphql) struct TimeRangeInput {
    /// The first instant inside.
    from: DateTime<FixedOffset>,
    /// The first instant after.
    to: DateTime<FixedOffset>,
}

impl TryFrom<TimeRangeInput> for calendar::TimeRange {
    type Error = Problem;

    fn try_from(input: TimeRangeInput) -> Result<Self, Problem> {
        let utc = |at: DateTime<FixedOffset>| at.with_timezone(&Utc);
        Ok(Self::new(utc(input.from), utc(input.to))?)
    }
}

/// How long a bucket is, on the wall clock of the time zone.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "calendar::Granularity")]
pub(in crate::graphql) enum Granularity {
    /// 1 minute.
    Minute,
    /// 5 minutes.
    FiveMinutes,
    /// 15 minutes.
    QuarterHour,
    /// 1 hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday.
    Week,
    /// A calendar month.
    Month,
    /// From January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
    /// The whole range in one bucket.
    Total,
}

/// An instant as that zone's clocks show it.
pub(in crate::graphql) fn shown_in(at: DateTime<Utc>, zone: Tz) -> DateTime<FixedOffset> {
    at.with_timezone(&zone).fixed_offset()
}
