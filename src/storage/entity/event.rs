//! Something that happened in a shop.

use sea_orm::entity::prelude::*;

/// A row of `event`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Whose event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// When it happened; leads the key, and is what the table is partitioned by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    /// The sender's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// Who did it.
    pub user_id: Uuid,
    /// What happened.
    pub event_type: String,
    /// The visit it belongs to.
    pub session_id: Option<String>,
    /// Where.
    pub region: Option<String>,
    /// Through what the user came.
    pub channel: Option<String>,
    /// Through which campaign the user came.
    pub campaign: Option<String>,
    /// When the server took it.
    pub received_at: DateTimeUtc,
    /// The properties as sent.
    pub data: Json,
    /// Who did it.
    #[sea_orm(belongs_to, from = "(tenant_id, user_id)", to = "(tenant_id, user_id)")]
    pub user: BelongsTo<super::user::Entity>,
    /// The pages seen in it.
    #[sea_orm(has_many)]
    pub pageviews: HasMany<super::pageview::Entity>,
    /// The lines of the order made in it.
    #[sea_orm(has_many)]
    pub purchases: HasMany<super::purchase::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
