//! The answer of `metrics`.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, FixedOffset};

use super::metrics_input::{Dimension, Measure};
use super::provenance::Provenance;
use super::range::shown_in;
use crate::domain::measure;
use crate::domain::money::{Currency, Decimal};
use crate::domain::number::Number;
use crate::reports::metrics::{self, Group, MetricsAnswer, MetricsQuestion};

/// What was measured.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Metrics {
    /// Whose days and hours the buckets are.
    timezone: &'static str,
    /// One for each group and measure: the groups in their order, of each its measures in the order
    /// in which they were asked for.
    series: Vec<MetricsSeries>,
    /// What was read for each part of the answer, or, with `explain`, would be.
    plan: Vec<MetricsStep>,
    /// How many rows that was.
    rows_read: i64,
    /// What there is to know of the numbers besides.
    warnings: Vec<String>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One measure of one group over time.
#[derive(SimpleObject)]
struct MetricsSeries {
    /// What.
    measure: Measure,
    /// What its numbers are.
    unit: MetricsUnit,
    /// Of amounts: ISO 4217.
    currency: Option<&'static str>,
    /// Of which group: a value for each dimension that was asked for; none of all other groups
    /// together.
    dimensions: Vec<DimensionValue>,
    /// Whether it is of all groups together that `limit` leaves out.
    other: bool,
    /// Over the whole range; where users are counted this is not the sum of the buckets.
    total: Option<Decimal>,
    /// The same of the range of `compareTo`.
    compared_total: Option<Decimal>,
    /// In the order of time.
    buckets: Vec<MetricsBucket>,
}

/// A value of a dimension.
#[derive(SimpleObject)]
struct DimensionValue {
    /// Of which.
    dimension: Dimension,
    /// Empty where there is none.
    value: String,
}

/// One bucket of a series.
#[derive(SimpleObject)]
struct MetricsBucket {
    /// Its first instant, in the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it.
    end: DateTime<FixedOffset>,
    /// Whether it is over; what comes late may still change it.
    complete: bool,
    /// What was measured: nothing where nothing was, unless `fill` says otherwise.
    value: Option<Decimal>,
    /// The value of the bucket in the same place of the range of `compareTo`.
    compared: Option<Decimal>,
}

/// What the numbers of a measure are.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "measure::Unit")]
enum MetricsUnit {
    /// Counts.
    Count,
    /// Amounts of `currency`.
    Money,
    /// Shares, from 0 to 1.
    Share,
    /// Seconds.
    Seconds,
}

/// What was read for a part of an answer.
#[derive(SimpleObject)]
struct MetricsStep {
    /// What was counted.
    subject: MetricsSubject,
    /// Whether what hours, days and months came to is read, as far as it is summed up.
    summed: bool,
    /// In which tables, or the rest.
    reads: &'static str,
    /// Whether they are read once more for the whole range.
    twice: bool,
    /// How many rows that is expected to go through, as often as they are read, before any of them
    /// is; a summary of an hour, a day or a month is one.
    estimated_rows: i64,
}

/// What is counted.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "measure::Subject")]
enum MetricsSubject {
    /// The lines of orders and refunds.
    Lines,
    /// Users who bought.
    Buyers,
    /// Users who bought for the first time.
    NewBuyers,
    /// Events.
    Events,
    /// Users who did anything.
    Users,
    /// Users who put something into a cart.
    Carts,
    /// Users who did anything for the first time.
    NewUsers,
    /// Sessions.
    Sessions,
}

pub(super) fn shown(number: Option<Number>) -> Option<Decimal> {
    number.map(|number| Decimal(number.to_string()))
}

impl Metrics {
    /// The answer to a question.
    pub(in crate::graphql) fn of(question: &MetricsQuestion, answer: MetricsAnswer) -> Self {
        let series = |series| MetricsSeries::of(question, series);
        Self {
            timezone: question.zone.name(),
            series: answer.series.into_iter().map(series).collect(),
            plan: answer.plan.into_iter().map(Into::into).collect(),
            rows_read: answer.rows_read,
            warnings: answer.warnings,
            provenance: answer.provenance.into(),
        }
    }
}

impl MetricsSeries {
    fn of(question: &MetricsQuestion, series: metrics::Series) -> Self {
        let (values, other) = match series.group {
            Group::Of(values) => (values, false),
            Group::Other => (Vec::new(), true),
        };
        let named = question.keys.iter().zip(values);
        let bucket = |point: metrics::Point| MetricsBucket {
            start: shown_in(point.start, question.zone),
            end: shown_in(point.end, question.zone),
            complete: point.complete,
            value: shown(point.value),
            compared: shown(point.compared),
        };
        Self {
            measure: series.measure.into(),
            unit: series.measure.unit().into(),
            currency: series.currency.map(Currency::code),
            dimensions: named
                .map(|(key, value)| DimensionValue {
                    dimension: key.dimension.into(),
                    value,
                })
                .collect(),
            other,
            total: shown(series.total),
            compared_total: shown(series.compared_total),
            buckets: series.points.into_iter().map(bucket).collect(),
        }
    }
}

impl From<metrics::Step> for MetricsStep {
    fn from(step: metrics::Step) -> Self {
        Self {
            subject: step.subject.into(),
            summed: step.summed,
            reads: step.reads(),
            twice: step.whole,
            estimated_rows: step.estimated,
        }
    }
}
