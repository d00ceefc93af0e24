//! The schemas of events' properties.

use async_graphql::{Enum, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::storage::entity::event_schema;

/// What becomes of an event that does not fit its schema.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "event_schema::Mode")]
pub(in crate::graphql) enum SchemaMode {
    /// Nothing: the schema is kept, but not looked at.
    Off,
    /// It is accepted, and its receipt says what does not fit.
    Warn,
    /// It is quarantined.
    Enforce,
}

/// The schema of a type.
pub(in crate::graphql) struct EventSchema(event_schema::Model);

impl From<event_schema::Model> for EventSchema {
    fn from(row: event_schema::Model) -> Self {
        Self(row)
    }
}

/// What the properties of a type of events must look like.
#[Object]
impl EventSchema {
    /// The type.
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// A JSON Schema.
    async fn schema(&self) -> Json<&Value> {
        Json(&self.0.schema)
    }

    /// What becomes of an event that does not fit.
    async fn mode(&self) -> SchemaMode {
        self.0.mode.into()
    }

    /// When it was last put.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// The schema that was put.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PutEventSchemaPayload {
    /// As it is now.
    pub(in crate::graphql) event_schema: EventSchema,
}

/// The schema that was deleted.
#[derive(SimpleObject)]
pub(in crate::graphql) struct DeleteEventSchemaPayload {
    /// Whether there was one.
    pub(in crate::graphql) deleted: bool,
}
