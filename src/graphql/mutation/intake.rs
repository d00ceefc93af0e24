//! What becomes of what is sent: schemas and quarantine.

use async_graphql::{Context, Json, Object, Result};
use serde_json::Value;
use uuid::Uuid;

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::connection::Cursor;
use crate::graphql::types::event_schema::{
    DeleteEventSchemaPayload, PutEventSchemaPayload, SchemaMode,
};
use crate::graphql::types::quarantine::{
    DiscardQuarantinedPayload, QuarantineFilterInput, ReplayQuarantinedPayload, selection,
};
use crate::ingest::quarantine::Replay;
use crate::reports::cursor::decode;
use crate::storage::entity::quarantine;

#[derive(Default)]
pub(super) struct IntakeMutations;

#[Object]
impl IntakeMutations {
    /// Sets the JSON Schema of a type of events, in the place of the one that is there. It describes
    /// their `properties`. Events are checked against it within 5 seconds. Needs the scope `admin`.
    async fn put_event_schema(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose properties are checked.")] event_type: String,
        #[graphql(
            desc = "An object of up to 64 KiB; draft 2020-12 unless `$schema` names another."
        )]
        schema: Json<Value>,
        #[graphql(desc = "What becomes of events that do not fit.")] mode: SchemaMode,
    ) -> Result<PutEventSchemaPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let (tenant, actor) = (identity.whole_tenant()?, ctx.actor(identity));
        let put = ctx
            .ingest()
            .put_event_schema(tenant, &event_type, &schema, mode.into(), &actor);
        Ok(PutEventSchemaPayload {
            event_schema: put.await?.into(),
        })
    }

    /// Deletes the schema of a type of events. Needs the scope `admin`.
    async fn delete_event_schema(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose properties are checked no longer.")] event_type: String,
    ) -> Result<DeleteEventSchemaPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let (tenant, actor) = (identity.whole_tenant()?, ctx.actor(identity));
        let deleted = ctx
            .ingest()
            .delete_event_schema(tenant, &event_type, &actor)
            .await?;
        Ok(DeleteEventSchemaPayload { deleted })
    }

    /// Stores held events after all, the oldest first, up to 1,000 at once: those of `ids`, or those
    /// that pass `filter`. What still breaks a rule stays. Needs the scope `admin`.
    #[graphql(complexity = "100 + child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "they are the field's")]
    async fn replay_quarantined(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, by their `quarantineId`.")] ids: Option<Vec<Uuid>>,
        #[graphql(desc = "Or which, by what they have in common.")] filter: Option<
            QuarantineFilterInput,
        >,
        #[graphql(desc = "A JSON merge patch (RFC 7396) that mends each payload first.")]
        patch: Option<Json<Value>>,
        #[graphql(default, desc = "Only tells what would become of them.")] dry_run: bool,
        #[graphql(desc = "Go on behind the `endCursor` of a replay before.")] after: Option<String>,
    ) -> Result<ReplayQuarantinedPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let (sender, actor) = (identity.sender(), ctx.actor(identity));
        let replay = Replay {
            filter: selection(ids, filter)?,
            after: after
                .as_deref()
                .map(decode::<quarantine::Entity>)
                .transpose()?,
            patch: patch.map(|Json(patch)| patch),
            dry_run,
        };
        let outcome = ctx.ingest().replay(&sender, replay, &actor).await?;
        Ok(ReplayQuarantinedPayload {
            replayed: outcome.replayed(),
            left: outcome.left,
            end_cursor: outcome.end.map(Cursor::of::<quarantine::Entity>),
            results: outcome.results.into_iter().map(Into::into).collect(),
        })
    }

    /// Marks held events as not wanted, the oldest first, up to 1,000 at once: those of `ids`, or
    /// those that pass `filter`. They stay readable until their retention is over. Needs the scope
    /// `admin`.
    async fn discard_quarantined(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, by their `quarantineId`.")] ids: Option<Vec<Uuid>>,
        #[graphql(desc = "Or which, by what they have in common.")] filter: Option<
            QuarantineFilterInput,
        >,
    ) -> Result<DiscardQuarantinedPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let (tenant, actor) = (identity.whole_tenant()?, ctx.actor(identity));
        let filter = selection(ids, filter)?;
        let (discarded, left) = ctx.ingest().discard(tenant, &filter, &actor).await?;
        Ok(DiscardQuarantinedPayload { discarded, left })
    }
}
