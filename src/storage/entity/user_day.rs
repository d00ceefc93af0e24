//! Who was there, per day.

use sea_orm::entity::prelude::*;

/// A row of `user_day`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_day")]
pub struct Model {
    /// Whose user.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// The day in the tenant's time zone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Date,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// A sum of 1: did something, 2: viewed a page, 4: bought; 128: did something as a bot, which
    /// the others leave out.
    pub activity: i16,
}

impl ActiveModelBehavior for ActiveModel {}
