//! What became of what was sent: schemas, quarantine, receipts.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::limits::list_cost;
use crate::graphql::types::connection::{PageArguments, Records, records};
use crate::graphql::types::event_schema::EventSchema;
use crate::graphql::types::ingest::IngestPayload;
use crate::graphql::types::ingest_health::IngestHealth;
use crate::graphql::types::quarantine::{QuarantineFilterInput, QuarantinedEvent};
use crate::storage::entity::quarantine;

#[derive(Default)]
pub(super) struct IntakeQueries;

#[Object]
impl IntakeQueries {
    /// The schemas that events' properties are checked against, by type: at most 200.
    #[graphql(complexity = "20 + 10 * child_complexity", cache_control(no_cache))]
    async fn event_schemas(&self, ctx: &Context<'_>) -> Result<Vec<EventSchema>> {
        let tenant = ctx.identity(Scope::Read)?.whole_tenant()?;
        let rows = ctx.ingest().event_schemas(tenant).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Events that could not be stored as they were, the newest first; pages of up to 100. Needs the
    /// scope `admin`, for payloads hold whatever was sent.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn quarantine(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: QuarantineFilterInput,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<QuarantinedEvent>> {
        let view = ctx.identity(Scope::Admin)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        let filter = filter.try_into()?;
        Ok(records::<quarantine::Entity, _>(ctx.reports(), view, filter, arguments).await?)
    }

    /// How ingest does: what waits to be stored, how far the tenant's events have come, and how long
    /// an event takes from the door to an answer.
    #[graphql(complexity = "20 + child_complexity", cache_control(no_cache))]
    async fn ingest_health(&self, ctx: &Context<'_>) -> Result<IngestHealth> {
        let tenant = ctx.identity(Scope::Read)?.whole_tenant()?;
        let intake = ctx.reports().intake(tenant).await?;
        let ingest = ctx.ingest();
        Ok(IngestHealth::new(
            ingest.log_health(),
            ingest.latest_flight(),
            intake,
        ))
    }

    /// The receipts of a batch: what became of each event. Nothing if no such batch of this tenant
    /// is stored, or if it was longer ago than receipts are kept. Needs the scope `ingest` or `read`.
    #[graphql(complexity = "20 + child_complexity", cache_control(no_cache))]
    async fn receipt(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As the answer to the batch said it.")] batch_id: Uuid,
    ) -> Result<Option<IngestPayload>> {
        let sender = ctx.identity(Scope::Ingest);
        let identity = sender.or_else(|_| ctx.identity(Scope::Read))?;
        let tenant = identity.whole_tenant()?;
        let receipts = ctx.ingest().receipt(tenant, batch_id).await?;
        Ok(receipts.map(Into::into))
    }
}
