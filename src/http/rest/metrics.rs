//! `GET /v1/metrics`: every number.

mod answer;
pub(super) mod words;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, Utc, Weekday};
use serde::Deserialize;
use utoipa::IntoParams;

use super::format::Format;
use super::parameters::{Granularity, Parameters, maybe_instant, word, words};
use super::table::Table;
use super::{Reader, report, tell};
use crate::access::Identity;
use crate::domain::calendar::TimeRange;
use crate::domain::measure::{Dimension, Measure};
use crate::error::{Code, Problem};
use crate::http::State;
use crate::http::etag::Tag;
use crate::reports::Reports;
use crate::reports::metrics::filter::Filter;
use crate::reports::metrics::{Compare, Fill, LIMIT, MetricsQuestion, Order, Rolling, Span};
use crate::reports::parameters::{currency, keys, staleness, zone};

pub(in crate::http) use answer::{Metrics, MetricsLine};
use words::{
    Beside, Dimensions, Fills, Last, Measures, Weekdays, beside, last, order, rolling, weekday,
};

/// The question.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct MetricsParameters {
    /// What is measured, after commas: 1 to 10.
    #[serde(deserialize_with = "words")]
    #[param(value_type = Vec<Measures>, inline, style = Form, explode = false)]
    measures: Vec<Measure>,
    /// What to tell apart, after commas: at most 3, and each measure must have them.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Vec<Dimensions>, inline, style = Form, explode = false)]
    dimensions: Vec<Dimension>,
    /// With `CATEGORY`: so many names of the path, from the department; the whole path if absent.
    #[param(minimum = 1)]
    category_level: Option<i32>,
    /// The first instant inside: RFC 3339 with an offset. Widened to whole minutes. Give `from` and
    /// `to`, or `last`, or `toDate`.
    #[serde(default, deserialize_with = "maybe_instant")]
    from: Option<DateTime<Utc>>,
    /// The first instant after: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(default, deserialize_with = "maybe_instant")]
    to: Option<DateTime<Utc>>,
    /// So much until now: a whole number of minutes (`90m`), hours (`24h`), days (`7d`), weeks
    /// (`4w`), months (`3mo`), quarters (`2q`) or years (`1y`); days and longer ones as the wall
    /// clock goes.
    #[serde(default, deserialize_with = "last")]
    #[param(value_type = Option<String>, example = "24h")]
    last: Option<Last>,
    /// From when the current one of these began, until now.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    to_date: Option<Granularity>,
    /// How long a bucket is; `TOTAL`, one bucket, if absent.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    granularity: Option<Granularity>,
    /// On which day weeks begin; `MONDAY` if absent.
    #[serde(default, deserialize_with = "weekday")]
    #[param(value_type = Option<Weekdays>, inline)]
    week_start: Option<Weekday>,
    /// Of whose days and hours the buckets are: an IANA name such as `Europe/Berlin`; the tenant's
    /// if absent.
    timezone: Option<String>,
    /// Which facts count, as JSON in the shape of GraphQL's `MetricsFilter`: one of
    /// `{"and": [...]}`, `{"or": [...]}`, `{"not": {...}}`, `{"dimension": {"dimension", "in"}}` and
    /// `{"property": {"path", "exists" | "in" | "min" | "max"}}`. At most 16,384 bytes, 50
    /// conditions, 8 deep.
    #[param(example = r#"{"dimension": {"dimension": "REGION", "in": ["DE"]}}"#)]
    filter: Option<String>,
    /// Beside which other range: `PREVIOUS_PERIOD`, `PREVIOUS_YEAR`, or two times with a `/` between
    /// them.
    #[serde(default, deserialize_with = "beside")]
    #[param(value_type = Option<String>, example = "PREVIOUS_PERIOD")]
    compare_to: Option<Beside>,
    /// What stands in a bucket in which nothing was: `ZERO` (nothing for a ratio) if absent.
    #[serde(default, deserialize_with = "word")]
    #[param(value_type = Option<Fills>, inline)]
    fill: Option<Fill>,
    /// Over so many buckets at a time, 1 to 366, once they are filled: their mean, or with `:SUM`
    /// behind it their sum.
    #[serde(default, deserialize_with = "rolling")]
    #[param(value_type = Option<String>, example = "7:SUM")]
    rolling: Option<Rolling>,
    /// By the total of which measure groups are ordered: the largest first, or with `:ASC` behind it
    /// the smallest. The first measure if absent.
    #[serde(default, deserialize_with = "order")]
    #[param(value_type = Option<String>, example = "REVENUE:ASC")]
    order_by: Option<Order>,
    /// How many groups; all others are one together. 50 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// ISO 4217; the tenant's if absent. Orders in others are left out, unless `CURRENCY` tells them
    /// apart.
    currency: Option<String>,
    /// Whether to count what bots did, too; `false` if absent.
    #[serde(default)]
    include_bots: bool,
    /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it; 0 if
    /// absent.
    #[serde(default)]
    max_staleness: i32,
    /// Whether to answer with the plan alone, and read nothing; `false` if absent.
    #[serde(default)]
    explain: bool,
    /// In which format, whatever `Accept` says: `json`, or `csv` or `ndjson` with a row for each
    /// bucket of each series.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    format: Option<Format>,
}

impl MetricsParameters {
    fn question(self, reports: &Reports, identity: &Identity) -> Result<MetricsQuestion, Problem> {
        let zone = zone(self.timezone.as_deref(), identity.timezone)?;
        let week_start = self.week_start.unwrap_or(Weekday::Mon);
        let span = span(self.from, self.to, self.last, self.to_date)?;
        let range = reports.range(span, week_start, zone)?;
        let filter = self.filter.as_deref().map(Filter::read).transpose()?;
        let plain = MetricsQuestion::plain(&identity.shop(), self.measures, range);
        Ok(MetricsQuestion {
            keys: keys(self.dimensions, self.category_level)?,
            to_date: span.to_date(),
            granularity: self.granularity.map_or(plain.granularity, Into::into),
            week_start,
            zone,
            filter: filter.map(TryInto::try_into).transpose()?,
            compare: self.compare_to.map(Compare::try_from).transpose()?,
            fill: self.fill.unwrap_or_default(),
            rolling: self.rolling,
            order: self.order_by,
            limit: self.limit.unwrap_or(usize::from(LIMIT)),
            currency: currency(self.currency.as_deref(), identity.currency)?,
            buyers_by_currency: self.currency.is_some(),
            bots: self.include_bots,
            max_staleness: staleness(self.max_staleness)?,
            explain: self.explain,
            ..plain
        })
    }
}

/// The range that was asked for in one of its forms.
pub(super) fn span(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    last: Option<Last>,
    to_date: Option<Granularity>,
) -> Result<Span, Problem> {
    match (from, to, last, to_date) {
        (Some(from), Some(to), None, None) => Ok(Span::Between(TimeRange::new(from, to)?)),
        (None, None, Some(Last(count, unit)), None) => Ok(Span::Last(count, unit)),
        (None, None, None, Some(unit)) => Ok(Span::ToDate(unit.into())),
        _ => {
            let detail = "Give `from` and `to`, or `last` such as 24h, or `toDate`.";
            Err(Problem::with(Code::InvalidParameter, detail))
        }
    }
}

/// Measures, told apart by dimensions, over time.
///
/// One language for every number: each is exact, in every time zone; `provenance` and `plan` say
/// what was read for it. As CSV or NDJSON, a row for each bucket of each series. Needs the scope
/// `read`.
#[utoipa::path(
    get, path = "/v1/metrics", tag = "Reports", params(MetricsParameters),
    responses((status = 200, description = "What was measured.", content(
        (Metrics = "application/json"),
        (MetricsLine = "application/x-ndjson"),
        (String = "text/csv"),
    )))
)]
pub(in crate::http) async fn metrics(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<MetricsParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let format = Format::wanted(asked.format, &headers)?;
    let question = asked.question(&state.reports, &identity)?;
    let answer = state.reports.metrics(&question).await?;
    let found = answer.provenance.found;
    let answer = Metrics::of(&question, answer);
    let (tag, body) = match format {
        Format::Json => return Ok(report(&headers, answer)),
        Format::Csv => {
            let mut table = Table::default();
            answer.write(&question.keys, &mut table);
            let body = table.take();
            (Tag::strong(&body), body)
        }
        Format::Ndjson => answer.lines(),
    };
    Ok(tell(&headers, &tag, format.kind(), body, found))
}
