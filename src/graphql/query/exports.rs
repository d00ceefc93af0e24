//! Exports.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::error::Code;
use crate::graphql::context::ContextExt;
use crate::graphql::types::export::Export;

#[derive(Default)]
pub(super) struct ExportQueries;

#[Object]
impl ExportQueries {
    /// An export; nothing if it was deleted, is forgotten, or is not yours. Needs the scope `export`.
    #[graphql(cache_control(no_cache))]
    async fn export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As `createExport` said it.")] id: Uuid,
    ) -> Result<Option<Export>> {
        let viewer = ctx.identity(Scope::Export)?.viewer();
        match ctx.reports().export(&viewer, id).await {
            Ok(export) => Ok(Some(Export::of(&export, None))),
            Err(problem) if problem.code == Code::UnknownExport => Ok(None),
            Err(problem) => Err(problem.into()),
        }
    }

    /// The newest exports, at most 100. Needs the scope `export`.
    #[graphql(complexity = "20 + 10 * child_complexity", cache_control(no_cache))]
    async fn exports(&self, ctx: &Context<'_>) -> Result<Vec<Export>> {
        let viewer = ctx.identity(Scope::Export)?.viewer();
        let exports = ctx.reports().exports(&viewer).await?;
        let exports = exports.iter().map(|export| Export::of(export, None));
        Ok(exports.collect())
    }
}
