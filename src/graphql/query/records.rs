//! Records by id and as connections.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use super::filters::{EventFilter, PageviewFilter, ProductFilter, PurchaseFilter, UserAgentFilter};
use crate::access::Scope;
use crate::domain::event::user_id;
use crate::error::{Code, Problem};
use crate::graphql::context::ContextExt;
use crate::graphql::limits::list_cost;
use crate::graphql::types::connection::{PageArguments, Records, records};
use crate::graphql::types::event::Event;
use crate::graphql::types::pageview::Pageview;
use crate::graphql::types::product::Product;
use crate::graphql::types::purchase::Purchase;
use crate::graphql::types::refund::Refund;
use crate::graphql::types::user::User;
use crate::graphql::types::user_agent::UserAgent;
use crate::reports::parameters::word;
use crate::reports::records::RecordFilter;
use crate::storage::entity::{event, pageview, product, purchase, refund, user, user_agent};

#[derive(Default)]
pub(super) struct RecordQueries;

#[Object]
impl RecordQueries {
    /// The event with the id that its sender gave it.
    #[graphql(cache_control(no_cache))]
    async fn event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As its sender gave it.")] id: Uuid,
    ) -> Result<Option<Event>> {
        let view = ctx.identity(Scope::Read)?.view();
        Ok(ctx.reports().event(view, id).await?.map(Event::from))
    }

    /// The user whom this id stands for, or the one that events name by this `userId` (`externalId`),
    /// or with `anonymous` by this `anonymousId`.
    #[graphql(cache_control(no_cache))]
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "An id of theirs, as in `userId`.")] id: Option<Uuid>,
        #[graphql(
            desc = "The `userId` that events are sent with; with `anonymous`, the `anonymousId`."
        )]
        external_id: Option<String>,
        #[graphql(default, desc = "Whether `externalId` is an `anonymousId`.")] anonymous: bool,
    ) -> Result<Option<User>> {
        let view = ctx.identity(Scope::Read)?.view();
        let id = match (id, external_id) {
            (Some(id), None) => id,
            (None, Some(name)) => user_id(view.tenant(), &name, anonymous),
            _ => {
                return Err(Problem::with(
                    Code::InvalidFilter,
                    "Give either `id` or `externalId`.",
                )
                .into());
            }
        };
        Ok(ctx.reports().user(view, id).await?.map(User::from))
    }

    /// The pageview with this id, which is its event's.
    #[graphql(cache_control(no_cache))]
    async fn pageview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As in `pageviewId`.")] id: Uuid,
    ) -> Result<Option<Pageview>> {
        let view = ctx.identity(Scope::Read)?.view();
        Ok(ctx.reports().pageview(view, id).await?.map(Pageview::from))
    }

    /// The purchase with this id.
    #[graphql(cache_control(no_cache))]
    async fn purchase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As in `purchaseId`.")] id: Uuid,
    ) -> Result<Option<Purchase>> {
        let view = ctx.identity(Scope::Read)?.view();
        Ok(ctx.reports().purchase(view, id).await?.map(Purchase::from))
    }

    /// The refund with this id.
    #[graphql(cache_control(no_cache))]
    async fn refund(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As in `refundId`.")] id: Uuid,
    ) -> Result<Option<Refund>> {
        let view = ctx.identity(Scope::Read)?.view();
        Ok(ctx.reports().refund(view, id).await?.map(Refund::from))
    }

    /// The product with the shop's id.
    #[graphql(cache_control(no_cache))]
    async fn product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The shop's own.")] id: String,
    ) -> Result<Option<Product>> {
        let view = ctx.identity(Scope::Read)?.view();
        let Some(id) = word(Some(id))? else {
            return Ok(None);
        };
        Ok(ctx.reports().product(view, &id).await?.map(Product::from))
    }

    /// Events, the newest first; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: EventFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<Event>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(records::<event::Entity, _>(ctx.reports(), view, filter.try_into()?, arguments).await?)
    }

    /// Users, by id, each once whatever ids turned out to be theirs; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<User>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<user::Entity, _>(ctx.reports(), view, RecordFilter::default(), arguments)
                .await?,
        )
    }

    /// Pageviews, the newest first; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn pageviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: PageviewFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<Pageview>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<pageview::Entity, _>(ctx.reports(), view, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// Purchases, the newest first; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn purchases(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: PurchaseFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<Purchase>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<purchase::Entity, _>(ctx.reports(), view, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// Refunds, the newest first; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn refunds(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: PurchaseFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<Refund>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<refund::Entity, _>(ctx.reports(), view, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// What users' programs call themselves, in no order that means anything; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn user_agents(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: UserAgentFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<UserAgent>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(records::<user_agent::Entity, _>(ctx.reports(), view, filter.into(), arguments).await?)
    }

    /// Products, by id; pages of up to 100.
    #[graphql(
        complexity = "list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(default, desc = "Which of them; all if absent.")] filter: ProductFilter,
        #[graphql(desc = "How many, from the front: 1 to 100, 20 unless it says otherwise.")] first: Option<i32>,
        #[graphql(desc = "The cursor that they stand behind.")] after: Option<String>,
        #[graphql(desc = "How many, from the back: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "The cursor that they stand in front of.")] before: Option<String>,
    ) -> Result<Records<Product>> {
        let view = ctx.identity(Scope::Read)?.view();
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<product::Entity, _>(ctx.reports(), view, filter.try_into()?, arguments)
                .await?,
        )
    }
}
