//! The type `Pageview`.

use async_graphql::{Context, ID, Object, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::event::Event;
use super::node::{Kind, global_id};
use super::user::User;
use crate::graphql::context::ContextExt;
use crate::graphql::loaders::{EventKey, UserKey};
use crate::storage::entity::pageview;

/// A pageview.
pub(in crate::graphql) struct Pageview(pageview::Model);

impl From<pageview::Model> for Pageview {
    fn from(row: pageview::Model) -> Self {
        Self(row)
    }
}

/// A page that was seen.
#[Object]
impl Pageview {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::Pageview, &self.0.pageview_id)
    }

    /// The id of the event, which it is by another name.
    async fn pageview_id(&self) -> Uuid {
        self.0.pageview_id
    }

    /// When it was seen.
    async fn timestamp(&self) -> DateTime<Utc> {
        self.0.timestamp
    }

    /// The page's URL.
    async fn page_url(&self) -> &str {
        &self.0.page_url
    }

    /// Where the user was.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The id of the event it is part of.
    async fn event_id(&self) -> Uuid {
        self.0.event_id
    }

    /// The id that it was seen under; `user` may have others.
    async fn user_id(&self) -> Uuid {
        self.0.user_id
    }

    /// The event it is part of.
    #[graphql(cache_control(no_cache))]
    async fn event(&self, ctx: &Context<'_>) -> Result<Option<Event>> {
        let key = EventKey((self.0.timestamp, self.0.event_id));
        Ok(ctx.loader().load_one(key).await?.map(Event::from))
    }

    /// Who saw it.
    #[graphql(cache_control(no_cache))]
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let user = ctx.loader().load_one(UserKey(self.0.user_id)).await?;
        Ok(user.map(User::from))
    }
}
