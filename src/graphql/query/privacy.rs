//! Erasures, and what a tenant decided about people's data.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::privacy::{Erasure, PrivacyPolicy};

#[derive(Default)]
pub(super) struct PrivacyQueries;

#[Object]
impl PrivacyQueries {
    /// What became of a request to erase a person. Needs the scope `admin`.
    #[graphql(cache_control(no_cache))]
    async fn erasure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As `eraseUser` said it.")] id: Uuid,
    ) -> Result<Option<Erasure>> {
        let tenant = ctx.identity(Scope::Admin)?.tenant();
        let receipt = ctx.ingest().erasures().receipt(tenant, id).await?;
        Ok(receipt.map(Erasure::from))
    }

    /// The newest erasures, at most 100. Needs the scope `admin`.
    #[graphql(complexity = "20 + 10 * child_complexity", cache_control(no_cache))]
    async fn erasures(&self, ctx: &Context<'_>) -> Result<Vec<Erasure>> {
        let tenant = ctx.identity(Scope::Admin)?.tenant();
        let receipts = ctx.ingest().erasures().receipts(tenant).await?;
        Ok(receipts.into_iter().map(Erasure::from).collect())
    }

    /// What the tenant decided about people's data. Needs the scope `admin`.
    #[graphql(cache_control(no_cache))]
    async fn privacy_policy(&self, ctx: &Context<'_>) -> Result<PrivacyPolicy> {
        let tenant = ctx.identity(Scope::Admin)?.tenant();
        Ok(ctx.reports().privacy_policy(tenant).await?.into())
    }
}
