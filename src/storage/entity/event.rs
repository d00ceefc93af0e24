//! Something that happened in a shop.

use sea_orm::entity::prelude::*;

use super::raw_json::RawJson;

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
    #[sea_orm(column_type = "JsonBinary")]
    pub data: RawJson,
    /// The page that was seen in it.
    pub page_url: Option<String>,
    /// What the user's program calls itself.
    pub user_agent_id: Option<i64>,
    /// Whether that program is a bot.
    pub bot: bool,
    /// Who did it.
    #[sea_orm(belongs_to, from = "(tenant_id, user_id)", to = "(tenant_id, user_id)")]
    pub user: BelongsTo<super::user::Entity>,
    /// What the user's program calls itself.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, user_agent_id)",
        to = "(tenant_id, user_agent_id)"
    )]
    pub user_agent: BelongsTo<Option<super::user_agent::Entity>>,
    /// The pages seen in it: one, if it has a page.
    #[sea_orm(has_many)]
    pub pageviews: HasMany<super::pageview::Entity>,
    /// The lines of the order made in it.
    #[sea_orm(has_many)]
    pub purchases: HasMany<super::purchase::Entity>,
    /// What was paid back in it.
    #[sea_orm(has_many)]
    pub refunds: HasMany<super::refund::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The page seen in it, as the view `pageview` shows it.
    #[must_use]
    pub fn pageview(self) -> Option<super::pageview::Model> {
        Some(super::pageview::Model {
            tenant_id: self.tenant_id,
            timestamp: self.timestamp,
            event_id: self.event_id,
            pageview_id: self.event_id,
            user_id: self.user_id,
            page_url: self.page_url?,
            region: self.region,
            bot: self.bot,
        })
    }
}
