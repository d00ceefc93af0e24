//! What came first.

use async_graphql::{Context, Lookahead, Object, Result};
use chrono::Weekday;

use crate::access::{Identity, Scope};
use crate::domain::measure::Measure;
use crate::error::Problem;
use crate::graphql::context::ContextExt;
use crate::graphql::types::metrics_filter::MetricsFilter;
use crate::graphql::types::metrics_input::{CompareTo, MetricsRange};
use crate::graphql::types::top::{TopPages, TopPagesBy, TopProducts, TopProductsBy};
use crate::reports::Reports;
use crate::reports::metrics::{MetricsQuestion, Span};
use crate::reports::parameters::{currency as wanted, staleness, zone};
use crate::reports::top::{LIMIT, TopList, TopQuestion};

/// How many places cost as much as one field each.
const COUNTED: i32 = 10;

#[derive(Default)]
pub(super) struct TopQueries;

/// What is asked of either list.
struct Asked {
    range: MetricsRange,
    limit: i32,
    timezone: Option<String>,
    filter: Option<MetricsFilter>,
    compare_to: Option<CompareTo>,
    currency: Option<String>,
    include_bots: bool,
    max_staleness: i32,
}

impl Asked {
    fn plain(self, reports: &Reports, identity: &Identity) -> Result<MetricsQuestion, Problem> {
        let zone = zone(self.timezone.as_deref(), identity.timezone)?;
        let span: Span = self.range.try_into()?;
        let range = reports.range(span, Weekday::Mon, zone)?;
        Ok(MetricsQuestion {
            to_date: span.to_date(),
            zone,
            filter: self.filter.map(TryInto::try_into).transpose()?,
            compare: self.compare_to.map(TryInto::try_into).transpose()?,
            limit: usize::try_from(self.limit).unwrap_or(0),
            buyers_by_currency: self.currency.is_some(),
            currency: wanted(self.currency.as_deref(), identity.currency)?,
            bots: self.include_bots,
            max_staleness: staleness(self.max_staleness)?,
            ..MetricsQuestion::plain(&identity.shop(), Vec::new(), range)
        })
    }
}

/// Which of these are selected anywhere in an answer.
fn selected(look: &Lookahead<'_>, fields: &[(&str, Measure)]) -> Vec<Measure> {
    let parts = ["rows", "others", "total"].map(|name| look.field(name));
    let is_selected = |name: &str| {
        let has = |part: &Lookahead<'_>| {
            part.field(name).exists() || part.field("compared").field(name).exists()
        };
        parts.iter().any(has)
    };
    let fields = fields.iter().filter(|(name, _)| is_selected(name));
    fields.map(|(_, measure)| *measure).collect()
}

/// What a list costs: as many rows as it may have.
fn cost(limit: i32, child: usize) -> usize {
    100 + child * usize::try_from(1 + limit / COUNTED).unwrap_or(1)
}

#[Object]
#[allow(clippy::too_many_arguments, reason = "they are the query's")]
impl TopQueries {
    /// Which products sold best in a range: each with its numbers and its part of the total, and
    /// what all others sold together.
    #[graphql(
        complexity = "cost(limit, child_complexity)",
        cache_control(private, max_age = 60)
    )]
    async fn top_products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time that is asked about.")] range: MetricsRange,
        #[graphql(
            default_with = "TopProductsBy::Revenue",
            desc = "What they are ranked by."
        )]
        by: TopProductsBy,
        #[graphql(
            default_with = "i32::from(LIMIT)",
            desc = "How many products, from 1 to 1,000."
        )]
        limit: i32,
        #[graphql(
            desc = "An IANA name such as Europe/Berlin, for ranges of days until now; the \
                          tenant's if absent."
        )]
        timezone: Option<String>,
        #[graphql(desc = "Which orders and refunds count, as in `metrics`.")] filter: Option<
            MetricsFilter,
        >,
        #[graphql(desc = "Beside which other range.")] compare_to: Option<CompareTo>,
        #[graphql(desc = "ISO 4217; the tenant's if absent. Orders in others are left out.")]
        currency: Option<String>,
        #[graphql(default, desc = "Whether to count what bots did, too.")] include_bots: bool,
        #[graphql(default, desc = "How many seconds old the answer may be, up to 3600.")]
        max_staleness: i32,
    ) -> Result<TopProducts> {
        let identity = ctx.identity(Scope::Read)?;
        let asked = Asked {
            range,
            limit,
            timezone,
            filter,
            compare_to,
            currency,
            include_bots,
            max_staleness,
        };
        let also = selected(&ctx.look_ahead(), &[("buyers", Measure::Buyers)]);
        let plain = asked.plain(ctx.reports(), identity)?;
        let question = TopQuestion::new(TopList::Products, by.into(), &also, plain);
        Ok(ctx.reports().top(&question).await?.into())
    }

    /// Which pages were seen most in a range: each with its numbers and its part of the total, and
    /// what all others have together.
    #[graphql(
        complexity = "cost(limit, child_complexity)",
        cache_control(private, max_age = 60)
    )]
    async fn top_pages(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time that is asked about.")] range: MetricsRange,
        #[graphql(
            default_with = "TopPagesBy::Pageviews",
            desc = "What they are ranked by."
        )]
        by: TopPagesBy,
        #[graphql(
            default_with = "i32::from(LIMIT)",
            desc = "How many pages, from 1 to 1,000."
        )]
        limit: i32,
        #[graphql(
            desc = "An IANA name such as Europe/Berlin, for ranges of days until now; the \
                          tenant's if absent."
        )]
        timezone: Option<String>,
        #[graphql(desc = "Which events count, as in `metrics`.")] filter: Option<MetricsFilter>,
        #[graphql(desc = "Beside which other range.")] compare_to: Option<CompareTo>,
        #[graphql(default, desc = "Whether to count what bots did, too.")] include_bots: bool,
        #[graphql(default, desc = "How many seconds old the answer may be, up to 3600.")]
        max_staleness: i32,
    ) -> Result<TopPages> {
        let identity = ctx.identity(Scope::Read)?;
        let asked = Asked {
            range,
            limit,
            timezone,
            filter,
            compare_to,
            currency: None,
            include_bots,
            max_staleness,
        };
        let fields = [
            ("users", Measure::Users),
            ("sessions", Measure::Sessions),
            ("bounceRate", Measure::BounceRate),
        ];
        let also = selected(&ctx.look_ahead(), &fields);
        let plain = asked.plain(ctx.reports(), identity)?;
        let question = TopQuestion::new(TopList::Pages, by.into(), &also, plain);
        Ok(ctx.reports().top(&question).await?.into())
    }
}
