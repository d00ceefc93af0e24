//! Someone who did something: a known user or an anonymous visitor.

use sea_orm::entity::prelude::*;

/// A row of `"user"`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// Whose user.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Follows from the tenant and the sender's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// The sender's `userId` or `anonymousId`.
    pub external_id: String,
    /// Whether the sender knows who it is.
    pub anonymous: bool,
    /// As told by `sign_up` or `identify`.
    pub username: Option<String>,
    /// As told by `sign_up` or `identify`.
    pub email: Option<String>,
    /// When the server first heard of them.
    pub created_at: DateTimeUtc,
    /// Whose user.
    #[sea_orm(belongs_to, from = "tenant_id", to = "tenant_id")]
    pub tenant: BelongsTo<super::tenant::Entity>,
    /// What they did.
    #[sea_orm(has_many)]
    pub events: HasMany<super::event::Entity>,
    /// What they saw.
    #[sea_orm(has_many)]
    pub pageviews: HasMany<super::pageview::Entity>,
    /// What they bought.
    #[sea_orm(has_many)]
    pub purchases: HasMany<super::purchase::Entity>,
    /// What they were paid back.
    #[sea_orm(has_many)]
    pub refunds: HasMany<super::refund::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
