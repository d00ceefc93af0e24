//! What was sold.

use async_graphql::{Context, Object, Result};

use crate::access::Scope;
use crate::domain::money::Currency;
use crate::error::{Code, Problem};
use crate::graphql::context::ContextExt;
use crate::graphql::types::range::{Granularity, TimeRangeInput, zone};
use crate::graphql::types::sales::{Sales, SalesDimension};
use crate::reports::sales::SalesQuestion;

#[derive(Default)]
pub(super) struct SalesQueries;

#[Object]
impl SalesQueries {
    /// Revenue, orders, units and average order value over time, from the minute rollup; buyers,
    /// where asked for, from the purchases.
    #[graphql(complexity = "20 + child_complexity")]
    async fn sales(
        &self,
        ctx: &Context<'_>,
        range: TimeRangeInput,
        #[graphql(default_with = "Granularity::Total")] granularity: Granularity,
        #[graphql(desc = "An IANA name such as Europe/Berlin; the tenant's if absent.")]
        timezone: Option<String>,
        #[graphql(default)] group_by: Vec<SalesDimension>,
        #[graphql(desc = "ISO 4217; the tenant's if absent. Orders in others are left out.")]
        currency: Option<String>,
    ) -> Result<Sales> {
        let identity = ctx.identity(Scope::Read)?;
        let currency = match currency {
            Some(code) => Currency::from_code(&code).ok_or(Problem::new(Code::InvalidCurrency))?,
            None => identity.currency,
        };
        let question = SalesQuestion {
            tenant: identity.tenant,
            range: range.try_into()?,
            granularity: granularity.into(),
            zone: zone(timezone.as_deref(), identity.timezone)?,
            currency,
            groups: SalesDimension::groups(&group_by),
            buyers_per_bucket: ctx.look_ahead().field("buckets").field("buyers").exists(),
            buyers_in_total: ctx.look_ahead().field("totals").field("buyers").exists(),
        };
        Ok(ctx.reports().sales(&question).await?.into())
    }
}
