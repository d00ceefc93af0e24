//! JSON that only passes through the server.

use std::fmt;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, Value};

/// JSON as PostgreSQL wrote it, in one line; it is read when somebody wants to know what is in it.
#[derive(Clone, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// As a text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// What is in it.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_default()
    }
}

/// By the letter.
impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for RawJson {}

/// What senders say of people is not for the log.
impl fmt::Debug for RawJson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RawJson({} bytes)", self.text().len())
    }
}
