//! `GET /v1/top/products` and `/v1/top/pages`: what came first.

mod answer;

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, Utc, Weekday};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::metrics::span;
use super::metrics::words::{Beside, Last, beside, last};
use super::parameters::{Granularity, Parameters, maybe_instant, word, words};
use super::{Reader, report};
use crate::access::Identity;
use crate::domain::measure::Measure;
use crate::error::{Code, Problem};
use crate::http::State;
use crate::reports::Reports;
use crate::reports::metrics::filter::Filter;
use crate::reports::metrics::{Compare, MetricsQuestion};
use crate::reports::parameters::{currency, staleness, zone};
use crate::reports::top::{LIMIT, TopList, TopQuestion};

use answer::{TopPages, TopProducts};

/// Parameters of a top list: its own, and those of both.
macro_rules! parameters {
    ($(#[doc = $doc:literal] $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        #[doc = $doc]
        #[derive(Deserialize, IntoParams)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(in crate::http) struct $name {
            /// The first instant inside: RFC 3339 with an offset. Widened to whole minutes. Give
            /// `from` and `to`, or `last`, or `toDate`.
            #[serde(default, deserialize_with = "maybe_instant")]
            from: Option<DateTime<Utc>>,
            /// The first instant after: RFC 3339 with an offset. Widened to whole minutes.
            #[serde(default, deserialize_with = "maybe_instant")]
            to: Option<DateTime<Utc>>,
            /// So much until now: `90m`, `24h`, `7d`, `4w`, `3mo`, `2q` or `1y`.
            #[serde(default, deserialize_with = "last")]
            #[param(value_type = Option<String>, example = "24h")]
            last: Option<Last>,
            /// From when the current one of these began, until now.
            #[serde(default, deserialize_with = "word")]
            #[param(inline)]
            to_date: Option<Granularity>,
            $($(#[$meta])* $field: $type,)*
            /// How many places; 10 if absent.
            #[param(minimum = 1, maximum = 1000)]
            limit: Option<usize>,
            /// An IANA name such as `Europe/Berlin`, for ranges of days until now; the tenant's if
            /// absent.
            timezone: Option<String>,
            /// Which facts count, as JSON in the shape of GraphQL's `MetricsFilter`, as in
            /// `/v1/metrics`.
            #[param(example = r#"{"dimension": {"dimension": "REGION", "in": ["DE"]}}"#)]
            filter: Option<String>,
            /// Beside which other range: `PREVIOUS_PERIOD`, `PREVIOUS_YEAR`, or two times with a `/`
            /// between them.
            #[serde(default, deserialize_with = "beside")]
            #[param(value_type = Option<String>, example = "PREVIOUS_PERIOD")]
            compare_to: Option<Beside>,
            /// Whether to count what bots did, too; `false` if absent.
            #[serde(default)]
            include_bots: bool,
            /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it; 0
            /// if absent.
            #[serde(default)]
            max_staleness: i32,
        }

        impl $name {
            fn plain(
                &self,
                reports: &Reports,
                identity: &Identity,
            ) -> Result<MetricsQuestion, Problem> {
                let zone = zone(self.timezone.as_deref(), identity.timezone)?;
                let span = span(self.from, self.to, self.last, self.to_date)?;
                let range = reports.range(span, Weekday::Mon, zone)?;
                let filter = self.filter.as_deref().map(Filter::read).transpose()?;
                Ok(MetricsQuestion {
                    to_date: span.to_date(),
                    zone,
                    filter: filter.map(TryInto::try_into).transpose()?,
                    compare: self.compare_to.map(Compare::try_from).transpose()?,
                    limit: self.limit.unwrap_or(usize::from(LIMIT)),
                    bots: self.include_bots,
                    max_staleness: staleness(self.max_staleness)?,
                    ..MetricsQuestion::plain(&identity.shop(), Vec::new(), range)
                })
            }
        }
    )+};
}

parameters! {
    /// Which products.
    TopProductsParameters {
        /// By what they are ranked; `REVENUE` if absent.
        #[serde(default, deserialize_with = "word")]
        #[param(inline)]
        by: Option<TopProductsBy>,
        /// What to count besides, after commas. `BUYERS` are counted over the purchases themselves,
        /// which takes longer.
        #[serde(default, deserialize_with = "words")]
        #[param(inline, style = Form, explode = false)]
        include: Vec<TopProductsInclude>,
        /// ISO 4217; the tenant's if absent. Orders in others are left out.
        currency: Option<String>,
    }
    /// Which pages.
    TopPagesParameters {
        /// By what they are ranked; `PAGEVIEWS` if absent.
        #[serde(default, deserialize_with = "word")]
        #[param(inline)]
        by: Option<TopPagesBy>,
        /// What to count besides, after commas, which takes longer.
        #[serde(default, deserialize_with = "words")]
        #[param(inline, style = Form, explode = false)]
        include: Vec<TopPagesInclude>,
    }
}

/// Words that are measures.
macro_rules! measures {
    ($(#[doc = $doc:literal] $name:ident { $($(#[doc = $words:literal])+ $word:ident,)+ })+) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Deserialize, ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(in crate::http) enum $name {
            $($(#[doc = $words])+ $word,)+
        }

        impl From<$name> for Measure {
            fn from(word: $name) -> Self {
                match word {
                    $($name::$word => Self::$word,)+
                }
            }
        }
    )+};
}

measures! {
    /// By what products are ranked.
    TopProductsBy {
        /// What was paid for them.
        Revenue,
        /// Revenue without refunds.
        NetRevenue,
        /// How many orders they are in.
        Orders,
        /// How many pieces were sold.
        Units,
        /// How many different users bought them.
        Buyers,
    }
    /// What is counted only where it is asked for.
    TopProductsInclude {
        /// Different users who bought.
        Buyers,
    }
    /// By what pages are ranked.
    TopPagesBy {
        /// How often they were seen.
        Pageviews,
        /// How many different users saw them.
        Users,
        /// How many sessions began on them.
        Sessions,
    }
    /// What is counted only where it is asked for.
    TopPagesInclude {
        /// Different users who saw them.
        Users,
        /// Sessions that began on them.
        Sessions,
        /// The share of those sessions that had no other event.
        BounceRate,
    }
}

/// Which products sold best.
///
/// Each with its numbers and its part of the total, and what all others sold together. Needs the
/// scope `read`.
#[utoipa::path(
    get, path = "/v1/top/products", tag = "Reports", params(TopProductsParameters),
    responses((status = 200, description = "Which sold best.", body = TopProducts))
)]
pub(in crate::http) async fn products(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<TopProductsParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let plain = MetricsQuestion {
        currency: currency(asked.currency.as_deref(), identity.currency)?,
        buyers_by_currency: asked.currency.is_some(),
        ..asked.plain(&state.reports, &identity)?
    };
    let by = asked.by.unwrap_or(TopProductsBy::Revenue).into();
    let also: Vec<Measure> = asked.include.into_iter().map(Into::into).collect();
    let question = TopQuestion::new(TopList::Products, by, &also, plain);
    let answer = state.reports.top(&question).await?;
    let ids: Vec<String> = answer.rows.iter().map(|row| row.key.clone()).collect();
    let known = state.reports.products_with(identity.view(), &ids).await;
    let known = match known.map_err(Problem::from) {
        // Who sees some regions alone sees no catalogue.
        Err(problem) if problem.code == Code::OutOfScope => Vec::new(),
        known => known?,
    };
    let titles: HashMap<String, String> = known
        .into_iter()
        .map(|product| (product.product_id, product.title))
        .collect();
    Ok(report(&headers, TopProducts::of(answer, &titles)))
}

/// Which pages were seen most.
///
/// Each with its numbers and its part of the total, and what all others have together. Needs the
/// scope `read`.
#[utoipa::path(
    get, path = "/v1/top/pages", tag = "Reports", params(TopPagesParameters),
    responses((status = 200, description = "Which were seen most.", body = TopPages))
)]
pub(in crate::http) async fn pages(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<TopPagesParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let plain = asked.plain(&state.reports, &identity)?;
    let by = asked.by.unwrap_or(TopPagesBy::Pageviews).into();
    let also: Vec<Measure> = asked.include.into_iter().map(Into::into).collect();
    let question = TopQuestion::new(TopList::Pages, by, &also, plain);
    let answer = state.reports.top(&question).await?;
    Ok(report(&headers, TopPages::from(answer)))
}
