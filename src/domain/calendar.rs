//! Ranges of time and the buckets they fall into, exact in every time zone.
//!
//! A bucket begins where the local wall clock reads a whole multiple of the granularity, or jumps
//! past one, so a day of a DST change has 23 or 25 hours, the repeated hour of autumn is two buckets,
//! and half-hour zones get their own hours. Everything is computed here, once, as a list of instants; storage
//! only sorts minutes between them.

use chrono::{
    DateTime, Datelike, Duration, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone,
    Timelike, Utc, Weekday,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// The most buckets that one answer may have.
pub const MAX_BUCKETS: usize = 10_000;

/// A half-open span of time `[from, to)` on whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first instant inside.
    pub from: DateTime<Utc>,
    /// The first instant after.
    pub to: DateTime<Utc>,
}

/// Why a range or its buckets cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarError {
    /// It ends before it starts, is empty, or lies outside 1970 to 2100.
    InvalidRange,
    /// It has more than [`MAX_BUCKETS`].
    TooManyBuckets,
}

impl TimeRange {
    /// A range, widened outwards to whole minutes, the resolution of the rollups.
    ///
    /// # Errors
    /// [`CalendarError::InvalidRange`] when it is empty or lies outside 1970 to 2100.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Self, CalendarError> {
        let years = 1970..2101;
        if from >= to || !years.contains(&from.year()) || !years.contains(&to.year()) {
            return Err(CalendarError::InvalidRange);
        }
        let from = floor_minute(from);
        let to = match floor_minute(to) {
            floor if floor == to => to,
            floor => floor + Duration::minutes(1),
        };
        Ok(Self { from, to })
    }
}

/// The minute that an instant lies in.
#[must_use]
pub fn floor_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    let into = at.timestamp_subsec_nanos();
    at - Duration::seconds(at.timestamp().rem_euclid(60)) - Duration::nanoseconds(i64::from(into))
}

/// An hour since 1970, by UTC: in such pieces it is noted what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i32);

impl Hour {
    /// No hour: stands for who is who among the users, which is of all times.
    pub const WHO: Self = Self(i32::MIN);

    /// The hour that an instant lies in.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        let hour = at.timestamp().div_euclid(3_600);
        Self(i32::try_from(hour).unwrap_or(i32::MAX))
    }

    /// Its first instant.
    #[must_use]
    pub fn begin(self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::hours(self.0.into())
    }
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Granularity {
    /// 1 minute.
    Minute,
    /// 5 minutes.
    FiveMinutes,
    /// 15 minutes.
    QuarterHour,
    /// An hour of the wall clock.
    Hour,
    /// A day from local midnight.
    Day,
    /// A week from Monday.
    Week,
    /// A calendar month.
    Month,
    /// A quarter from January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
    /// The whole range.
    Total,
}

impl Granularity {
    /// The length in minutes of the granularities shorter than a day.
    fn minutes(self) -> Option<i64> {
        match self {
            Self::Minute => Some(1),
            Self::FiveMinutes => Some(5),
            Self::QuarterHour => Some(15),
            Self::Hour => Some(60),
            _ => None,
        }
    }

    /// No bucket is shorter than this many minutes: bounds the count before anything is built.
    fn least_minutes(self) -> i64 {
        match self {
            Self::Day => 23 * 60,
            Self::Week => 7 * 23 * 60,
            Self::Month => 28 * 23 * 60,
            Self::Quarter => 89 * 23 * 60,
            Self::Year | Self::Total => 365 * 23 * 60,
            short => short.minutes().unwrap_or(1),
        }
    }
}

/// Where the buckets of a range begin, and last where the range ends: n + 1 instants for n
/// buckets. The first and the last bucket are cut to the range.
///
/// # Errors
/// [`CalendarError::TooManyBuckets`] past [`MAX_BUCKETS`].
pub fn bounds(
    range: TimeRange,
    granularity: Granularity,
    zone: Tz,
) -> Result<Vec<DateTime<Utc>>, CalendarError> {
    bounds_of(range, granularity, Weekday::Mon, zone)
}

/// The same, where weeks begin on another day.
///
/// # Errors
/// [`CalendarError::TooManyBuckets`] past [`MAX_BUCKETS`].
pub fn bounds_of(
    range: TimeRange,
    granularity: Granularity,
    week_start: Weekday,
    zone: Tz,
) -> Result<Vec<DateTime<Utc>>, CalendarError> {
    let span = (range.to - range.from).num_minutes();
    let limit = i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX);
    if granularity != Granularity::Total && span / granularity.least_minutes() > limit {
        return Err(CalendarError::TooManyBuckets);
    }
    let mut bounds = vec![range.from];
    let mut at = range.from;
    loop {
        at = match granularity.minutes() {
            Some(step) => next_wall_clock(at, step, zone),
            None if granularity == Granularity::Total => break,
            None => next_start(at, granularity, week_start, zone),
        };
        if at >= range.to {
            break;
        }
        bounds.push(at);
    }
    bounds.push(range.to);
    if bounds.len() > MAX_BUCKETS + 1 {
        return Err(CalendarError::TooManyBuckets);
    }
    Ok(bounds)
}

/// The shorter spans that a longer one consists of; none if these are too many.
#[must_use]
pub fn tiles(range: TimeRange, granularity: Granularity, zone: Tz) -> Vec<TimeRange> {
    let tile = |edges: &[DateTime<Utc>]| TimeRange {
        from: edges[0],
        to: edges[1],
    };
    let bounds = bounds(range, granularity, zone).unwrap_or_default();
    bounds.windows(2).map(tile).collect()
}

fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The first instant after `at` at which the wall clock reads a multiple of `step` minutes, or has
/// jumped past one.
fn next_wall_clock(at: DateTime<Utc>, step: i64, zone: Tz) -> DateTime<Utc> {
    let straight = at + TimeDelta::minutes(step - minute_of_day(local(at, zone)) % step);
    if local(straight, zone) - local(at, zone) == straight - at {
        return straight;
    }
    // The clock was changed on the way: walk, since the jump may pass or repeat a multiple.
    let mut walk = at + TimeDelta::minutes(1);
    while !turns(walk, step, zone) {
        walk += TimeDelta::minutes(1);
    }
    walk
}

/// Whether at this minute the wall clock reads a multiple of `step` minutes, or reads another such
/// span than a minute before.
fn turns(at: DateTime<Utc>, step: i64, zone: Tz) -> bool {
    let now = local(at, zone);
    let before = local(at - TimeDelta::minutes(1), zone);
    let span = |clock: NaiveDateTime| (clock.date(), minute_of_day(clock) / step);
    minute_of_day(now) % step == 0 || span(now) != span(before)
}

fn minute_of_day(clock: NaiveDateTime) -> i64 {
    i64::from(clock.hour() * 60 + clock.minute())
}

/// The first instant after `at` at which a period begins. Where the clock went back over midnight,
/// the day that `at` reads may have ended before it.
fn next_start(
    at: DateTime<Utc>,
    granularity: Granularity,
    week_start: Weekday,
    zone: Tz,
) -> DateTime<Utc> {
    let mut day = next_period(local(at, zone).date(), granularity, week_start);
    let mut start = start_of_day(day, zone);
    while start <= at {
        day = next_period(day, granularity, week_start);
        start = start_of_day(day, zone);
    }
    start
}

/// The first day of the period after the one that `day` lies in.
fn next_period(day: NaiveDate, granularity: Granularity, week_start: Weekday) -> NaiveDate {
    let month_after = |months: u32| {
        let first = day.with_day(1).expect("every month has a first day");
        first + chrono::Months::new(months)
    };
    match granularity {
        Granularity::Week => {
            let into_week = day.weekday().days_since(week_start);
            day + chrono::Days::new(u64::from(7 - into_week))
        }
        Granularity::Month => month_after(1),
        Granularity::Quarter => month_after(3 - day.month0() % 3),
        Granularity::Year => month_after(12 - day.month0()),
        _ => day + chrono::Days::new(1),
    }
}

/// So many of these before: of days and longer ones as the wall clock goes, on the last day of a
/// month that is shorter. Nothing of [`Granularity::Total`], and before the calendar's beginning.
#[must_use]
pub fn before(
    at: DateTime<Utc>,
    count: u32,
    granularity: Granularity,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    if let Some(minutes) = granularity.minutes() {
        return at.checked_sub_signed(TimeDelta::minutes(minutes * i64::from(count)));
    }
    let clock = local(at, zone);
    let months = |months: u32| {
        let months = count.checked_mul(months)?;
        clock.checked_sub_months(chrono::Months::new(months))
    };
    let days = |days: u64| clock.checked_sub_days(chrono::Days::new(days * u64::from(count)));
    let clock = match granularity {
        Granularity::Day => days(1),
        Granularity::Week => days(7),
        Granularity::Month => months(1),
        Granularity::Quarter => months(3),
        Granularity::Year => months(12),
        _ => None,
    };
    Some(instant(clock?, zone))
}

/// When the one of these that an instant lies in began; nothing of [`Granularity::Total`].
#[must_use]
pub fn start_of(
    at: DateTime<Utc>,
    granularity: Granularity,
    week_start: Weekday,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let clock = local(at, zone);
    let day = clock.date();
    let month = |month: u32| day.with_day(1)?.with_month(month);
    let first = match granularity {
        Granularity::Total => return None,
        Granularity::Day => day,
        Granularity::Week => {
            let into_week = day.weekday().days_since(week_start);
            day.checked_sub_days(chrono::Days::new(u64::from(into_week)))?
        }
        Granularity::Month => month(day.month())?,
        Granularity::Quarter => month(day.month0() / 3 * 3 + 1)?,
        Granularity::Year => month(1)?,
        short => {
            let step = short.minutes()?;
            let mut start = floor_minute(at);
            while !turns(start, step, zone) {
                start -= TimeDelta::minutes(1);
            }
            return Some(start);
        }
    };
    Some(start_of_day(first, zone).min(at))
}

/// When the wall clock shows this: for the first time where it does twice, and where it is skipped,
/// as soon as it shows more.
#[must_use]
pub fn instant(clock: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // A gap is an hour at most, but for zones that skipped a whole day at the date line.
    (0..=24 * 60)
        .find_map(|minutes| {
            let clock = clock + TimeDelta::minutes(minutes);
            zone.from_local_datetime(&clock).earliest()
        })
        .map_or_else(|| clock.and_utc(), |at| at.with_timezone(&Utc))
}

/// The day that an instant lies in, in this zone.
#[must_use]
pub fn day_of(at: DateTime<Utc>, zone: Tz) -> TimeRange {
    let day = local(at, zone).date();
    let from = start_of_day(day, zone);
    TimeRange {
        // Where the clock went back over midnight, the day that `at` reads may have ended before it.
        from: from.min(floor_minute(at)),
        to: next_start(at, Granularity::Day, Weekday::Mon, zone),
    }
}

/// The days that buckets with these bounds begin on, and the one after the last, if each bound is
/// the beginning of a day in this zone. Then an instant is in a bucket exactly if its day is.
#[must_use]
pub fn whole_days(bounds: &[DateTime<Utc>], zone: Tz) -> Option<Vec<NaiveDate>> {
    let day = |bound: &DateTime<Utc>| {
        let day = local(*bound, zone).date();
        // Where the clock goes back over midnight, the day before goes on after this one began.
        let midnight = zone.from_local_datetime(&day.and_time(chrono::NaiveTime::MIN));
        let once = !matches!(midnight, LocalResult::Ambiguous(..));
        (once && start_of_day(day, zone) == *bound).then_some(day)
    };
    bounds.iter().map(day).collect()
}

/// The first instant of a local day; where midnight is skipped, the first that exists.
fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    instant(day.and_time(chrono::NaiveTime::MIN), zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn buckets(from: &str, to: &str, granularity: Granularity, zone: Tz) -> Vec<String> {
        let range = TimeRange::new(at(from), at(to)).unwrap();
        bounds(range, granularity, zone)
            .unwrap()
            .iter()
            .map(|bound| bound.with_timezone(&zone).to_rfc3339())
            .collect()
    }

    #[test]
    fn the_repeated_hour_of_autumn_is_two_buckets() {
        assert_eq!(
            buckets(
                "2026-11-01T04:00:00Z",
                "2026-11-01T08:00:00Z",
                Granularity::Hour,
                Tz::America__New_York
            ),
            [
                "2026-11-01T00:00:00-04:00",
                "2026-11-01T01:00:00-04:00",
                "2026-11-01T01:00:00-05:00",
                "2026-11-01T02:00:00-05:00",
                "2026-11-01T03:00:00-05:00",
            ]
        );
    }

    #[test]
    fn a_zone_at_45_minutes_has_its_own_hours_and_days() {
        assert_eq!(
            buckets(
                "2026-01-01T18:00:00Z",
                "2026-01-01T19:30:00Z",
                Granularity::Hour,
                Tz::Asia__Kathmandu
            ),
            [
                "2026-01-01T23:45:00+05:45",
                "2026-01-02T00:00:00+05:45",
                "2026-01-02T01:00:00+05:45",
                "2026-01-02T01:15:00+05:45"
            ]
        );
    }

    #[test]
    fn a_half_hour_dst_change_lengthens_one_hour() {
        assert_eq!(
            buckets(
                "2026-04-04T14:00:00Z",
                "2026-04-04T16:30:00Z",
                Granularity::Hour,
                Tz::Australia__Lord_Howe
            ),
            [
                "2026-04-05T01:00:00+11:00",
                "2026-04-05T02:00:00+10:30",
                "2026-04-05T03:00:00+10:30",
            ]
        );
    }

    #[test]
    fn an_hour_whose_beginning_is_skipped_begins_where_the_clock_jumps_to() {
        assert_eq!(
            buckets(
                "2026-10-03T14:30:00Z",
                "2026-10-03T17:30:00Z",
                Granularity::Hour,
                Tz::Australia__Lord_Howe
            ),
            [
                "2026-10-04T01:00:00+10:30",
                "2026-10-04T02:30:00+11:00",
                "2026-10-04T03:00:00+11:00",
                "2026-10-04T04:00:00+11:00",
                "2026-10-04T04:30:00+11:00",
            ]
        );
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_at_one() {
        assert_eq!(
            buckets(
                "2018-11-03T12:00:00Z",
                "2018-11-05T12:00:00Z",
                Granularity::Day,
                Tz::America__Sao_Paulo
            ),
            [
                "2018-11-03T09:00:00-03:00",
                "2018-11-04T01:00:00-02:00",
                "2018-11-05T00:00:00-02:00",
                "2018-11-05T10:00:00-02:00",
            ]
        );
    }

    #[test]
    fn a_range_that_begins_in_an_hour_repeated_before_midnight_has_ascending_bounds() {
        let bounds = buckets(
            "2010-11-07T02:45:00Z",
            "2010-11-09T12:00:00Z",
            Granularity::Day,
            Tz::America__St_Johns,
        );
        assert_eq!(
            bounds,
            [
                "2010-11-06T23:15:00-03:30",
                "2010-11-08T00:00:00-03:30",
                "2010-11-09T00:00:00-03:30",
                "2010-11-09T08:30:00-03:30",
            ]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_quarters_in_their_months() {
        assert_eq!(
            buckets(
                "2026-11-18T00:00:00Z",
                "2026-12-01T00:00:00Z",
                Granularity::Week,
                Tz::UTC
            )
            .len(),
            4
        );
        assert_eq!(
            buckets(
                "1997-02-10T00:00:00Z",
                "1997-11-01T00:00:00Z",
                Granularity::Quarter,
                Tz::UTC
            ),
            [
                "1997-02-10T00:00:00+00:00",
                "1997-04-01T00:00:00+00:00",
                "1997-07-01T00:00:00+00:00",
                "1997-10-01T00:00:00+00:00",
                "1997-11-01T00:00:00+00:00"
            ]
        );
    }

    #[test]
    fn a_range_is_widened_to_minutes_and_an_empty_one_refused() {
        let range =
            TimeRange::new(at("2026-01-01T00:00:30Z"), at("2026-01-01T00:01:00.5Z")).unwrap();
        assert_eq!(range.from, at("2026-01-01T00:00:00Z"));
        assert_eq!(range.to, at("2026-01-01T00:02:00Z"));
        assert_eq!(
            TimeRange::new(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")),
            Err(CalendarError::InvalidRange)
        );
    }

    #[test]
    fn a_century_of_minutes_is_refused_before_it_is_built() {
        let range = TimeRange::new(at("1970-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")).unwrap();
        assert_eq!(
            bounds(range, Granularity::Minute, Tz::UTC),
            Err(CalendarError::TooManyBuckets)
        );
    }

    #[test]
    fn whole_days_are_days_of_23_to_25_hours_and_nothing_else() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let berlin = |bounds: &[&str]| {
            let bounds: Vec<_> = bounds.iter().map(|bound| at(bound)).collect();
            whole_days(&bounds, Tz::Europe__Berlin)
        };
        assert_eq!(
            berlin(&["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]),
            Some(vec![day("2026-03-29"), day("2026-03-30")])
        );
        assert_eq!(
            berlin(&["2026-03-28T23:00:00Z", "2026-03-29T23:00:00Z"]),
            None
        );
        // A midnight that is skipped, and one that comes twice.
        let skipped = at("2018-11-04T03:00:00Z");
        assert_eq!(
            whole_days(&[skipped], Tz::America__Sao_Paulo),
            Some(vec![day("2018-11-04")])
        );
        let twice = at("2010-11-07T02:30:00Z");
        assert_eq!(whole_days(&[twice], Tz::America__St_Johns), None);
    }

    proptest! {
        /// Whoever sorts instants by their days sorts them into the same buckets.
        #[test]
        fn whole_days_hold_the_instants_of_their_days(
            start in 0..1_900_000_000_i64,
            days in 1..400_i64,
            into in 0.0..1.0_f64,
            zone in prop::sample::select(vec![Tz::UTC, Tz::America__New_York, Tz::Asia__Kathmandu, Tz::America__St_Johns, Tz::America__Sao_Paulo, Tz::Pacific__Apia, Tz::Africa__Cairo, Tz::America__Havana]),
        ) {
            let from = start_of_day(local(DateTime::from_timestamp(start, 0).unwrap(), zone).date(), zone);
            let range = TimeRange::new(from, start_of_day(local(from + Duration::days(days), zone).date(), zone)).unwrap();
            let bounds = bounds(range, Granularity::Day, zone).unwrap();
            if let Some(dates) = whole_days(&bounds, zone) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
                let instant = range.from + Duration::seconds(((range.to - range.from).num_seconds() as f64 * into) as i64);
                let day = local(instant, zone).date();
                let by_instant = bounds.partition_point(|bound| *bound <= instant);
                prop_assert_eq!(by_instant, dates.partition_point(|date| *date <= day));
            }
        }

        /// Against a definition that shares nothing with the code: look at every minute.
        #[test]
        fn buckets_begin_exactly_where_the_wall_clock_turns(
            start in 0..1_900_000_000_i64,
            hours in 1..80_i64,
            zone in prop::sample::select(vec![Tz::UTC, Tz::America__New_York, Tz::Asia__Kathmandu, Tz::Australia__Lord_Howe, Tz::America__Sao_Paulo, Tz::Pacific__Chatham, Tz::Africa__Cairo]),
            (granularity, step) in prop::sample::select(vec![(Granularity::QuarterHour, 15), (Granularity::Hour, 60), (Granularity::Day, 0)]),
        ) {
            let from = floor_minute(DateTime::from_timestamp(start, 0).unwrap());
            let range = TimeRange::new(from, from + Duration::hours(hours)).unwrap();
            let mut expected = vec![range.from];
            let mut at = range.from + Duration::minutes(1);
            while at < range.to {
                let (before, now) = (local(at - Duration::minutes(1), zone), local(at, zone));
                let clock = |at: NaiveDateTime| at.hour() * 60 + at.minute();
                let turns = if step == 0 { now.date() > before.date() } else { clock(now) % step == 0 || clock(now) / step != clock(before) / step || now.date() != before.date() };
                if turns { expected.push(at); }
                at += Duration::minutes(1);
            }
            expected.push(range.to);
            prop_assert_eq!(bounds(range, granularity, zone).unwrap(), expected);
        }
    }
}
