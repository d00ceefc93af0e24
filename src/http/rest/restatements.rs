//! `GET /v1/restatements`: what came late, and what it changed.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Granularity, Parameters, instant, word};
use super::provenance::Provenance;
use super::{Reader, Sourced, report};
use crate::domain::calendar::{self, TimeRange};
use crate::domain::money::Currency;
use crate::error::Problem;
use crate::http::State;
use crate::reports::parameters::{currency, staleness, zone};
use crate::reports::restatements::{RestatedMeasures, RestatementsAnswer, RestatementsQuestion};

/// The question.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct RestatementsParameters {
    /// The first instant inside: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    from: DateTime<Utc>,
    /// The first instant after: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    to: DateTime<Utc>,
    /// How long a bucket is; `HOUR` if absent.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    granularity: Option<Granularity>,
    /// Of whose days and hours the buckets are: an IANA name such as `Europe/Berlin`; the tenant's
    /// if absent.
    timezone: Option<String>,
    /// ISO 4217; the tenant's if absent. Orders in others are left out.
    currency: Option<String>,
    /// Whether to count what bots did, too; `false` if absent.
    #[serde(default)]
    include_bots: bool,
    /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it; 0 if
    /// absent.
    #[serde(default)]
    max_staleness: i32,
}

/// What came late, and what it changed. A minute is closed to an event five minutes after it; what
/// comes later still counts in the minute it happened in, and restates it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Restatements {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// Whose days and hours the buckets are: an IANA name.
    timezone: &'static str,
    /// The buckets of the range with something late in them, in the order of time.
    buckets: Vec<Restatement>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A bucket with something late in it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Restatement {
    /// Its first instant: RFC 3339 with the offset of the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it: RFC 3339 with the offset of the time zone.
    end: DateTime<FixedOffset>,
    /// When the newest late event of it was received: RFC 3339, UTC; null if that was before the
    /// server kept it.
    restated_at: Option<DateTime<Utc>>,
    /// Without what came late.
    before: RestatedNumbers,
    /// With it, as the reports say now.
    after: RestatedNumbers,
    /// What came late: after less before.
    change: RestatedNumbers,
}

/// The numbers that something late changes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct RestatedNumbers {
    /// How many events of all types.
    events: i64,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// What was paid: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    revenue: String,
    /// What was paid back: a decimal of the currency as a text.
    #[schema(example = "0.00")]
    refunds: String,
    /// Revenue without refunds: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    net_revenue: String,
}

/// Which buckets were changed by what came late, and by how much.
///
/// Only those are listed. Needs the scope `read`.
#[utoipa::path(
    get, path = "/v1/restatements", tag = "Reports", params(RestatementsParameters),
    responses((status = 200, description = "What came late.", body = Restatements))
)]
pub(in crate::http) async fn restatements(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<RestatementsParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let question = RestatementsQuestion {
        view: identity.view().clone(),
        range: TimeRange::new(asked.from, asked.to)?,
        granularity: asked
            .granularity
            .map_or(calendar::Granularity::Hour, Into::into),
        zone: zone(asked.timezone.as_deref(), identity.timezone)?,
        currency: currency(asked.currency.as_deref(), identity.currency)?,
        bots: asked.include_bots,
        max_staleness: staleness(asked.max_staleness)?,
    };
    let answer = state.reports.restatements(&question).await?;
    Ok(report(&headers, Restatements::from(answer)))
}

impl Sourced for Restatements {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl RestatedNumbers {
    fn of(measures: &RestatedMeasures, currency: Currency) -> Self {
        Self {
            events: measures.events,
            orders: measures.orders,
            units: measures.units,
            revenue: currency.format_amount(measures.revenue),
            refunds: currency.format_amount(measures.refunds),
            net_revenue: currency.format_amount(measures.revenue - measures.refunds),
        }
    }
}

impl From<RestatementsAnswer> for Restatements {
    fn from(answer: RestatementsAnswer) -> Self {
        let (currency, zone) = (answer.currency, answer.zone);
        let buckets = answer.buckets.iter().map(|bucket| Restatement {
            start: bucket.start.with_timezone(&zone).fixed_offset(),
            end: bucket.end.with_timezone(&zone).fixed_offset(),
            restated_at: bucket.restated_at,
            before: RestatedNumbers::of(&bucket.before(), currency),
            after: RestatedNumbers::of(&bucket.after, currency),
            change: RestatedNumbers::of(&bucket.change, currency),
        });
        Self {
            buckets: buckets.collect(),
            currency: currency.code(),
            timezone: zone.name(),
            provenance: answer.provenance.into(),
        }
    }
}
