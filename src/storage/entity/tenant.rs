//! A shop on this server.

use sea_orm::entity::prelude::*;

/// A row of `tenant`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant")]
pub struct Model {
    /// Small, since every row of the tenant carries it.
    #[sea_orm(primary_key)]
    pub tenant_id: i32,
    /// What operators call it.
    #[sea_orm(unique)]
    pub name: String,
    /// The currency that reports are in unless they ask for another: ISO 4217.
    pub reporting_currency: String,
    /// The time zone that reports are in unless they ask for another: IANA.
    pub timezone: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Its keys.
    #[sea_orm(has_many)]
    pub api_keys: HasMany<super::api_key::Entity>,
    /// Its catalogue.
    #[sea_orm(has_many)]
    pub products: HasMany<super::product::Entity>,
    /// Its users.
    #[sea_orm(has_many)]
    pub users: HasMany<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
