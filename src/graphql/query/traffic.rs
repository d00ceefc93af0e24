//! What happened.

use async_graphql::{Context, Object, Result};

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::range::{Granularity, TimeRangeInput};
use crate::graphql::types::traffic::Traffic;
use crate::reports::parameters::{staleness, zone};
use crate::reports::traffic::TrafficQuestion;

#[derive(Default)]
pub(super) struct TrafficQueries;

#[Object]
impl TrafficQueries {
    /// Events by type and pageviews over time, from the minute rollup; users, where asked for, from
    /// the days they came on or from the events.
    #[graphql(
        complexity = "20 + child_complexity",
        cache_control(private, max_age = 60)
    )]
    async fn traffic(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The time that is asked about.")] range: TimeRangeInput,
        #[graphql(default_with = "Granularity::Total", desc = "How long a bucket is.")] granularity: Granularity,
        #[graphql(desc = "An IANA name such as Europe/Berlin; the tenant's if absent.")]
        timezone: Option<String>,
        #[graphql(default, desc = "Whether to count what bots did, too.")] include_bots: bool,
        #[graphql(
            default,
            desc = "How many seconds old the answer may be, up to 3600: with 2 or more a replica \
                    of the database may answer. `provenance.asOf` tells how old it is."
        )]
        max_staleness: i32,
    ) -> Result<Traffic> {
        let identity = ctx.identity(Scope::Read)?;
        let question = TrafficQuestion {
            shop: identity.shop(),
            range: range.try_into()?,
            granularity: granularity.into(),
            zone: zone(timezone.as_deref(), identity.timezone)?,
            bots: include_bots,
            users_per_bucket: ctx.look_ahead().field("buckets").field("users").exists(),
            users_in_total: ctx.look_ahead().field("totals").field("users").exists(),
            max_staleness: staleness(max_staleness)?,
        };
        Ok(ctx.reports().traffic(&question).await?.into())
    }
}
