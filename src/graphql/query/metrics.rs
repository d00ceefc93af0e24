//! Every number.

use async_graphql::{Context, Object, Result};

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::metrics::Metrics;
use crate::graphql::types::metrics_input::MetricsInput;

#[derive(Default)]
pub(super) struct MetricsQueries;

#[Object]
impl MetricsQueries {
    /// Measures, told apart by dimensions, over time: one language for every number. Each is exact,
    /// in every time zone; `provenance` and `plan` say what was read for it.
    #[graphql(
        complexity = "100 + child_complexity",
        cache_control(private, max_age = 60)
    )]
    async fn metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is asked.")] input: MetricsInput,
    ) -> Result<Metrics> {
        let identity = ctx.identity(Scope::Read)?;
        let question = input.question(ctx.reports(), identity)?;
        let answer = ctx.reports().metrics(&question).await?;
        Ok(Metrics::of(&question, answer))
    }
}
