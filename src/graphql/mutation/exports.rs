//! Exports.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::access::limits::Kind;
use crate::graphql::context::ContextExt;
use crate::graphql::types::export::{Export, ExportInput};

#[derive(Default)]
pub(super) struct ExportMutations;

#[Object]
impl ExportMutations {
    /// Has a whole list, or the answer to a question of metrics, written to a file behind the
    /// requests, as of one moment. Needs the scope `export`.
    async fn create_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to be written.")] input: ExportInput,
    ) -> Result<Export> {
        let identity = ctx.identity(Scope::Export)?;
        ctx.limits().take(identity, Kind::Exports, 1).await?;
        let question = input.question(ctx.reports(), identity)?;
        let made = ctx.reports().create_export(identity.view(), &question);
        let (export, token) = made.await?;
        Ok(Export::of(&export, Some(&token)))
    }

    /// Stops an export and deletes its file; whether there was one. Needs the scope `export`.
    async fn delete_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As `createExport` said it.")] id: Uuid,
    ) -> Result<bool> {
        let viewer = ctx.identity(Scope::Export)?.viewer();
        Ok(ctx.reports().delete_export(&viewer, id).await?)
    }
}
