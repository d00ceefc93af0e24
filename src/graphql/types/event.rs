//! The type `Event`.

use async_graphql::{Context, ID, Json, Object, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::node::{Kind, global_id};
use super::pageview::Pageview;
use super::purchase::Purchase;
use super::refund::Refund;
use super::user::User;
use crate::graphql::context::ContextExt;
use crate::graphql::loaders::{PurchasesKey, RefundsKey, UserAgentKey, UserKey};
use crate::reports::records::EventPlace;
use crate::storage::entity::event;

/// Something that happened in the shop.
pub(in crate::graphql) struct Event(event::Model);

impl From<event::Model> for Event {
    fn from(row: event::Model) -> Self {
        Self(row)
    }
}

impl Event {
    fn place(&self) -> EventPlace {
        (self.0.timestamp, self.0.event_id)
    }
}

/// Something that happened in the shop.
#[Object]
impl Event {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::Event, &self.0.event_id)
    }

    /// The id that its sender gave it.
    async fn event_id(&self) -> Uuid {
        self.0.event_id
    }

    /// What happened: `pageview`, `purchase`, `add_to_cart`, or the shop's own word.
    #[graphql(name = "type")]
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// When it happened.
    async fn timestamp(&self) -> DateTime<Utc> {
        self.0.timestamp
    }

    /// When the server took it.
    async fn received_at(&self) -> DateTime<Utc> {
        self.0.received_at
    }

    /// The properties as they were sent.
    async fn data(&self) -> Json<Value> {
        Json(self.0.data.value())
    }

    /// The visit it belongs to.
    async fn session_id(&self) -> Option<&str> {
        self.0.session_id.as_deref()
    }

    /// Where the user was, in the shop's own words.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// What brought the user.
    async fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }

    /// Which campaign brought the user.
    async fn campaign(&self) -> Option<&str> {
        self.0.campaign.as_deref()
    }

    /// The page that was seen in it.
    async fn page_url(&self) -> Option<&str> {
        self.0.page_url.as_deref()
    }

    /// What the user's program calls itself.
    #[graphql(cache_control(no_cache))]
    async fn user_agent(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let Some(id) = self.0.user_agent_id else {
            return Ok(None);
        };
        Ok(ctx.loader().load_one(UserAgentKey(id)).await?)
    }

    /// Whether that program is a bot: reports leave its events out unless asked for them.
    async fn bot(&self) -> bool {
        self.0.bot
    }

    /// The id that it was done under; `user` may have others.
    async fn user_id(&self) -> Uuid {
        self.0.user_id
    }

    /// Who did it.
    #[graphql(cache_control(no_cache))]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let user = ctx.loader().load_one(UserKey(self.0.user_id)).await?;
        Ok(user.map(User::from))
    }

    /// The pages seen in it: one if it is a pageview, else none.
    async fn pageviews(&self) -> Vec<Pageview> {
        let page = self.0.clone().pageview();
        page.into_iter().map(Pageview::from).collect()
    }

    /// The lines of the order made in it.
    #[graphql(cache_control(no_cache))]
    async fn purchases(&self, ctx: &Context<'_>) -> Result<Vec<Purchase>> {
        let rows = ctx.loader().load_one(PurchasesKey(self.place())).await?;
        Ok(rows
            .unwrap_or_default()
            .into_iter()
            .map(Purchase::from)
            .collect())
    }

    /// What was paid back in it.
    #[graphql(cache_control(no_cache))]
    async fn refunds(&self, ctx: &Context<'_>) -> Result<Vec<Refund>> {
        let rows = ctx.loader().load_one(RefundsKey(self.place())).await?;
        Ok(rows
            .unwrap_or_default()
            .into_iter()
            .map(Refund::from)
            .collect())
    }
}
