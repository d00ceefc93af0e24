//! The type `User`.

use async_graphql::Context;
use async_graphql::{ID, Object, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connection::{PageArguments, Records, records};
use super::event::Event;
use super::node::{Kind, global_id};
use super::purchase::Purchase;
use super::refund::Refund;
use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::limits::list_cost;
use crate::graphql::loaders::MergedKey;
use crate::reports::records::RecordFilter;
use crate::storage::entity::{event, purchase, refund, user};

/// A user.
pub(in crate::graphql) struct User(user::Model);

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self(row)
    }
}

impl User {
    fn own(&self) -> RecordFilter {
        RecordFilter {
            user_ids: Some(vec![self.0.user_id]),
            ..RecordFilter::default()
        }
    }
}

/// Someone who did something: a known user or an anonymous visitor, with all that was done under
/// any of their ids.
#[Object]
impl User {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::User, &self.0.user_id)
    }

    /// Follows from the tenant and the sender's id. Of several ids of one user, that of a known user
    /// before an anonymous one, then the smallest.
    async fn user_id(&self) -> Uuid {
        self.0.user_id
    }

    /// The other ids that turned out to be theirs, through `identify` and `alias`: at most 1,000.
    #[graphql(complexity = 20, cache_control(no_cache))]
    async fn merged_ids(&self, ctx: &Context<'_>) -> Result<Vec<Uuid>> {
        let merged = ctx.loader().load_one(MergedKey(self.0.user_id)).await?;
        let ids = merged.unwrap_or_default().into_iter();
        Ok(ids.map(|merged| merged.user_id).collect())
    }

    /// The `userId` or `anonymousId` that events are sent with.
    async fn external_id(&self) -> &str {
        &self.0.external_id
    }

    /// Whether the sender does not know who it is.
    async fn anonymous(&self) -> bool {
        self.0.anonymous
    }

    /// As told by `sign_up` or `identify`.
    async fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// As told by `sign_up` or `identify`.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// When the server first heard of them.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// What they did, the newest first. One statement for each user: ask it of few.
    #[graphql(
        complexity = "20 + list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn events(
        &self,
        ctx: &Context<'_>,
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
        Ok(records::<event::Entity, _>(ctx.reports(), view, self.own(), arguments).await?)
    }

    /// What they bought, the newest first. One statement for each user: ask it of few.
    #[graphql(
        complexity = "20 + list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn purchases(
        &self,
        ctx: &Context<'_>,
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
        Ok(records::<purchase::Entity, _>(ctx.reports(), view, self.own(), arguments).await?)
    }

    /// What they were paid back, the newest first. One statement for each user: ask it of few.
    #[graphql(
        complexity = "20 + list_cost(first, last, child_complexity)",
        cache_control(no_cache)
    )]
    async fn refunds(
        &self,
        ctx: &Context<'_>,
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
        Ok(records::<refund::Entity, _>(ctx.reports(), view, self.own(), arguments).await?)
    }
}
