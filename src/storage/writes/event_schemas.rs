//! Stores the schemas of a tenant's events.

use chrono::{DateTime, Utc};
use sea_orm::{
    DatabaseConnection, DbBackend, EntityTrait, FromQueryResult, Statement, TransactionTrait,
};
use serde_json::json;

use super::audit::{Entry, append};
use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::event_schema::{self, Mode};

/// A schema to store.
#[derive(Clone, Debug)]
pub struct NewSchema<'a> {
    /// Of this type of events.
    pub event_type: &'a str,
    /// A JSON Schema.
    pub schema: &'a serde_json::Value,
    /// What becomes of an event that does not fit.
    pub mode: Mode,
}

/// Puts a schema, in the place of the one that is there; nothing if the tenant has `most` of other
/// types already.
///
/// # Errors
/// When the database cannot be reached or rejects the schema.
pub async fn put(
    db: &DatabaseConnection,
    tenant: TenantId,
    new: NewSchema<'_>,
    most: u32,
    (actor, now): (&Actor, DateTime<Utc>),
) -> Result<Option<event_schema::Model>, StorageError> {
    // The time tells a schema from the one before it, also where both come in one microsecond.
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO event_schema AS old (tenant_id, event_type, schema, mode, updated_at)
         SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*) FROM event_schema WHERE tenant_id = $1 AND event_type <> $2) < $6
         ON CONFLICT (tenant_id, event_type) DO UPDATE
         SET schema = excluded.schema, mode = excluded.mode,
             updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond')
         RETURNING *",
        [
            tenant.0.into(),
            new.event_type.into(),
            new.schema.clone().into(),
            new.mode.into(),
            now.into(),
            i64::from(most).into(),
        ],
    );
    let transaction = db.begin().await?;
    let put = event_schema::Model::find_by_statement(statement)
        .one(&transaction)
        .await?;
    if put.is_some() {
        let entry = Entry {
            at: now,
            tenant: Some(tenant),
            actor,
            action: Action::SchemaPut,
            subject: new.event_type.to_owned(),
            details: json!({"mode": format!("{:?}", new.mode)}),
        };
        append(&transaction, entry).await?;
    }
    transaction.commit().await?;
    Ok(put)
}

/// Deletes the schema of a type; says whether there was one.
///
/// # Errors
/// When the database cannot be reached.
pub async fn delete(
    db: &DatabaseConnection,
    tenant: TenantId,
    event_type: &str,
    (actor, now): (&Actor, DateTime<Utc>),
) -> Result<bool, StorageError> {
    let transaction = db.begin().await?;
    let key = (tenant.0, event_type.to_owned());
    let result = event_schema::Entity::delete_by_id(key)
        .exec(&transaction)
        .await?;
    let deleted = result.rows_affected > 0;
    if deleted {
        let entry = Entry {
            at: now,
            tenant: Some(tenant),
            actor,
            action: Action::SchemaDeleted,
            subject: event_type.to_owned(),
            details: json!({}),
        };
        append(&transaction, entry).await?;
    }
    transaction.commit().await?;
    Ok(deleted)
}
