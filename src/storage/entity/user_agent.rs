//! What a user's program calls itself.

use sea_orm::entity::prelude::*;

/// A row of `user_agent`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_agent")]
pub struct Model {
    /// Whose user's program.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// A hash of the text.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_agent_id: i64,
    /// The text.
    pub user_agent: String,
    /// Whether its events are a bot's: as the list of bots said, or as someone said since.
    pub bot: bool,
    /// When someone said whether it is; none where the list alone spoke.
    pub classified_at: Option<DateTimeUtc>,
    /// What it runs on, by its text: `desktop`, `mobile` or `tablet`. The database says so.
    pub device: String,
    /// What it did.
    #[sea_orm(has_many)]
    pub events: HasMany<super::event::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
