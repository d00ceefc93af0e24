//! What was paid back of an order, line by line.

use sea_orm::entity::prelude::*;

/// A row of `refund`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund")]
pub struct Model {
    /// Whose refund.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Its event's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    /// The event that it is a line of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// Follows from the event and the line's place in it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub refund_id: Uuid,
    /// Who was paid back.
    pub user_id: Uuid,
    /// For what; empty where no product was named.
    pub product_id: String,
    /// How many came back; 0 where no product was named.
    pub quantity: i32,
    /// What was paid back for the line, in minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// The product's category when the refund was stored; empty if it had none.
    pub category: String,
    /// Where.
    pub region: Option<String>,
    /// Through what the user came.
    pub channel: Option<String>,
    /// The shop's id of the order.
    pub order_id: Option<String>,
    /// Whether a bot did it.
    pub bot: bool,
    /// The event that it is a line of.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, timestamp, event_id)",
        to = "(tenant_id, timestamp, event_id)"
    )]
    pub event: BelongsTo<super::event::Entity>,
    /// Who was paid back.
    #[sea_orm(belongs_to, from = "(tenant_id, user_id)", to = "(tenant_id, user_id)")]
    pub user: BelongsTo<super::user::Entity>,
    /// For what.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, product_id)",
        to = "(tenant_id, product_id)"
    )]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
