//! How many rows a question is going to go through: estimated before it is answered, from what
//! summaries cover and what PostgreSQL's planner expects of the rest.
//!
//! A summary of an hour, a day or a month is one row. A rollup or facts have as many rows as lie in
//! the range, whatever a filter leaves of them, as often as they are read.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::covers::{Covered, Covers};
use super::plan;
use super::{Asking, Failure, Groups, Read};
use crate::domain::calendar::TimeRange;
use crate::domain::measure::Subject;
use crate::storage::queries::metrics::{Cut, expected};

/// So much of a source is not worth a question of its own, and counts as nothing.
const SMALL: TimeDelta = TimeDelta::hours(1);

/// How often what is not summed up is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passes {
    /// Over the whole range.
    whole: i64,
    /// In buckets.
    buckets: i64,
}

impl Passes {
    /// Once in its buckets.
    pub(super) fn once(bounds: &[DateTime<Utc>]) -> Self {
        let is_one = bounds.len() == 2;
        Self {
            whole: i64::from(is_one),
            buckets: i64::from(!is_one),
        }
    }

    /// Over the whole range, and in buckets if there are several.
    fn of_groups(bounds: &[DateTime<Utc>]) -> Self {
        Self {
            whole: 1,
            buckets: i64::from(bounds.len() > 2),
        }
    }
}

/// A range that is compared with, and what is summed up of it.
pub(super) type Compared<'a> = (&'a Vec<DateTime<Utc>>, Covers);

impl Asking<'_> {
    /// Refuses what would cost too much.
    pub(super) async fn begin(
        &mut self,
        bounds: &[DateTime<Utc>],
        covers: &Covers,
        before: Option<&Compared<'_>>,
    ) -> Result<(), Failure> {
        let mut passes = Passes::of_groups(bounds);
        if !self.question.keys.is_empty() {
            // Which groups come first is read before.
            passes.whole += 1;
        }
        let mut rows = self.estimate(bounds, covers, passes).await?;
        if let Some((bounds, covers)) = before {
            let passes = Passes::of_groups(bounds);
            rows = rows.saturating_add(self.estimate(bounds, covers, passes).await?);
        }
        self.afford(rows)
    }

    /// The same, now that there are groups which are left out.
    pub(super) async fn go_on(
        &mut self,
        bounds: &[DateTime<Utc>],
        covers: &Covers,
        before: Option<&Compared<'_>>,
    ) -> Result<(), Failure> {
        let mut rows = self.estimate_of_others(bounds, covers).await?;
        if let Some((bounds, covers)) = before {
            rows = rows.saturating_add(self.estimate_of_others(bounds, covers).await?);
        }
        self.afford(rows)
    }

    /// How many rows are gone through for the buckets of a range.
    pub(super) async fn estimate(
        &mut self,
        bounds: &[DateTime<Utc>],
        covers: &Covers,
        passes: Passes,
    ) -> Result<i64, Failure> {
        let subjects: BTreeSet<Subject> = self.question.subjects().collect();
        let mut sum: i64 = 0;
        for subject in subjects {
            let rows = match covers.subjects.get(&subject) {
                Some(covered) => self.rows_of_summaries(bounds, covered).await?,
                None => self.rows_of_source(subject, bounds, passes, false).await?,
            };
            sum = sum.saturating_add(self.noted(subject, rows));
        }
        Ok(sum)
    }

    /// How many more for the groups that are left out, as one.
    async fn estimate_of_others(
        &mut self,
        bounds: &[DateTime<Utc>],
        covers: &Covers,
    ) -> Result<i64, Failure> {
        let subjects: BTreeSet<Subject> = self.question.subjects().collect();
        let mut sum: i64 = 0;
        for subject in subjects {
            let covered = covers.subjects.get(&subject);
            if covered.is_none_or(|covered| covered.summaries.apart) {
                let passes = Passes::of_groups(bounds);
                let rows = self.rows_of_source(subject, bounds, passes, true).await?;
                sum = sum.saturating_add(self.noted(subject, rows));
            }
        }
        Ok(sum)
    }

    /// Takes rows from what the answer may cost; a plan costs nothing.
    pub(super) fn afford(&self, rows: i64) -> Result<(), Failure> {
        let budget = self.moment.budget;
        budget.note(rows);
        if self.question.explain {
            return Ok(());
        }
        budget.check()
    }

    fn noted(&mut self, subject: Subject, rows: i64) -> i64 {
        let sum = self.estimated.entry(subject).or_default();
        *sum = sum.saturating_add(rows);
        rows
    }

    async fn rows_of_summaries(
        &mut self,
        bounds: &[DateTime<Utc>],
        covered: &Covered,
    ) -> Result<i64, Failure> {
        let before = covered.before.as_ref().map(|before| &before.cover);
        let subject = covered.summaries.part.subject;
        let source = match subject {
            Subject::Users | Subject::Buyers | Subject::Carts => Read::Facts,
            _ => plan::source(self.question, subject, bounds, false),
        };
        let mut sum: i64 = 0;
        let open = covered.open.iter().map(|open| &open.hours);
        let covers = before.into_iter().chain([&covered.cover]).map(|one| &**one);
        for cover in covers.chain(open) {
            let spans = i64::try_from(cover.spans.len()).unwrap_or(i64::MAX);
            let gaps = self.expected(subject, source, &cover.gaps).await?;
            sum = sum.saturating_add(spans).saturating_add(gaps);
        }
        Ok(sum)
    }

    async fn rows_of_source(
        &mut self,
        subject: Subject,
        bounds: &[DateTime<Utc>],
        passes: Passes,
        is_one: bool,
    ) -> Result<i64, Failure> {
        let whole = [bounds[0], bounds[bounds.len() - 1]];
        let range = TimeRange {
            from: whole[0],
            to: whole[1],
        };
        let mut sum: i64 = 0;
        for (bounds, times) in [(&whole[..], passes.whole), (bounds, passes.buckets)] {
            if times > 0 {
                let source = plan::source(self.question, subject, bounds, is_one);
                let rows = self.expected(subject, source, &[range]).await?;
                sum = sum.saturating_add(rows.saturating_mul(times));
            }
        }
        Ok(sum)
    }

    /// How many rows of a source lie in these ranges; the same is asked once.
    async fn expected(
        &mut self,
        subject: Subject,
        source: Read,
        ranges: &[TimeRange],
    ) -> Result<i64, Failure> {
        let question = self.question;
        let lengths = ranges.iter().map(|range| range.to - range.from);
        let length = lengths.fold(TimeDelta::zero(), |sum, one| sum + one);
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return Ok(0);
        };
        if length <= SMALL && !question.explain {
            return Ok(0);
        }
        let asked = (subject, source, ranges.to_vec());
        if let Some(rows) = self.expected.get(&asked) {
            return Ok(*rows);
        }
        let cut = Cut {
            view: &question.view,
            tenant_zone: question.tenant_zone,
            bounds: &[first.from, last.to],
            keys: &question.keys,
            groups: Groups::All,
            filter: question.filter.as_ref(),
            currency: None,
            bots: question.bots,
            limit: 0,
        };
        let rows = expected(&**self.moment.snapshot, subject, source, &cut, ranges).await?;
        self.expected.insert(asked, rows);
        Ok(rows)
    }
}
