//! The schemas that a tenant sets for its types of events.

use serde_json::Value;

use super::Ingest;
use super::rules::schema::PropertySchema;
use crate::domain::audit::Actor;
use crate::domain::event::EventType;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::entity::event_schema::{self, Mode};
use crate::storage::queries::event_schemas as queries;
use crate::storage::writes::event_schemas as writes;

/// How many schemas a tenant may have.
pub const MAX_SCHEMAS: u32 = 200;

impl Ingest {
    /// Every schema of a tenant, by type.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn event_schemas(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<event_schema::Model>, Problem> {
        Ok(queries::list(self.db.control(), tenant).await?)
    }

    /// Puts the schema of a type in the place of the one that is there. Events are checked against
    /// it at once in this process, within seconds in all.
    ///
    /// # Errors
    /// What is wrong with the type or the schema, or that the database is away.
    pub async fn put_event_schema(
        &self,
        tenant: TenantId,
        event_type: &str,
        schema: &Value,
        mode: Mode,
        actor: &Actor,
    ) -> Result<event_schema::Model, Problem> {
        let event_type = EventType::parse(event_type).ok_or(Code::InvalidEventType)?;
        let refuse = |why: String| {
            Problem::with(
                Code::InvalidSchema,
                format!("The schema cannot be used: {why}."),
            )
        };
        PropertySchema::compile(schema).map_err(refuse)?;
        let new = writes::NewSchema {
            event_type: event_type.as_str(),
            schema,
            mode,
        };
        let (db, now) = (self.db.control(), self.clock.now());
        let stored = writes::put(db, tenant, new, MAX_SCHEMAS, (actor, now)).await;
        self.rules.forget(tenant).await;
        let full = || refuse(format!("the tenant has {MAX_SCHEMAS} schemas already"));
        stored?.ok_or_else(full)
    }

    /// Deletes the schema of a type; says whether there was one.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn delete_event_schema(
        &self,
        tenant: TenantId,
        event_type: &str,
        actor: &Actor,
    ) -> Result<bool, Problem> {
        let event_type = EventType::parse(event_type).ok_or(Code::InvalidEventType)?;
        let by = (actor, self.clock.now());
        let deleted = writes::delete(self.db.control(), tenant, event_type.as_str(), by).await;
        self.rules.forget(tenant).await;
        Ok(deleted?)
    }
}
