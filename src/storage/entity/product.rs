//! Something a shop sells.

use sea_orm::entity::prelude::*;

/// What joins the steps of a category's path.
pub const CATEGORY_SEPARATOR: &str = " > ";

/// A row of `product`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "product")]
pub struct Model {
    /// Whose product.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// The shop's own id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub product_id: String,
    /// What it is called.
    pub title: String,
    /// What there is to say of it.
    pub description: String,
    /// The path in the catalogue joined by [`CATEGORY_SEPARATOR`]; empty if it has none.
    pub category: String,
    /// In minor units.
    pub price: Option<i64>,
    /// Of the price: ISO 4217.
    pub currency: Option<String>,
    /// How many there are.
    pub stock: Option<i32>,
    /// How long new stock takes.
    pub lead_time_days: Option<i32>,
    /// Colour, size and the like.
    pub attributes: Json,
    /// When it was last put.
    pub updated_at: DateTimeUtc,
    /// Whose product.
    #[sea_orm(belongs_to, from = "tenant_id", to = "tenant_id")]
    pub tenant: BelongsTo<super::tenant::Entity>,
    /// Who bought it.
    #[sea_orm(has_many)]
    pub purchases: HasMany<super::purchase::Entity>,
    /// Who was paid back for it.
    #[sea_orm(has_many)]
    pub refunds: HasMany<super::refund::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
