//! The one function behind every number: measures, told apart by dimensions, over time.
//!
//! A question is checked ([`question`]) and planned ([`plan`]): each subject is read from the
//! smallest source that answers exactly: summaries of hours, days and months ([`summed`]) as far as
//! there are any ([`cover`]), then rollups, then facts. What is read becomes series ([`series`]),
//! whose gaps are filled and windows rolled ([`shape`]).

mod cells;
mod cover;
mod covers;
mod depends_on;
mod estimate;
pub mod filter;
mod plan;
mod question;
mod series;
mod sessions;
mod shape;
mod summed;
mod who;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::provenance::{Provenance, Source};
use super::question::{Answer, Failure, Moment, Question};
use super::{Reports, bucket_index};
use crate::cache::DependsOn;
use crate::domain::calendar::TimeRange;
use crate::domain::event::{PURCHASE, REFUND};
use crate::domain::measure::Subject;
use crate::domain::summary::Span as Length;
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::storage::queries::metrics::{Cut, Groups, metrics};
use crate::storage::queries::provenance::provenance;
use cover::Cover;
use covers::Covers;
use series::{Reading, Table};
use summed::Summed;
pub(super) use who::WhoIsWho;

pub(super) use cells::{Cell, Told, cells};

pub use crate::storage::queries::metrics::{Source as Read, Span as RowSpan};
pub use plan::Step;
pub(super) use question::Limited;
pub use question::{Compare, Fill, LIMIT, MetricsQuestion, Order, Rolling, Span, Window};
pub use series::{Group, Point, Series};

/// How many groups may be told apart before the first are chosen.
const MAX_GROUPS: u32 = 20_000;
/// How many values an answer may have: series times buckets.
pub const MAX_VALUES: usize = 100_000;

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsAnswer {
    /// The groups in their order, of each its measures as they were asked for.
    pub series: Vec<Series>,
    /// What was read, or would be.
    pub plan: Vec<Step>,
    /// How many rows that was.
    pub rows_read: i64,
    /// What there is to know of the numbers besides.
    pub warnings: Vec<String>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Reports {
    /// The range that a span is now.
    ///
    /// # Errors
    /// One that cannot be.
    pub fn range(&self, span: Span, week_start: Weekday, zone: Tz) -> Result<TimeRange, Problem> {
        let now = self.clock.now();
        if let Some(collected) = &self.collected
            && !matches!(span, Span::Between(_))
        {
            collected.resolve(now);
        }
        span.resolve(now, week_start, zone)
    }

    /// Answers what was measured.
    ///
    /// # Errors
    /// A measure that lacks a dimension, a limit that is passed, or that the database is away or
    /// takes too long.
    pub async fn metrics(&self, question: &MetricsQuestion) -> Result<MetricsAnswer, Problem> {
        let asked = Asked::new(question)?;
        Box::pin(self.ask(&asked, question.max_staleness)).await
    }
}

/// The question with the bounds of its buckets.
#[derive(Clone)]
pub(super) struct Asked {
    question: Limited,
    bounds: Vec<DateTime<Utc>>,
    compared: Option<Vec<DateTime<Utc>>>,
}

/// What was read for a question.
pub(super) struct Measured {
    pub(super) series: Vec<Series>,
    pub(super) told: Told,
}

impl Asked {
    /// A question that can be answered.
    pub(super) fn new(question: &MetricsQuestion) -> Result<Self, Problem> {
        question.check()?;
        let compared = question.compared_range()?;
        let limited = MetricsQuestion {
            max_staleness: Duration::ZERO,
            ..question.clone()
        };
        Ok(Self {
            question: limited.limited()?,
            bounds: question.bounds(question.range)?,
            compared: compared.map(|range| question.bounds(range)).transpose()?,
        })
    }

    /// What is asked.
    pub(super) fn question(&self) -> &Limited {
        &self.question
    }

    /// Measures it at a moment.
    pub(super) async fn measure(&self, moment: Moment<'_>) -> Result<Measured, Failure> {
        let Self {
            question,
            bounds,
            compared,
        } = self;
        let mut asking = Asking::new(moment, question);
        let covers = asking.covers(bounds).await?;
        let before = match compared {
            Some(bounds) => Some((bounds, asking.covers(bounds).await?)),
            None => None,
        };
        asking.begin(bounds, &covers, before.as_ref()).await?;
        let mut series = Vec::new();
        if !question.explain {
            let sums = asking.summed(bounds, &covers).await?;
            let chosen = asking.choose(bounds, &sums).await?;
            let columns = bounds.len().max(compared.as_ref().map_or(0, Vec::len));
            if chosen.groups().count() * question.measures.len() * columns > MAX_VALUES {
                return Err(Code::TooManyBuckets.into());
            }
            if chosen.others {
                asking.go_on(bounds, &covers, before.as_ref()).await?;
            }
            let now = asking.read(bounds, &chosen, &sums).await?;
            let before = match &before {
                Some((bounds, covers)) => {
                    let sums = asking.summed(bounds, covers).await?;
                    Some(asking.read(bounds, &chosen, &sums).await?)
                }
                None => None,
            };
            series = series::series(
                question,
                bounds,
                moment.as_of,
                &chosen,
                &now,
                before.as_ref(),
            );
        }
        Ok(Measured {
            series,
            told: asking.told(bounds, &covers),
        })
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bounds follow from it.
        self.question.fmt(out)
    }
}

impl Answer for MetricsAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for Asked {
    const KIND: &'static str = "metrics";
    type Answer = MetricsAnswer;

    fn view(&self) -> &View {
        &self.question.view
    }

    fn depends_on(&self) -> Option<DependsOn> {
        if self.question.explain {
            return None;
        }
        let ends = |bounds: &[DateTime<Utc>]| (bounds[0], bounds[bounds.len() - 1]);
        let compared = self.compared.as_deref().map(ends);
        Some(depends_on::depends_on(&self.question, compared))
    }

    /// The next bucket that ends says so from then on.
    fn valid_until(&self, as_of: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let over = self.bounds.partition_point(|bound| *bound <= as_of);
        self.bounds.get(over).copied()
    }

    async fn answer(&self, moment: Moment<'_>) -> Result<MetricsAnswer, Failure> {
        let question = &self.question;
        let Measured { series, told } = self.measure(moment).await?;
        Ok(MetricsAnswer {
            warnings: question.warnings(&series),
            provenance: provenance_of(question, &told, moment).await?,
            series,
            plan: told.plan,
            rows_read: told.rows,
        })
    }
}

/// Where the numbers of a question come from, by what was read for it.
pub(super) async fn provenance_of(
    question: &Limited,
    told: &Told,
    Moment {
        snapshot, as_of, ..
    }: Moment<'_>,
) -> Result<Provenance, Failure> {
    let orders = question.asks_for_orders_alone();
    let types = orders.then_some([PURCHASE, REFUND].as_slice());
    let (view, range, bots) = (&question.view, question.range, question.bots);
    // Summaries tell what came late, and of what bots did only how much it is.
    let cover = match &told.cover {
        _ if bots || !view.is_whole() => Arc::new(Cover::none(range)),
        Some(cover) => Arc::clone(cover),
        None => {
            let bounds = [range.from, range.to];
            Arc::new(Cover::of(snapshot, view.tenant(), &bounds, &Length::ALL).await?)
        }
    };
    let mut row = provenance(&**snapshot, view, range.from, &cover.gaps, types, bots).await?;
    for span in &cover.spans {
        let (late, of_bots) = if orders {
            (span.late_orders, span.bot_orders)
        } else {
            (span.late_events, span.bot_events)
        };
        row.late_events += late;
        row.excluded_bots += of_bots;
    }
    Ok(Provenance {
        rows_read: told.rows,
        ..Provenance::exact(as_of, Source::of(&told.plan), &row)
    })
}

/// The groups that an answer has.
struct Chosen {
    /// In their order.
    top: Vec<Vec<String>>,
    /// Whether there are more, which are one together.
    others: bool,
}

impl Chosen {
    fn groups(&self) -> impl Iterator<Item = Group> {
        let top = self.top.iter().cloned().map(Group::Of);
        top.chain(self.others.then_some(Group::Other))
    }
}

/// A question on its way.
struct Asking<'a> {
    moment: Moment<'a>,
    question: &'a Limited,
    rows_read: i64,
    /// How many rows each subject is expected to go through.
    estimated: BTreeMap<Subject, i64>,
    /// What was expected of each source.
    expected: HashMap<(Subject, Read, Vec<TimeRange>), i64>,
}

impl<'a> Asking<'a> {
    fn new(moment: Moment<'a>, question: &'a Limited) -> Self {
        Self {
            moment,
            question,
            rows_read: 0,
            estimated: BTreeMap::new(),
            expected: HashMap::new(),
        }
    }
}

impl Asking<'_> {
    /// What was read for the buckets of a range.
    fn told(&self, bounds: &[DateTime<Utc>], covers: &Covers) -> Told {
        Told {
            plan: plan::plan(self.question, bounds, &covers.summed(), &self.estimated),
            rows: self.rows_read,
            cover: covers.any.clone(),
        }
    }

    /// Which groups there are, and of them the first.
    async fn choose(&mut self, bounds: &[DateTime<Utc>], sums: &Summed) -> Result<Chosen, Failure> {
        let question = self.question;
        if question.keys.is_empty() {
            return Ok(Chosen {
                top: vec![Vec::new()],
                others: false,
            });
        }
        let mut whole = Table::default();
        let range = [bounds[0], bounds[bounds.len() - 1]];
        self.add(&mut whole, &range, Groups::All, sums).await?;
        let mut top = series::in_order(question, &whole);
        let others = top.len() > question.limit;
        top.truncate(question.limit);
        Ok(Chosen { top, others })
    }

    /// The numbers of the chosen groups, in each bucket and over the whole range.
    async fn read(
        &mut self,
        bounds: &[DateTime<Utc>],
        chosen: &Chosen,
        sums: &Summed,
    ) -> Result<Reading, Failure> {
        let whole = [bounds[0], bounds[bounds.len() - 1]];
        let mut reading = Reading {
            length: bounds.len() - 1,
            ..Reading::default()
        };
        let wanted = if self.question.keys.is_empty() {
            Groups::All
        } else {
            Groups::Only(&chosen.top)
        };
        let others = chosen.others.then_some(Groups::Except(&chosen.top));
        for groups in std::iter::once(wanted).chain(others) {
            self.add(&mut reading.whole, &whole, groups, sums).await?;
            if bounds.len() == 2 {
                reading.buckets = reading.whole.clone();
            } else {
                self.add(&mut reading.buckets, bounds, groups, sums).await?;
            }
        }
        Ok(reading)
    }

    /// Reads each subject from its source; what is summed was read already.
    async fn add(
        &mut self,
        table: &mut Table,
        bounds: &[DateTime<Utc>],
        groups: Groups<'_>,
        summed: &Summed,
    ) -> Result<(), Failure> {
        let question = self.question;
        let limit = if bounds.len() == 2 {
            MAX_GROUPS
        } else {
            u32::try_from(MAX_VALUES).unwrap_or(u32::MAX)
        };
        let subjects: BTreeSet<Subject> = question.subjects().collect();
        for subject in subjects {
            if let Some(sums) = summed.of(subject, groups) {
                sums.fill(table, subject, groups, bounds.len() > 2, &summed.aliases);
                continue;
            }
            let is_one = matches!(groups, Groups::Except(_));
            let source = plan::source(question, subject, bounds, is_one);
            let cut = Cut {
                view: &question.view,
                tenant_zone: question.tenant_zone,
                bounds,
                keys: &question.keys,
                groups,
                filter: question.filter.as_ref(),
                currency: question.currency_of(subject),
                bots: question.bots,
                limit: limit + 1,
            };
            let rows = metrics(&**self.moment.snapshot, subject, source, &cut).await?;
            if rows.len() > limit as usize {
                return Err(too_many_groups(limit));
            }
            for row in rows {
                self.rows_read += row.rows_read;
                let group = if is_one {
                    Group::Other
                } else {
                    Group::Of(row.key)
                };
                table.add(group, bucket_index(row.bucket), subject, &row.quantities);
            }
        }
        Ok(())
    }
}

fn too_many_groups(limit: u32) -> Failure {
    let detail = format!(
        "There are more than {limit} groups. Narrow them with a filter, or tell fewer dimensions apart."
    );
    Failure::Problem(Problem::with(Code::TooManyBuckets, detail))
}
