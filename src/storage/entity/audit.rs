//! Who did what; only appended to.

use sea_orm::entity::prelude::*;

/// A row of `audit`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    /// From 1, without a gap.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_id: i64,
    /// When, to the microsecond.
    pub at: DateTimeUtc,
    /// Of whose; none of what is the server's.
    pub tenant_id: Option<i32>,
    /// Who: `key:` and its id, `command`, or `server`.
    pub actor: String,
    /// Where the request came from, truncated.
    pub address: Option<String>,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// JSON.
    pub details: String,
    /// The hash of the entry before.
    pub previous: Vec<u8>,
    /// Over all that it says, and the hash of the entry before.
    pub hash: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
