//! An event that cannot be stored as it is, kept as it was sent.

use sea_orm::entity::prelude::*;

/// What became of a quarantined event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// It waits for somebody to decide.
    #[sea_orm(string_value = "held")]
    Held,
    /// It was stored, as it was or mended.
    #[sea_orm(string_value = "replayed")]
    Replayed,
    /// Somebody decided that it is not wanted.
    #[sea_orm(string_value = "discarded")]
    Discarded,
}

/// A row of `quarantine`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quarantine")]
pub struct Model {
    /// Whose event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Follows from what was sent: the same sent again is the same row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub quarantine_id: Uuid,
    /// When the server took it, the first time.
    pub received_at: DateTimeUtc,
    /// The batch that brought it.
    pub batch_id: Uuid,
    /// How the payload is to be read: `native`, `segment` or `posthog`.
    pub protocol: String,
    /// The event's id if it could be read.
    pub event_id: Option<Uuid>,
    /// What it says of its type, if that can be told.
    pub event_type: Option<String>,
    /// Why it is here: the name of a code of the table.
    pub code: String,
    /// The offending field; empty for the event as a whole.
    pub path: String,
    /// The same in words.
    pub message: String,
    /// The event's JSON as it was sent.
    pub payload: String,
    /// What became of it.
    pub state: State,
    /// Since when.
    pub state_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
