//! What can be changed: events, the catalogue, the schemas of events, what is in quarantine,
//! exports, what is kept of people, tenants and keys.

mod exports;
mod intake;
mod keys;
mod privacy;

use async_graphql::{Context, MergedObject, Object, Result};

use super::context::ContextExt;
use super::types::ingest::{EventInput, IngestPayload};
use super::types::product::{ProductInput, PutProductsPayload};
use super::types::range::TimeRangeInput;
use super::types::user_agent::ReclassifyPayload;
use crate::access::Scope;
use crate::access::limits::Kind;
use crate::domain::batch::Protocol;
use crate::error::{Code, Problem};
use crate::ingest::MAX_EVENTS;
use crate::ingest::parse::parse_one;
use crate::reports::user_agents::Reclassification;

/// What can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    ShopMutations,
    intake::IntakeMutations,
    exports::ExportMutations,
    privacy::PrivacyMutations,
    keys::KeyMutations,
);

#[derive(Default)]
struct ShopMutations;

#[Object]
impl ShopMutations {
    /// Stores events, as `POST /v1/batch` does: each is judged on its own, and the receipts come
    /// when what is accepted is durable.
    async fn ingest_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 2,500.")] events: Vec<EventInput>,
    ) -> Result<IngestPayload> {
        let identity = ctx.identity(Scope::Ingest)?;
        if events.len() > MAX_EVENTS {
            return Err(Problem::new(Code::BatchTooLarge).into());
        }
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        ctx.limits().take(identity, Kind::Events, count).await?;
        // What is kept of an event is its JSON, however it came.
        let texts: Vec<String> = events.iter().map(EventInput::json).collect();
        let drafts = texts.iter().map(|text| parse_one(Protocol::Native, text));
        Ok(ctx
            .ingest()
            .take(&identity.sender(), drafts.collect())
            .await?
            .into())
    }

    /// Stores products of the catalogue, at most 500 at once, all or none; one that is there is
    /// replaced whole.
    async fn put_products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 500.")] products: Vec<ProductInput>,
    ) -> Result<PutProductsPayload> {
        let identity = ctx.identity(Scope::Ingest)?;
        let drafts = products.into_iter().map(Into::into).collect();
        let stored = ctx
            .reports()
            .put_products(identity.whole_tenant()?, identity.currency, drafts)
            .await?;
        Ok(PutProductsPayload { stored })
    }

    /// Says of a user agent whether it is a bot, whatever the list of bots says: of its events to
    /// come, and of those that are stored, in a range or all. The reports change with them.
    async fn reclassify_user_agent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The whole text, as in `userAgents`.")] user_agent: String,
        #[graphql(desc = "Whether it is one.")] bot: bool,
        #[graphql(desc = "Of the stored events to change; all if absent.")] range: Option<
            TimeRangeInput,
        >,
    ) -> Result<ReclassifyPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let saying = Reclassification {
            tenant: identity.whole_tenant()?,
            user_agent: &user_agent,
            bot,
        };
        let range = range.map(TryInto::try_into).transpose()?;
        let done = ctx.reports().reclassify(saying, identity.timezone, range);
        Ok(done.await?.into())
    }
}
