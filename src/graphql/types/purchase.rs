//! The type `Purchase`.

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
use crate::storage::entity::purchase;

/// A purchase.
pub(in crate::graphql) struct Purchase(purchase::Model);

impl From<purchase::Model> for Purchase {
    fn from(row: purchase::Model) -> Self {
        Self(row)
    }
}

/// A line of an order: one product that was bought. The order is the event.
#[Object]
impl Purchase {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::Purchase, &self.0.purchase_id)
    }

    /// Follows from the event and the line's place in it.
    async fn purchase_id(&self) -> Uuid {
        self.0.purchase_id
    }

    /// When it was bought.
    async fn timestamp(&self) -> DateTime<Utc> {
        self.0.timestamp
    }

    /// The shop's id of what was bought.
    async fn product_id(&self) -> &str {
        &self.0.product_id
    }

    /// How many.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// The line's total.
    async fn amount(&self) -> Option<Decimal> {
        let currency = Currency::from_code(&self.0.currency)?;
        Some(decimal(self.0.amount, currency))
    }

    /// Of the amount: ISO 4217.
    async fn currency(&self) -> &str {
        &self.0.currency
    }

    /// The product's category when the purchase was stored, as in `Kitchen > Coffee`.
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

    /// The id of the event, which is the order, that it is a line of.
    async fn event_id(&self) -> Uuid {
        self.0.event_id
    }

    /// The id that was bought under; `user` may have others.
    async fn user_id(&self) -> Uuid {
        self.0.user_id
    }

    /// The event, which is the order, that it is a line of.
    #[graphql(cache_control(no_cache))]
    async fn event(&self, ctx: &Context<'_>) -> Result<Option<Event>> {
        let key = EventKey((self.0.timestamp, self.0.event_id));
        Ok(ctx.loader().load_one(key).await?.map(Event::from))
    }

    /// Who bought.
    #[graphql(cache_control(no_cache))]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let user = ctx.loader().load_one(UserKey(self.0.user_id)).await?;
        Ok(user.map(User::from))
    }

    /// What was bought, if the catalogue knows it.
    #[graphql(cache_control(no_cache))]
    async fn product(&self, ctx: &Context<'_>) -> Result<Option<Product>> {
        let key = ProductKey(self.0.product_id.clone());
        Ok(ctx.loader().load_one(key).await?.map(Product::from))
    }
}
