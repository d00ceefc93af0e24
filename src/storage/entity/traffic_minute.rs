//! What happened, per minute and type of event.

use sea_orm::entity::prelude::*;

/// A row of `traffic_minute`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "traffic_minute")]
pub struct Model {
    /// Whose traffic.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// The minute of the events' own time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub minute: DateTimeUtc,
    /// What happened.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_type: String,
    /// Whether bots did it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bot: bool,
    /// How often.
    pub events: i64,
    /// How many pages were seen in it.
    pub pageviews: i64,
    /// How many of the events came late.
    pub late_events: i64,
    /// When the newest of these was received.
    pub restated_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
