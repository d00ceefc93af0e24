//! Sessions: from the sums of days that are over, and of the others from who came in their hours.
//!
//! A session is what one user did under one session id on one day of the tenant's zone; it is of the
//! bucket and the groups of its first event. So an hour alone cannot tell of any: who came in it may
//! have come before, and stay on.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::cover::Cover;
use super::covers::Covered;
use super::summed::Sums;
use super::who::Aliases;
use super::{Asking, Failure, Groups};
use crate::domain::calendar::{Granularity, TimeRange, day_of, tiles, whole_days};
use crate::domain::measure::Dimension;
use crate::domain::summary::visits::{self, SessionId, Visits, Who};
use crate::domain::summary::{self, Part, Span};
use crate::storage::StorageError;
use crate::storage::queries::metrics::{Cut, Visit, visits as read_visits};
use crate::storage::queries::summaries::{Summarised, cells, valid};

/// Of how many days that are not over, or not summed up any more, visits are read.
const OPEN_DAYS: usize = 4;
/// A day of which more is not summed up by hours either is read from its facts.
const TAIL: TimeDelta = TimeDelta::hours(3);
/// And one in which more visits than this are not summed up.
const MAX_VISITS: u32 = 100_000;

/// A day that is told by who came in its hours.
#[derive(Clone, Debug)]
pub(super) struct OpenDay {
    /// Its hours.
    pub(super) hours: Cover,
    /// What of it is asked for.
    asked: Vec<TimeRange>,
}

impl Asking<'_> {
    /// The days, and the hours of days, whose sessions are summed up; and what is told by visits.
    pub(super) async fn cover_of_sessions(
        &self,
        bounds: &[DateTime<Utc>],
        aliases: &Aliases,
    ) -> Result<(Cover, Vec<OpenDay>), Failure> {
        let (snapshot, tenant) = (self.moment.snapshot, self.question.view.tenant());
        let zone = self.question.tenant_zone;
        let last = bounds[bounds.len() - 1] - TimeDelta::microseconds(1);
        let range = TimeRange {
            from: day_of(bounds[0], zone).from,
            to: day_of(last, zone).to,
        };
        let mut days = valid(&**snapshot, tenant, &[range], &[Span::Day]).await?;
        // The days of another zone, if the tenant's was changed.
        days.retain(|day| self.is_day(day.range));
        self.leave_out_doubtful(&mut days, aliases).await?;
        let mut known = Vec::new();
        for day in days {
            known.push(day);
            known.extend(
                self.hours_of(day.range)
                    .into_iter()
                    .map(|range| Summarised {
                        span: Span::Hour,
                        range,
                        ..day
                    }),
            );
        }
        let mut cover = Cover::in_known(snapshot, tenant, bounds, &known).await?;
        let mut asked: BTreeMap<DateTime<Utc>, (TimeRange, Vec<TimeRange>)> = BTreeMap::new();
        for gap in std::mem::take(&mut cover.gaps) {
            let mut from = gap.from;
            while from < gap.to {
                let day = day_of(from, zone);
                let to = day.to.min(gap.to);
                let of_day = asked.entry(day.from).or_insert((day, Vec::new()));
                of_day.1.push(TimeRange { from, to });
                from = to;
            }
        }
        let mut open = Vec::new();
        for (day, asked) in asked.into_values().rev() {
            if open.len() < OPEN_DAYS && self.is_day(day) {
                let bounds = [day.from, day.to];
                let hours = Cover::of(snapshot, tenant, &bounds, &[Span::Hour]).await?;
                let tail = hours.gaps.iter().map(|gap| gap.to - gap.from);
                if tail.sum::<TimeDelta>() <= TAIL {
                    open.push(OpenDay { hours, asked });
                    continue;
                }
            }
            cover.gaps.extend(asked);
        }
        cover.gaps.sort_by_key(|gap| gap.from);
        Ok((cover, open))
    }

    /// Whether this is a day of the tenant's: where the clock goes back over midnight, two days are
    /// not apart.
    fn is_day(&self, range: TimeRange) -> bool {
        let days = whole_days(&[range.from, range.to], self.question.tenant_zone);
        days.is_some_and(|days| days[0].succ_opt() == Some(days[1]))
    }

    /// The hours that a day consists of.
    fn hours_of(&self, day: TimeRange) -> Vec<TimeRange> {
        tiles(day, Granularity::Hour, self.question.tenant_zone)
    }

    /// Leaves out the days on which someone did something who turned out to be somebody else since,
    /// for then two sessions may be one.
    async fn leave_out_doubtful(
        &self,
        days: &mut Vec<Summarised>,
        aliases: &Aliases,
    ) -> Result<(), Failure> {
        let (snapshot, tenant) = (self.moment.snapshot, self.question.view.tenant());
        let mut doubtful: Vec<Summarised> = days.clone();
        doubtful.retain(|day| aliases.since(day.change).next().is_some());
        let mut changed: HashSet<DateTime<Utc>> = HashSet::new();
        for (place, bytes) in cells(&**snapshot, tenant, Part::users().code, &doubtful).await? {
            let day = doubtful[place];
            summary::read(&bytes, |_, _, cell| {
                let was_there = |(_, number)| cell.sets[0].contains(number);
                if aliases.since(day.change).any(was_there) {
                    changed.insert(day.range.from);
                }
            })
            .map_err(StorageError::from)?;
        }
        days.retain(|day| !changed.contains(&day.range.from));
        Ok(())
    }

    /// What sessions came to.
    pub(super) async fn sessions(
        &mut self,
        bounds: &[DateTime<Utc>],
        covered: &Covered,
        aliases: &Aliases,
    ) -> Result<Sums, Failure> {
        let of = &covered.summaries;
        let mut sums = Sums::default();
        let (days, hours): (Vec<Summarised>, Vec<Summarised>) = covered
            .cover
            .spans
            .iter()
            .partition(|span| span.span == Span::Day);
        self.add_cells(&mut sums, bounds, &days, of).await?;
        self.add_hours(&mut sums, bounds, &hours, of.part).await?;
        for open in &covered.open {
            if !self.add_visits(&mut sums, bounds, open, aliases).await? {
                for asked in &open.asked {
                    self.add_facts(&mut sums, bounds, *asked, of).await?;
                }
            }
        }
        for gap in &covered.cover.gaps {
            self.add_facts(&mut sums, bounds, *gap, of).await?;
        }
        Ok(sums)
    }

    /// Adds the sessions that began in some hours of days that are summed up.
    async fn add_hours(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        hours: &[Summarised],
        part: Part,
    ) -> Result<(), Failure> {
        let (question, zone) = (self.question, self.question.tenant_zone);
        let asked: HashSet<DateTime<Utc>> = hours.iter().map(|hour| hour.range.from).collect();
        let mut days: BTreeMap<DateTime<Utc>, Summarised> = BTreeMap::new();
        for hour in hours {
            let range = day_of(hour.range.from, zone);
            let span = Span::Day;
            days.entry(range.from).or_insert(Summarised {
                span,
                range,
                ..*hour
            });
        }
        let days: Vec<Summarised> = days.into_values().collect();
        let written = cells(
            &**self.moment.snapshot,
            question.view.tenant(),
            part.by_hour(),
            &days,
        )
        .await?;
        let mut name = String::new();
        for (place, bytes) in written {
            // The bucket of each hour that is asked for.
            let buckets: HashMap<String, usize> = (0..)
                .zip(self.hours_of(days[place].range))
                .filter(|(_, hour)| asked.contains(&hour.from))
                .map(|(n, hour): (usize, _)| (n.to_string(), bucket(bounds, hour.from)))
                .collect();
            summary::read(&bytes, |value, hour, cell| {
                self.rows_read += 1;
                if let Some(bucket) = buckets.get(hour) {
                    let of = |dimension| part.find(value, dimension).unwrap_or_default();
                    if question.names(&mut name, &of) {
                        sums.at(&name, *bucket).add_cell(cell);
                    }
                }
            })
            .map_err(StorageError::from)?;
        }
        Ok(())
    }

    /// Adds the sessions of a day that is not summed up.
    async fn add_visits(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        open: &OpenDay,
        aliases: &Aliases,
    ) -> Result<bool, Failure> {
        let question = self.question;
        let snapshot = self.moment.snapshot;
        let spans = &open.hours.spans;
        let mut sessions = Visits::default();
        for (place, bytes) in
            cells(&**snapshot, question.view.tenant(), visits::CODE, spans).await?
        {
            let begin = spans[place].range.from;
            sessions
                .read(&bytes, begin, |number| aliases.who(number))
                .map_err(StorageError::from)?;
        }
        let mut left = MAX_VISITS;
        for gap in &open.hours.gaps {
            let cut = Cut {
                view: &question.view,
                tenant_zone: question.tenant_zone,
                bounds: &[gap.from, gap.to],
                keys: &[],
                groups: Groups::All,
                filter: None,
                currency: None,
                bots: false,
                limit: left + 1,
            };
            let visits = read_visits(&**snapshot, &cut).await?;
            let read = u32::try_from(visits.len()).unwrap_or(u32::MAX);
            let Some(rest) = left.checked_sub(read) else {
                return Ok(false);
            };
            left = rest;
            for visit in visits {
                self.rows_read += visit.facts;
                add(&mut sessions, &visit, aliases);
            }
        }
        let mut name = String::new();
        for session in sessions.all() {
            let (began, _) = session.first;
            let is_asked = |range: &TimeRange| began >= range.from && began < range.to;
            if !open.asked.iter().any(is_asked) {
                continue;
            }
            let of = |dimension| sessions.place(session, dimension);
            if question.names(&mut name, &of) {
                sums.at(&name, bucket(bounds, began))
                    .add_numbers(session.numbers());
            }
        }
        Ok(true)
    }
}

/// Adds a visit that was read from the facts.
fn add(sessions: &mut Visits, visit: &Visit, aliases: &Aliases) {
    let number = visit.number.and_then(|number| u32::try_from(number).ok());
    let who = number.map_or(Who::Id(visit.who), |number| aliases.who(number));
    let place = visits::place(|dimension| match dimension {
        Dimension::Region => &visit.region,
        Dimension::Channel => &visit.channel,
        Dimension::Device => &visit.device,
        Dimension::Campaign => &visit.campaign,
        Dimension::PageUrl => &visit.page,
        _ => "",
    });
    let facts = visit.facts.unsigned_abs();
    let (first, last) = ((visit.first, visit.event_id), (visit.last, facts));
    sessions.add(who, SessionId::of(&visit.session_id), first, last, &place);
}

/// The bucket that an instant of the range lies in.
fn bucket(bounds: &[DateTime<Utc>], at: DateTime<Utc>) -> usize {
    bounds.partition_point(|bound| *bound <= at) - 1
}
