//! Who did what.

use async_graphql::{ID, Json, Object};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::node::{Kind, global_id};
use crate::storage::entity::audit;

/// An entry.
pub(in crate::graphql) struct AuditEntry(audit::Model);

impl From<audit::Model> for AuditEntry {
    fn from(row: audit::Model) -> Self {
        Self(row)
    }
}

/// Something that somebody did. Entries are never changed or taken away; each has the hash of the one
/// before it, so that the log can be verified.
#[Object]
impl AuditEntry {
    /// Names it among all that there is: `node` finds it again.
    pub(in crate::graphql) async fn id(&self) -> ID {
        global_id(Kind::AuditEntry, &self.0.entry_id)
    }

    /// Its place in the log of the whole server, from 1.
    async fn number(&self) -> i64 {
        self.0.entry_id
    }

    /// When.
    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }

    /// Who: `key:` and the id of an API key, `command` (an operator, on the server), or `server`.
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    /// Where the request came from, without the last part of the address.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// What, as `key_revoked`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// To what: an id or a name.
    async fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What there is to say besides.
    async fn details(&self) -> Json<Value> {
        Json(serde_json::from_str(&self.0.details).unwrap_or_default())
    }

    /// SHA-256 over all that it says and the hash of the entry before, in hexadecimal digits.
    async fn hash(&self) -> String {
        let digits = |text: String, byte: &u8| text + &format!("{byte:02x}");
        self.0.hash.iter().fold(String::new(), digits)
    }
}
