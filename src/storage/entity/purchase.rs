//! A line of an order.

use sea_orm::entity::prelude::*;

/// A row of `purchase`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase")]
pub struct Model {
    /// Whose purchase.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Its event's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    /// The event, which is the order, that it is a line of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// Follows from the event and the line's place in it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub purchase_id: Uuid,
    /// Who bought.
    pub user_id: Uuid,
    /// What was bought; the catalogue may not know it (yet).
    pub product_id: String,
    /// How many.
    pub quantity: i32,
    /// The line's total in minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// The product's category when the purchase was stored; empty if it had none.
    pub category: String,
    /// Where.
    pub region: Option<String>,
    /// Through what the user came.
    pub channel: Option<String>,
    /// The shop's id of the order.
    pub order_id: Option<String>,
    /// Whether a bot bought.
    pub bot: bool,
    /// The event it is a line of.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, timestamp, event_id)",
        to = "(tenant_id, timestamp, event_id)"
    )]
    pub event: BelongsTo<super::event::Entity>,
    /// Who bought.
    #[sea_orm(belongs_to, from = "(tenant_id, user_id)", to = "(tenant_id, user_id)")]
    pub user: BelongsTo<super::user::Entity>,
    /// What was bought.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, product_id)",
        to = "(tenant_id, product_id)"
    )]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
