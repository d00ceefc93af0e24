//! The type `Refund`.

use async_graphql::{Context, ID, Object, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::event::Event;
use super::node::{Kind, global_id};
use super::product::Product;
use super::user::User;
use crate::domain::money::{Currency, Decimal};
use crate::graphql::context::ContextExt;
use crate::graphql::loaders::{EventKey, ProductKey, UserKey};
use crate::graphql::scalars::decimal;
use crate::storage::entity::refund;

/// A refund.
pub(in crate::graphql) struct Refund(refund::Model);

impl From<refund::Model> for Refund {
    fn from(row: refund::Model) -> Self {
        Self(row)
    }
}

/// What was paid back of an order, for one product or for none in particular.
#[Object]
impl Refund {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::Refund, &self.0.refund_id)
    }

    /// Follows from the event and the line's place in it.
    async fn refund_id(&self) -> Uuid {
        self.0.refund_id
    }

    /// When it was paid back.
    async fn timestamp(&self) -> DateTime<Utc> {
        self.0.timestamp
    }

    /// The shop's id of the product; nothing where the refund names none.
    async fn product_id(&self) -> Option<&str> {
        Some(self.0.product_id.as_str()).filter(|id| !id.is_empty())
    }

    /// How many came back; 0 where the refund names no product.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// What was paid back.
    async fn amount(&self) -> Option<Decimal> {
        let currency = Currency::from_code(&self.0.currency)?;
        Some(decimal(self.0.amount, currency))
    }

    /// Of the amount: ISO 4217.
    async fn currency(&self) -> &str {
        &self.0.currency
    }

    /// The product's category when the refund was stored, as in `Kitchen > Coffee`.
    async fn category(&self) -> Option<&str> {
        Some(self.0.category.as_str()).filter(|category| !category.is_empty())
    }

    /// Where the user was.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// What brought the user.
    async fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }

    /// The shop's own id of the order.
    async fn order_id(&self) -> Option<&str> {
        self.0.order_id.as_deref()
    }

    /// The id of the event that it is a line of.
    async fn event_id(&self) -> Uuid {
        self.0.event_id
    }

    /// The id that it was paid back under; `user` may have others.
    async fn user_id(&self) -> Uuid {
        self.0.user_id
    }

    /// The event that it is a line of.
    #[graphql(cache_control(no_cache))]
    async fn event(&self, ctx: &Context<'_>) -> Result<Option<Event>> {
        let key = EventKey((self.0.timestamp, self.0.event_id));
        Ok(ctx.loader().load_one(key).await?.map(Event::from))
    }

    /// Who was paid back.
    #[graphql(cache_control(no_cache))]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let user = ctx.loader().load_one(UserKey(self.0.user_id)).await?;
        Ok(user.map(User::from))
    }

    /// The product, if the refund names one that the catalogue knows.
    #[graphql(cache_control(no_cache))]
    async fn product(&self, ctx: &Context<'_>) -> Result<Option<Product>> {
        let key = ProductKey(self.0.product_id.clone());
        Ok(ctx.loader().load_one(key).await?.map(Product::from))
    }
}
