//! The answer of metrics: as JSON, as a table and as lines.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::condition::Key;
use crate::domain::measure::{Dimension, Measure, Subject, Unit};
use crate::domain::money::Currency;
use crate::domain::number::Number;
use crate::http::etag::Tag;
use crate::http::rest::Sourced;
use crate::http::rest::export::push;
use crate::http::rest::provenance::Provenance;
use crate::http::rest::table::Table;
use crate::reports::metrics::{self, Group, MetricsAnswer, MetricsQuestion};

/// What was measured.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Metrics {
    /// Whose days and hours the buckets are: an IANA name.
    timezone: &'static str,
    /// One for each group and measure: the groups in their order, of each its measures in the order
    /// in which they were asked for.
    series: Vec<MetricsSeries>,
    /// What was read for each part of the answer, or, with `explain=true`, would be.
    plan: Vec<MetricsStep>,
    /// How many rows that was.
    rows_read: i64,
    /// What there is to know of the numbers besides.
    warnings: Vec<String>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One measure of one group over time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct MetricsSeries {
    #[serde(flatten)]
    what: MetricsOf,
    /// Over the whole range: a decimal as a text; where users are counted this is not the sum of the
    /// buckets.
    #[schema(example = "29.90")]
    total: Option<String>,
    /// The same of the range of `compareTo`.
    compared_total: Option<String>,
    /// In the order of time.
    buckets: Vec<MetricsBucket>,
}

/// Which measure of which group.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct MetricsOf {
    /// What was measured.
    #[schema(value_type = String, example = "REVENUE")]
    measure: Measure,
    /// What its numbers are: `COUNT`, `MONEY` (amounts of `currency`), `SHARE` (from 0 to 1) or
    /// `SECONDS`.
    #[schema(value_type = String, example = "MONEY")]
    unit: Unit,
    /// Of amounts: ISO 4217.
    currency: Option<&'static str>,
    /// Of which group: a value for each dimension that was asked for; none of all other groups
    /// together.
    dimensions: Vec<DimensionValue>,
    /// Whether it is of all groups together that `limit` leaves out.
    other: bool,
}

/// A value of a dimension.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DimensionValue {
    /// Of which.
    #[schema(value_type = String, example = "REGION")]
    dimension: Dimension,
    /// Empty where there is none.
    value: String,
}

/// One bucket of a series.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct MetricsBucket {
    /// Its first instant: RFC 3339 with the offset of the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it: RFC 3339 with the offset of the time zone.
    end: DateTime<FixedOffset>,
    /// Whether it is over; what comes late may still change it.
    complete: bool,
    /// What was measured, a decimal as a text: null where nothing was, unless `fill` says otherwise.
    #[schema(example = "29.90")]
    value: Option<String>,
    /// The value of the bucket in the same place of the range of `compareTo`.
    compared: Option<String>,
}

/// What was read for a part of an answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct MetricsStep {
    /// What was counted.
    #[schema(value_type = String, example = "LINES")]
    subject: Subject,
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

/// A line of NDJSON: one bucket of one series. The last line has `done`, `rows`, `timezone`,
/// `warnings` and `provenance` instead.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MetricsLine<'a> {
    #[serde(flatten)]
    what: &'a MetricsOf,
    #[serde(flatten)]
    bucket: &'a MetricsBucket,
}

/// The last line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct End<'a> {
    done: bool,
    rows: usize,
    timezone: &'static str,
    warnings: &'a [String],
    provenance: &'a Provenance,
}

fn shown(number: Option<Number>) -> Option<String> {
    number.map(|number| number.to_string())
}

impl Sourced for Metrics {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Metrics {
    /// The answer to a question.
    pub(in crate::http) fn of(question: &MetricsQuestion, answer: MetricsAnswer) -> Self {
        let series = |series| MetricsSeries::of(question, series);
        let step = |step: metrics::Step| MetricsStep {
            subject: step.subject,
            summed: step.summed,
            reads: step.reads(),
            twice: step.whole,
            estimated_rows: step.estimated,
        };
        Self {
            timezone: question.zone.name(),
            series: answer.series.into_iter().map(series).collect(),
            plan: answer.plan.into_iter().map(step).collect(),
            rows_read: answer.rows_read,
            warnings: answer.warnings,
            provenance: answer.provenance.into(),
        }
    }

    /// How many buckets its series have.
    pub(in crate::http) fn rows(&self) -> u64 {
        let buckets = self.series.iter().map(|series| series.buckets.len() as u64);
        buckets.sum()
    }

    /// A line of a table for each bucket of each series. A group has a column for each of `keys`.
    pub(in crate::http) fn write(&self, keys: &[Key], table: &mut Table) {
        for name in ["measure", "unit", "currency"] {
            table.text(name);
        }
        for key in keys {
            table.plain(word(key.dimension));
        }
        for name in ["other", "start", "end", "complete", "value", "compared"] {
            table.text(name);
        }
        table.end_line();
        for series in &self.series {
            for bucket in &series.buckets {
                series.what.write(keys.len(), table);
                bucket.write(table);
                table.end_line();
            }
        }
    }

    /// Lines of JSON, and a tag: of what is not kept one that leaves out when they were made.
    pub(in crate::http) fn lines(mut self) -> (Tag, Vec<u8>) {
        let mut lines = Vec::new();
        let mut rows = 0;
        for series in &self.series {
            for bucket in &series.buckets {
                let what = &series.what;
                push(&mut lines, &MetricsLine { what, bucket });
                rows += 1;
            }
        }
        let mut timeless = lines.clone();
        push(&mut lines, &self.end(rows));
        if self.provenance.is_kept() {
            return (Tag::strong(&lines), lines);
        }
        self.provenance.forget_when();
        push(&mut timeless, &self.end(rows));
        (Tag::weak(&timeless), lines)
    }

    fn end(&self, rows: usize) -> End<'_> {
        End {
            done: true,
            rows,
            timezone: self.timezone,
            warnings: &self.warnings,
            provenance: &self.provenance,
        }
    }
}

/// A word as JSON writes it.
fn word(word: impl Serialize) -> Option<String> {
    let word = serde_json::to_value(word).ok()?;
    word.as_str().map(str::to_owned)
}

impl MetricsOf {
    fn write(&self, keys: usize, table: &mut Table) {
        table.plain(word(self.measure));
        table.plain(word(self.unit));
        table.text(self.currency);
        for n in 0..keys {
            table.text(self.dimensions.get(n).map(|one| one.value.as_str()));
        }
        table.value(self.other);
    }
}

impl MetricsBucket {
    fn write(&self, table: &mut Table) {
        // As JSON writes them.
        for at in [self.start, self.end] {
            table.plain(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        }
        table.value(self.complete);
        table.plain(self.value.clone());
        table.plain(self.compared.clone());
    }
}

impl MetricsSeries {
    fn of(question: &MetricsQuestion, series: metrics::Series) -> Self {
        let (values, other) = match series.group {
            Group::Of(values) => (values, false),
            Group::Other => (Vec::new(), true),
        };
        let named = question.keys.iter().zip(values);
        let shown_in = |at: DateTime<chrono::Utc>| at.with_timezone(&question.zone).fixed_offset();
        let bucket = |point: metrics::Point| MetricsBucket {
            start: shown_in(point.start),
            end: shown_in(point.end),
            complete: point.complete,
            value: shown(point.value),
            compared: shown(point.compared),
        };
        let dimension = |(key, value): (&Key, String)| DimensionValue {
            dimension: key.dimension,
            value,
        };
        Self {
            what: MetricsOf {
                measure: series.measure,
                unit: series.measure.unit(),
                currency: series.currency.map(Currency::code),
                dimensions: named.map(dimension).collect(),
                other,
            },
            total: shown(series.total),
            compared_total: shown(series.compared_total),
            buckets: series.points.into_iter().map(bucket).collect(),
        }
    }
}
