//! What was sold and paid back, per minute.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// What one row counts an order by: orders do not add up over the lines of an order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumIter,
    DeriveActiveEnum,
    Serialize,
    Deserialize,
)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Grain {
    /// Each order once.
    Order = 0,
    /// Each order once per category in it.
    Category = 1,
    /// Each order once per product in it.
    Product = 2,
}

/// A row of `sales_minute`; absent words are empty.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sales_minute")]
pub struct Model {
    /// Whose sales.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// What an order is counted by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub grain: Grain,
    /// The minute of the events' own time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub minute: DateTimeUtc,
    /// ISO 4217.
    #[sea_orm(primary_key, auto_increment = false)]
    pub currency: String,
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub region: String,
    /// Through what.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    /// Empty in the order grain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub category: String,
    /// Empty but in the product grain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub product_id: String,
    /// Whether bots bought.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bot: bool,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// Minor units.
    pub revenue: i64,
    /// What was paid back in this minute, of whatever order, in minor units.
    pub refunds: i64,
    /// How many of the orders came late.
    pub late_orders: i64,
    /// How many of the pieces came late.
    pub late_units: i64,
    /// How much of the revenue came late.
    pub late_revenue: i64,
    /// How much of the refunds came late.
    pub late_refunds: i64,
}

impl ActiveModelBehavior for ActiveModel {}
