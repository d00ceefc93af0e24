//! What the properties of a type of events must look like.

use sea_orm::entity::prelude::*;

/// What becomes of an event that does not fit its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Mode {
    /// Nothing: the schema is kept, but not looked at.
    #[sea_orm(string_value = "off")]
    Off,
    /// It is accepted, and its receipt says what does not fit.
    #[sea_orm(string_value = "warn")]
    Warn,
    /// It is quarantined.
    #[sea_orm(string_value = "enforce")]
    Enforce,
}

/// A row of `event_schema`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_schema")]
pub struct Model {
    /// Whose events.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: i32,
    /// Of which type.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_type: String,
    /// A JSON Schema.
    pub schema: Json,
    /// What becomes of an event that does not fit.
    pub mode: Mode,
    /// When it was last put; changes with each change.
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
