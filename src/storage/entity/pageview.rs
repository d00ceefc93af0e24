//! A page that was seen: an event that has a page, by another name. The table is a view.

use sea_orm::entity::prelude::*;

/// A row of the view `pageview`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pageview")]
pub struct Model {
    /// Whose pageview.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Its event's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub timestamp: DateTimeUtc,
    /// The event it is part of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// The event's id.
    pub pageview_id: Uuid,
    /// Who saw it.
    pub user_id: Uuid,
    /// The page.
    pub page_url: String,
    /// Where.
    pub region: Option<String>,
    /// Whether a bot saw it.
    pub bot: bool,
    /// The event it is part of.
    #[sea_orm(
        belongs_to,
        from = "(tenant_id, timestamp, event_id)",
        to = "(tenant_id, timestamp, event_id)"
    )]
    pub event: BelongsTo<super::event::Entity>,
    /// Who saw it.
    #[sea_orm(belongs_to, from = "(tenant_id, user_id)", to = "(tenant_id, user_id)")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
