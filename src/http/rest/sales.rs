//! `GET /v1/sales`: what was sold.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Granularity, Parameters, instant, word, words};
use super::provenance::Provenance;
use super::{Reader, Sourced, report};
use crate::domain::calendar::{self, TimeRange};
use crate::domain::money::Currency;
use crate::error::Problem;
use crate::http::State;
use crate::reports::parameters::{currency, staleness, zone};
use crate::reports::sales::{SalesAnswer, SalesGroups, SalesMeasures, SalesQuestion};

/// The question.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SalesParameters {
    /// The first instant inside: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    from: DateTime<Utc>,
    /// The first instant after: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    to: DateTime<Utc>,
    /// How long a bucket is; `TOTAL`, one bucket, if absent.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    granularity: Option<Granularity>,
    /// Of whose days and hours the buckets are: an IANA name such as `Europe/Berlin`; the tenant's
    /// if absent.
    timezone: Option<String>,
    /// What to tell apart, after commas.
    #[serde(default, deserialize_with = "words")]
    #[param(inline, style = Form, explode = false)]
    group_by: Vec<SalesDimension>,
    /// ISO 4217; the tenant's if absent. Orders in others are left out.
    currency: Option<String>,
    /// Whether to count what bots did, too; `false` if absent.
    #[serde(default)]
    include_bots: bool,
    /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it; 0 if
    /// absent.
    #[serde(default)]
    max_staleness: i32,
    /// What to count besides, after commas. `BUYERS` are counted over the purchases themselves,
    /// which takes longer.
    #[serde(default, deserialize_with = "words")]
    #[param(inline, style = Form, explode = false)]
    include: Vec<SalesInclude>,
}

/// What sales can be told apart by.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum SalesDimension {
    /// The product's category when the purchase was stored.
    Category,
    /// Where the user was.
    Region,
    /// What brought the user.
    Channel,
    /// What was bought.
    Product,
}

/// What is counted only where it is asked for.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum SalesInclude {
    /// Different users who bought, of each bucket and in total.
    Buyers,
}

/// What was sold and paid back, over time and by group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Sales {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// Whose days and hours the buckets are: an IANA name.
    timezone: &'static str,
    /// In the order of time, then of group. Without `groupBy` every bucket of the range; with it
    /// those in which something was sold or paid back.
    buckets: Vec<SalesBucket>,
    /// Over the whole range. An order with several products is one order here, but counts in the
    /// bucket of each of its products or categories.
    totals: SalesNumbers,
    /// Other currencies with orders or refunds in the range: ISO 4217. They are not in the numbers;
    /// ask for each with `currency`.
    other_currencies: Vec<String>,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One bucket of one group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SalesBucket {
    /// Its first instant: RFC 3339 with the offset of the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it: RFC 3339 with the offset of the time zone.
    end: DateTime<FixedOffset>,
    /// With `groupBy=CATEGORY`: the path in the catalogue, as in `Kitchen > Coffee`; empty for
    /// products without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// With `groupBy=REGION`: the shop's own word; empty for orders without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// With `groupBy=CHANNEL`: the shop's own word; empty for orders without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// With `groupBy=PRODUCT`: the shop's id; empty for refunds that name no product.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    #[serde(flatten)]
    numbers: SalesNumbers,
}

/// What was sold and paid back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SalesNumbers {
    /// What was paid: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    revenue: String,
    /// What was paid back in this time, of whatever order: a decimal of the currency as a text.
    #[schema(example = "0.00")]
    refunds: String,
    /// Revenue without refunds: a decimal of the currency as a text; below zero where more was paid
    /// back than paid.
    #[schema(example = "29.90")]
    net_revenue: String,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// Revenue over orders, rounded half up: a decimal of the currency as a text; null without
    /// orders.
    #[schema(example = "29.90")]
    average_order_value: Option<String>,
    /// With `include=BUYERS`: how many different users bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyers: Option<i64>,
}

/// Revenue, refunds, orders, units and average order value over time.
///
/// From the minute rollup, exact in every time zone. With `include=BUYERS` also how many different
/// users bought. Needs the scope `read`.
#[utoipa::path(
    get, path = "/v1/sales", tag = "Reports", params(SalesParameters),
    responses((status = 200, description = "What was sold.", body = Sales))
)]
pub(in crate::http) async fn sales(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<SalesParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let buyers = asked.include.contains(&SalesInclude::Buyers);
    let question = SalesQuestion {
        shop: identity.shop(),
        range: TimeRange::new(asked.from, asked.to)?,
        granularity: asked
            .granularity
            .map_or(calendar::Granularity::Total, Into::into),
        zone: zone(asked.timezone.as_deref(), identity.timezone)?,
        currency: currency(asked.currency.as_deref(), identity.currency)?,
        groups: groups(&asked.group_by),
        bots: asked.include_bots,
        max_staleness: staleness(asked.max_staleness)?,
        buyers_per_bucket: buyers,
        buyers_in_total: buyers,
    };
    let answer = state.reports.sales(&question).await?;
    Ok(report(&headers, Sales::from(answer)))
}

fn groups(dimensions: &[SalesDimension]) -> SalesGroups {
    let has = |dimension| dimensions.contains(&dimension);
    SalesGroups {
        category: has(SalesDimension::Category),
        region: has(SalesDimension::Region),
        channel: has(SalesDimension::Channel),
        product: has(SalesDimension::Product),
    }
}

impl Sourced for Sales {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl SalesNumbers {
    fn of(measures: &SalesMeasures, currency: Currency) -> Self {
        let mean = measures.average_order_value();
        Self {
            revenue: currency.format_amount(measures.revenue),
            refunds: currency.format_amount(measures.refunds),
            net_revenue: currency.format_amount(measures.net_revenue()),
            orders: measures.orders,
            units: measures.units,
            average_order_value: mean.map(|mean| currency.format_amount(mean)),
            buyers: measures.buyers,
        }
    }
}

impl From<SalesAnswer> for Sales {
    fn from(answer: SalesAnswer) -> Self {
        let (currency, zone) = (answer.currency, answer.zone);
        let buckets = answer.buckets.into_iter().map(|bucket| SalesBucket {
            start: bucket.start.with_timezone(&zone).fixed_offset(),
            end: bucket.end.with_timezone(&zone).fixed_offset(),
            category: bucket.group.category,
            region: bucket.group.region,
            channel: bucket.group.channel,
            product_id: bucket.group.product_id,
            numbers: SalesNumbers::of(&bucket.measures, currency),
        });
        Self {
            buckets: buckets.collect(),
            currency: currency.code(),
            timezone: zone.name(),
            totals: SalesNumbers::of(&answer.totals, currency),
            other_currencies: answer.other_currencies,
            provenance: answer.provenance.into(),
        }
    }
}
