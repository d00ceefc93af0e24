//! How far the events of a tenant have come.

use sea_orm::entity::prelude::*;

/// A row of `watermark`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watermark")]
pub struct Model {
    /// Whose events.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// The latest time of an event that is stored.
    pub event_time: DateTimeUtc,
    /// When the newest event was received.
    pub received_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
