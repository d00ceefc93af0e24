//! Keys, tenants, and who did what.

use async_graphql::{Context, Object, Result};

use crate::access::Scope;
use crate::error::Problem;
use crate::graphql::context::ContextExt;
use crate::graphql::limits::list_cost;
use crate::graphql::types::audit::AuditEntry;
use crate::graphql::types::connection::{PageArguments, Records, records};
use crate::graphql::types::key::{ApiKey, Tenant};
use crate::reports::records::RecordFilter;
use crate::storage::entity::audit;

#[derive(Default)]
pub(super) struct KeyQueries;

#[Object]
impl KeyQueries {
    /// The tenant's API keys, oldest first, those that were revoked, too. Needs the scope `admin`.
    #[graphql(complexity = "20 + 10 * child_complexity", cache_control(no_cache))]
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<ApiKey>> {
        let tenant = ctx.identity(Scope::Admin)?.whole_tenant()?;
        let keys = ctx.access().keys(tenant).await.map_err(Problem::from)?;
        Ok(keys.into_iter().map(ApiKey).collect())
    }

    /// The server's tenants, in the order in which they were made: your own alone, unless you are one
    /// of its operators. Needs the scope `admin`.
    #[graphql(complexity = "20 + 10 * child_complexity", cache_control(no_cache))]
    async fn tenants(&self, ctx: &Context<'_>) -> Result<Vec<Tenant>> {
        let identity = ctx.identity(Scope::Admin)?;
        let own = identity.whole_tenant()?;
        let all = ctx.access().tenants().await.map_err(Problem::from)?;
        let seen = all
            .into_iter()
            .filter(|one| one.tenant_id == own.0 || identity.is_operator());
        Ok(seen.map(Into::into).collect())
    }

    /// Who did what to the tenant's keys, schemas and quarantine, the newest first; pages of up to
    /// 100. Needs the scope `admin`.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<AuditEntry>> {
        let view = ctx.identity(Scope::Admin)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        let all = RecordFilter::default();
        Ok(records::<audit::Entity, _>(ctx.reports(), view, all, arguments).await?)
    }
}
