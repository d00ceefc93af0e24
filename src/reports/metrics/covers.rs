//! Which subjects of a question are read from summaries, and how far these reach: known before
//! anything is read of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::cover::Cover;
use super::plan::{Summaries, summaries};
use super::who::Aliases;
use super::{Asking, Failure};
use crate::domain::calendar::whole_days;
use crate::domain::measure::Subject;
use crate::domain::summary::{Part, Span};
use crate::storage::queries::summaries::{Summarised, cells, first_hour};

const LENGTHS: [Span; 3] = [Span::Hour, Span::Day, Span::Month];

/// The subjects that are read from summaries.
#[derive(Debug, Default)]
pub(super) struct Covers {
    pub(super) subjects: HashMap<Subject, Covered>,
    /// Whose users are whose.
    pub(super) aliases: Arc<Aliases>,
}

/// How one of them is.
#[derive(Debug)]
pub(super) struct Covered {
    /// What summaries tell of it.
    pub(super) summaries: Summaries,
    /// How far there are any.
    pub(super) cover: Arc<Cover>,
    /// The time before the range, where it matters who was there.
    pub(super) before: Option<Before>,
}

/// The time before a range.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// From the first fact on.
    pub(super) bounds: [DateTime<Utc>; 2],
    /// How far it is summed up.
    pub(super) cover: Arc<Cover>,
}

impl Covers {
    /// Which these are.
    pub(super) fn summed(&self) -> BTreeSet<Subject> {
        self.subjects.keys().copied().collect()
    }
}

impl Asking<'_> {
    /// What is summed up of the question's subjects, where there is enough to be worth it.
    pub(super) async fn covers(&self, bounds: &[DateTime<Utc>]) -> Result<Covers, Failure> {
        let question = self.question;
        let subjects: HashSet<Subject> = question.subjects().collect();
        let subjects: Vec<(Subject, Summaries)> = subjects
            .into_iter()
            .filter_map(|subject| Some((subject, summaries(question, subject)?)))
            .collect();
        let mut covers = Covers::default();
        let range = bounds[bounds.len() - 1] - bounds[0];
        if subjects.is_empty() || range < Duration::hours(1) {
            return Ok(covers);
        }
        let (snapshot, tenant) = (self.moment.snapshot, question.view.tenant());
        let any = Arc::new(Cover::of(snapshot, tenant, bounds, &LENGTHS).await?);
        if any.spans.is_empty() {
            return Ok(covers);
        }
        let is_users = |(subject, _): &(Subject, Summaries)| {
            !matches!(subject, Subject::Lines | Subject::Events)
        };
        if subjects.iter().any(is_users) {
            covers.aliases = self.moment.who.of(snapshot, tenant).await?;
        }
        for (subject, summaries) in subjects {
            let (mut cover, mut before) = (Arc::clone(&any), None);
            match subject {
                Subject::NewUsers | Subject::NewBuyers => before = self.before(bounds[0]).await?,
                Subject::Sessions => {
                    let days = self.cover_of_sessions(bounds, &covers.aliases).await?;
                    if days.spans.is_empty() {
                        continue;
                    }
                    cover = Arc::new(days);
                }
                _ => {}
            }
            let covered = Covered {
                summaries,
                cover,
                before,
            };
            covers.subjects.insert(subject, covered);
        }
        Ok(covers)
    }

    /// What was before a moment, if anything was.
    async fn before(&self, moment: DateTime<Utc>) -> Result<Option<Before>, Failure> {
        let (snapshot, tenant) = (self.moment.snapshot, self.question.view.tenant());
        let first = first_hour(&**snapshot, tenant).await?;
        let Some(first) = first.filter(|first| first.begin() < moment) else {
            return Ok(None);
        };
        let bounds = [first.begin(), moment];
        let cover = Cover::of(snapshot, tenant, &bounds, &LENGTHS).await?;
        Ok(Some(Before {
            bounds,
            cover: Arc::new(cover),
        }))
    }

    /// The days whose sessions are summed up: not those on which someone did something who turned
    /// out to be somebody else since, for then two sessions may be one.
    async fn cover_of_sessions(
        &self,
        bounds: &[DateTime<Utc>],
        aliases: &Aliases,
    ) -> Result<Cover, Failure> {
        let (snapshot, tenant) = (self.moment.snapshot, self.question.view.tenant());
        let zone = self.question.tenant_zone;
        let mut cover = Cover::of(snapshot, tenant, bounds, &[Span::Day]).await?;
        // The days of another zone, if the tenant's was changed.
        let is_day = |one: &Summarised| {
            let days = whole_days(&[one.range.from, one.range.to], zone);
            days.is_some_and(|days| days[0].succ_opt() == Some(days[1]))
        };
        cover.leave_out(|one| !is_day(one));
        let mut doubtful: Vec<Summarised> = cover.spans.clone();
        doubtful.retain(|day| aliases.since(day.change).next().is_some());
        let part = Part::users();
        let mut changed: HashSet<DateTime<Utc>> = HashSet::new();
        for (place, bytes) in cells(&**snapshot, tenant, part, &doubtful).await? {
            let day = doubtful[place];
            super::summed::read(&bytes, |_, _, cell| {
                let was_there = |(_, number)| cell.sets[0].contains(number);
                if aliases.since(day.change).any(was_there) {
                    changed.insert(day.range.from);
                }
            })?;
        }
        cover.leave_out(|one| changed.contains(&one.range.from));
        Ok(cover)
    }
}
