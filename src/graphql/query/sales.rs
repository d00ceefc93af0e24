//! What was sold.

use async_graphql::{Context, Object, Result};

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::range::{Granularity, TimeRangeInput};
use crate::graphql::types::restatements::Restatements;
use crate::graphql::types::sales::{Sales, SalesDimension};
use crate::reports::parameters::{currency as wanted, staleness, zone};
use crate::reports::restatements::RestatementsQuestion;
use crate::reports::sales::SalesQuestion;

#[derive(Default)]
pub(super) struct SalesQueries;

#[Object]
#[allow(clippy::too_many_arguments, reason = "they are the query's")]
impl SalesQueries {
    /// Revenue, refunds, orders, units and average order value over time, from the minute rollup;
    /// buyers, where asked for, from the purchases.
    #[graphql(
        complexity = "20 + child_complexity",
        cache_control(private, max_age = 60)
    )]
    async fn sales(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time that is asked about.")] range: TimeRangeInput,
        #[graphql(default_with = "Granularity::Total", desc = "How long a bucket is.")] granularity: Granularity,
        #[graphql(desc = "An IANA name such as Europe/Berlin; the tenant's if absent.")]
        timezone: Option<String>,
        #[graphql(default, desc = "What the numbers are told apart by.")] group_by: Vec<
            SalesDimension,
        >,
        #[graphql(desc = "ISO 4217; the tenant's if absent. Orders in others are left out.")]
        currency: Option<String>,
        #[graphql(default, desc = "Whether to count what bots did, too.")] include_bots: bool,
        #[graphql(
            default,
            desc = "How many seconds old the answer may be, up to 3600: with 2 or more a replica \
                    of the database may answer. `provenance.asOf` tells how old it is."
        )]
        max_staleness: i32,
    ) -> Result<Sales> {
        let identity = ctx.identity(Scope::Read)?;
        let question = SalesQuestion {
            shop: identity.shop(),
            range: range.try_into()?,
            granularity: granularity.into(),
            zone: zone(timezone.as_deref(), identity.timezone)?,
            currency: wanted(currency.as_deref(), identity.currency)?,
            groups: SalesDimension::groups(&group_by),
            bots: include_bots,
            buyers_per_bucket: ctx.look_ahead().field("buckets").field("buyers").exists(),
            buyers_in_total: ctx.look_ahead().field("totals").field("buyers").exists(),
            max_staleness: staleness(max_staleness)?,
        };
        Ok(ctx.reports().sales(&question).await?.into())
    }

    /// Which buckets were changed by events that came more than five minutes after they happened,
    /// and by how much: the numbers before and after, of those buckets alone.
    #[graphql(
        complexity = "20 + child_complexity",
        cache_control(private, max_age = 60)
    )]
    #[allow(
        clippy::too_many_arguments,
        reason = "each is an argument of the field"
    )]
    async fn restatements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time that is asked about.")] range: TimeRangeInput,
        #[graphql(default_with = "Granularity::Hour", desc = "How long a bucket is.")] granularity: Granularity,
        #[graphql(desc = "An IANA name such as Europe/Berlin; the tenant's if absent.")]
        timezone: Option<String>,
        #[graphql(desc = "ISO 4217; the tenant's if absent. Orders in others are left out.")]
        currency: Option<String>,
        #[graphql(default, desc = "Whether to count what bots did, too.")] include_bots: bool,
        #[graphql(
            default,
            desc = "How many seconds old the answer may be, up to 3600: with 2 or more a replica \
                    of the database may answer. `provenance.asOf` tells how old it is."
        )]
        max_staleness: i32,
    ) -> Result<Restatements> {
        let identity = ctx.identity(Scope::Read)?;
        let question = RestatementsQuestion {
            view: identity.view().clone(),
            range: range.try_into()?,
            granularity: granularity.into(),
            zone: zone(timezone.as_deref(), identity.timezone)?,
            currency: wanted(currency.as_deref(), identity.currency)?,
            bots: include_bots,
            max_staleness: staleness(max_staleness)?,
        };
        Ok(ctx.reports().restatements(&question).await?.into())
    }
}
