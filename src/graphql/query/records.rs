//! Records by id and as connections.

use async_graphql::{Context, InputObject, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::domain::event::{EventType, user_id};
use crate::error::{Code, Problem};
use crate::graphql::context::ContextExt;
use crate::graphql::limits::list_cost;
use crate::graphql::types::connection::{PageArguments, Records, records};
use crate::graphql::types::event::Event;
use crate::graphql::types::pageview::Pageview;
use crate::graphql::types::product::Product;
use crate::graphql::types::purchase::Purchase;
use crate::graphql::types::range::TimeRangeInput;
use crate::graphql::types::user::User;
use crate::reports::records::RecordFilter;
use crate::storage::entity::{event, pageview, product, purchase, user};

/// How many values a filter may list.
const MAX_LISTED: usize = 50;

/// Which events; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct EventFilter {
    /// Of any of these types: at most 50.
    types: Option<Vec<String>>,
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this region.
    region: Option<String>,
}

/// Which pageviews; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct PageviewFilter {
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this region.
    region: Option<String>,
}

/// Which purchases; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct PurchaseFilter {
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this product.
    product_id: Option<String>,
    /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
    category: Option<String>,
    /// Of this region.
    region: Option<String>,
}

/// Which products; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct ProductFilter {
    /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
    category: Option<String>,
}

fn range(
    input: Option<TimeRangeInput>,
) -> Result<Option<crate::domain::calendar::TimeRange>, Problem> {
    input.map(TryInto::try_into).transpose()
}

/// PostgreSQL refuses a NUL in a text; no stored word has one.
fn word(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.contains('\0') => Err(Code::InvalidFilter.into()),
        text => Ok(text),
    }
}

/// The types as they are stored: `page_view` is `pageview`.
fn types(names: Vec<String>) -> Result<Vec<String>, Problem> {
    let parse = |name: String| EventType::parse(&name).map(|known| known.as_str().to_owned());
    let parsed: Option<Vec<String>> = names.into_iter().map(parse).collect();
    parsed
        .filter(|types| types.len() <= MAX_LISTED)
        .ok_or_else(|| {
            let detail = format!("`types` lists at most {MAX_LISTED} types of events.");
            Problem::with(Code::InvalidFilter, detail)
        })
}

impl TryFrom<EventFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: EventFilter) -> Result<Self, Problem> {
        Ok(Self {
            types: filter.types.map(types).transpose()?,
            range: range(filter.range)?,
            user_id: filter.user_id,
            region: word(filter.region)?,
            ..Self::default()
        })
    }
}

impl TryFrom<PageviewFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: PageviewFilter) -> Result<Self, Problem> {
        Ok(Self {
            range: range(filter.range)?,
            user_id: filter.user_id,
            region: word(filter.region)?,
            ..Self::default()
        })
    }
}

impl TryFrom<PurchaseFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: PurchaseFilter) -> Result<Self, Problem> {
        Ok(Self {
            types: None,
            range: range(filter.range)?,
            user_id: filter.user_id,
            product_id: word(filter.product_id)?,
            category: word(filter.category)?,
            region: word(filter.region)?,
        })
    }
}

impl TryFrom<ProductFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: ProductFilter) -> Result<Self, Problem> {
        Ok(Self {
            category: word(filter.category)?,
            ..Self::default()
        })
    }
}

#[derive(Default)]
pub(super) struct RecordQueries;

#[Object]
impl RecordQueries {
    /// The event with the id that its sender gave it.
    async fn event(&self, ctx: &Context<'_>, id: Uuid) -> Result<Option<Event>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        Ok(ctx.reports().event(tenant, id).await?.map(Event::from))
    }

    /// The user whom this id stands for, or the one that events name by this `userId` (`externalId`),
    /// or with `anonymous` by this `anonymousId`.
    async fn user(
        &self,
        ctx: &Context<'_>,
        id: Option<Uuid>,
        external_id: Option<String>,
        #[graphql(default)] anonymous: bool,
    ) -> Result<Option<User>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let id = match (id, external_id) {
            (Some(id), None) => id,
            (None, Some(name)) => user_id(tenant, &name, anonymous),
            _ => {
                return Err(Problem::with(
                    Code::InvalidFilter,
                    "Give either `id` or `externalId`.",
                )
                .into());
            }
        };
        Ok(ctx.reports().user(tenant, id).await?.map(User::from))
    }

    /// The pageview with this id.
    async fn pageview(&self, ctx: &Context<'_>, id: Uuid) -> Result<Option<Pageview>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        Ok(ctx
            .reports()
            .pageview(tenant, id)
            .await?
            .map(Pageview::from))
    }

    /// The purchase with this id.
    async fn purchase(&self, ctx: &Context<'_>, id: Uuid) -> Result<Option<Purchase>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        Ok(ctx
            .reports()
            .purchase(tenant, id)
            .await?
            .map(Purchase::from))
    }

    /// The product with the shop's id.
    async fn product(&self, ctx: &Context<'_>, id: String) -> Result<Option<Product>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let Some(id) = word(Some(id))? else {
            return Ok(None);
        };
        Ok(ctx.reports().product(tenant, &id).await?.map(Product::from))
    }

    /// Events, the newest first; pages of up to 100.
    #[graphql(complexity = "list_cost(first, last, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] filter: EventFilter,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Records<Event>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<event::Entity, _>(ctx.reports(), tenant, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// Users, by id, each once whatever ids turned out to be theirs; pages of up to 100.
    #[graphql(complexity = "list_cost(first, last, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Records<User>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<user::Entity, _>(ctx.reports(), tenant, RecordFilter::default(), arguments)
                .await?,
        )
    }

    /// Pageviews, the newest first; pages of up to 100.
    #[graphql(complexity = "list_cost(first, last, child_complexity)")]
    async fn pageviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] filter: PageviewFilter,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Records<Pageview>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<pageview::Entity, _>(ctx.reports(), tenant, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// Purchases, the newest first; pages of up to 100.
    #[graphql(complexity = "list_cost(first, last, child_complexity)")]
    async fn purchases(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] filter: PurchaseFilter,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Records<Purchase>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<purchase::Entity, _>(ctx.reports(), tenant, filter.try_into()?, arguments)
                .await?,
        )
    }

    /// Products, by id; pages of up to 100.
    #[graphql(complexity = "list_cost(first, last, child_complexity)")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] filter: ProductFilter,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Records<Product>> {
        let tenant = ctx.identity(Scope::Read)?.tenant;
        let arguments = PageArguments {
            first,
            after,
            last,
            before,
        };
        Ok(
            records::<product::Entity, _>(ctx.reports(), tenant, filter.try_into()?, arguments)
                .await?,
        )
    }
}
