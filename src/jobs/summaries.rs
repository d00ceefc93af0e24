//! Sums up hours that are over, then their days and months, and does so again where something came
//! late. One process at a time does it; what it knows of what is to be done it finds out anew when
//! it starts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::clock::Clock;
use crate::domain::calendar::{self, Granularity, Hour, TimeRange, day_of, tiles};
use crate::domain::summary::Span;
use crate::domain::tenant::TenantId;
use crate::storage::writes::summaries::{
    Owner, Turn, changed, in_doubt, owners, sum_hour, sum_longer, valid,
};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;

const INTERVAL: Duration = Duration::from_secs(5);
/// How long after its end an hour is summed up: most of what is sent late comes by then.
const SETTLED: TimeDelta = TimeDelta::minutes(2);
/// How often an hour or a day is summed up again at the most, as a multiple of how long that took.
const PAUSE: u32 = 20;
/// Of how many days sessions are counted again when their users turn out to be others.
const DOUBT: TimeDelta = TimeDelta::days(35);

/// Runs the job; what fails is tried again the next time.
pub async fn run(db: Db, metrics: Metrics, clock: Clock) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut work: Option<(Turn, Work)> = None;
    loop {
        interval.tick().await;
        let result = match &mut work {
            None => match Turn::take(&db).await {
                Ok(Some(turn)) => {
                    work = Some((turn, Work::default()));
                    continue;
                }
                Ok(None) => continue,
                Err(error) => Err(error),
            },
            Some((turn, work)) => match turn.check().await {
                Ok(()) => work.go_on(&db, &clock).await,
                Err(error) => Err(error),
            },
        };
        match result {
            Ok(summed) => metrics.summaries_made.increment(summed),
            Err(error) => {
                tracing::warn!(%error, "not everything was summed up");
                // Whether it is still this process's turn is not known.
                work = None;
            }
        }
    }
}

/// Sums up all that can be, now, in this process's turn; nothing if it is another's.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn once(db: &Db, clock: &Clock) -> Result<Option<u64>, StorageError> {
    let Some(_turn) = Turn::take(db).await? else {
        return Ok(None);
    };
    let summed = Work::default().go_on(db, clock).await?;
    Ok(Some(summed))
}

/// What is to be summed up.
#[derive(Debug, Default)]
struct Work {
    tenants: HashMap<TenantId, Backlog>,
}

impl Work {
    /// Does what is due; how many spans that were.
    async fn go_on(&mut self, db: &Db, clock: &Clock) -> Result<u64, StorageError> {
        let mut summed = 0;
        for owner in owners(db).await? {
            let backlog = self.tenants.entry(owner.tenant).or_default();
            if backlog.zone != Some(owner.zone) {
                *backlog = Backlog {
                    zone: Some(owner.zone),
                    ..Backlog::default()
                };
            }
            backlog.look(db, owner, clock.now()).await?;
            summed += backlog.go_on(db, owner, clock).await?;
        }
        Ok(summed)
    }
}

/// What of a tenant is to be summed up.
#[derive(Debug, Default)]
struct Backlog {
    zone: Option<Tz>,
    /// The last change that was looked at.
    seen: Option<i64>,
    /// By where they begin.
    hours: BTreeMap<DateTime<Utc>, TimeRange>,
    days: BTreeMap<DateTime<Utc>, TimeRange>,
    months: BTreeMap<DateTime<Utc>, TimeRange>,
    /// Before when a span is not summed up again.
    pauses: BTreeMap<(Span, DateTime<Utc>), Instant>,
}

impl Backlog {
    /// Finds out what changed.
    async fn look(
        &mut self,
        db: &Db,
        owner: Owner,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let (hours, last) = changed(db, owner.tenant, self.seen.unwrap_or(-1)).await?;
        let mut own: BTreeSet<(DateTime<Utc>, DateTime<Utc>)> = BTreeSet::new();
        for hour in hours {
            own.extend(hours_of(hour, owner.zone).map(|own| (own.from, own.to)));
        }
        let first = own.first().map(|(from, _)| *from);
        let end = own.last().map(|(_, to)| *to);
        if let Some((from, to)) = first.zip(end).filter(|_| self.seen.is_none()) {
            self.find_missing(db, owner, TimeRange { from, to }, &mut own)
                .await?;
        }
        for (from, to) in own {
            self.hours.insert(from, TimeRange { from, to });
        }
        if self.seen != Some(last) {
            let recent = TimeRange {
                from: now - DOUBT,
                to: now,
            };
            for day in in_doubt(db, owner.tenant, recent).await? {
                self.days.insert(day.from, day);
            }
        }
        self.seen = Some(last);
        Ok(())
    }

    /// After a start: leaves out the hours that are summed up, and finds the days and months that
    /// are not.
    async fn find_missing(
        &mut self,
        db: &Db,
        owner: Owner,
        range: TimeRange,
        hours: &mut BTreeSet<(DateTime<Utc>, DateTime<Utc>)>,
    ) -> Result<(), StorageError> {
        for hour in hours.iter() {
            let (day, month) = (day_of(hour.0, owner.zone), month_of(hour.0, owner.zone));
            self.days.insert(day.from, day);
            self.months.insert(month.from, month);
        }
        let wide = TimeRange {
            from: range.from - TimeDelta::days(32),
            to: range.to + TimeDelta::days(32),
        };
        for hour in valid(db, owner.tenant, Span::Hour, wide).await? {
            hours.remove(&(hour.from, hour.to));
        }
        for day in valid(db, owner.tenant, Span::Day, wide).await? {
            self.days.remove(&day.from);
        }
        for month in valid(db, owner.tenant, Span::Month, wide).await? {
            self.months.remove(&month.from);
        }
        Ok(())
    }

    /// Sums up what is over: hours, then days, then months.
    async fn go_on(&mut self, db: &Db, owner: Owner, clock: &Clock) -> Result<u64, StorageError> {
        let mut summed = 0;
        self.pauses.retain(|_, until| *until > Instant::now());
        for hour in self.due(Span::Hour, clock.now()) {
            let begun = Instant::now();
            sum_hour(db, owner, hour).await?;
            self.done(Span::Hour, hour, begun);
            let day = day_of(hour.from, owner.zone);
            self.days.insert(day.from, day);
            summed += 1;
        }
        for day in self.due(Span::Day, clock.now()) {
            let begun = Instant::now();
            let hours = tiles(day, Granularity::Hour, owner.zone);
            if sum_longer(db, owner, Span::Day, day, &hours).await? {
                self.done(Span::Day, day, begun);
                let month = month_of(day.from, owner.zone);
                self.months.insert(month.from, month);
                summed += 1;
            }
        }
        for month in self.due(Span::Month, clock.now()) {
            let begun = Instant::now();
            let days = tiles(month, Granularity::Day, owner.zone);
            if sum_longer(db, owner, Span::Month, month, &days).await? {
                self.done(Span::Month, month, begun);
                summed += 1;
            }
        }
        Ok(summed)
    }

    fn of(&mut self, span: Span) -> &mut BTreeMap<DateTime<Utc>, TimeRange> {
        match span {
            Span::Hour => &mut self.hours,
            Span::Day => &mut self.days,
            Span::Month => &mut self.months,
        }
    }

    fn due(&mut self, span: Span, now: DateTime<Utc>) -> Vec<TimeRange> {
        let pauses = self.pauses.clone();
        let is_due =
            |one: &&TimeRange| one.to + SETTLED <= now && !pauses.contains_key(&(span, one.from));
        // The newest first: they are asked for most.
        let newest_first = self.of(span).values().rev();
        newest_first.filter(is_due).copied().collect()
    }

    fn done(&mut self, span: Span, range: TimeRange, begun: Instant) {
        self.of(span).remove(&range.from);
        let until = Instant::now() + begun.elapsed() * PAUSE;
        self.pauses.insert((span, range.from), until);
    }
}

/// The hours of a zone that lie in an hour by UTC, at least in part.
fn hours_of(hour: Hour, zone: Tz) -> impl Iterator<Item = TimeRange> {
    let (from, to) = (hour.begin(), hour.begin() + TimeDelta::hours(1));
    let first = day_of(from, zone);
    let last = day_of(to - TimeDelta::microseconds(1), zone);
    let mut hours = tiles(first, Granularity::Hour, zone);
    if last != first {
        hours.extend(tiles(last, Granularity::Hour, zone));
    }
    hours
        .into_iter()
        .filter(move |hour| hour.from < to && hour.to > from)
}

fn month_of(at: DateTime<Utc>, zone: Tz) -> TimeRange {
    let week = chrono::Weekday::Mon;
    let day = day_of(at, zone);
    let begin = |at| calendar::start_of(at, Granularity::Month, week, zone).unwrap_or(day.from);
    let from = begin(at);
    // No month has more days, and the next one has more than these.
    let to = begin(from + TimeDelta::days(40));
    TimeRange { from, to }
}
