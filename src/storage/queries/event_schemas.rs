//! What rules does a tenant set for its events?

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::event_schema::{self, Column, Mode};

/// Every schema of a tenant, by the key.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(
    db: &DatabaseConnection,
    tenant: TenantId,
) -> Result<Vec<event_schema::Model>, StorageError> {
    Ok(event_schema::Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .order_by_asc(Column::EventType)
        .all(db)
        .await?)
}

/// Which schema of which age, without its text.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SchemaVersion {
    /// Of this type of events.
    pub event_type: String,
    /// What becomes of an event that does not fit.
    pub mode: Mode,
    /// Tells it from the same type's schema of another time.
    pub updated_at: DateTime<Utc>,
}

/// The schemas of a tenant that are not off, by the key.
///
/// # Errors
/// When the database cannot be reached.
pub async fn versions(
    db: &DatabaseConnection,
    tenant: TenantId,
) -> Result<Vec<SchemaVersion>, StorageError> {
    Ok(event_schema::Entity::find()
        .select_only()
        .columns([Column::EventType, Column::Mode, Column::UpdatedAt])
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Mode.ne(Mode::Off))
        .into_model()
        .all(db)
        .await?)
}

/// The schemas of these types, by the key.
///
/// # Errors
/// When the database cannot be reached.
pub async fn of_types(
    db: &DatabaseConnection,
    tenant: TenantId,
    types: &[String],
) -> Result<Vec<event_schema::Model>, StorageError> {
    if types.is_empty() {
        return Ok(Vec::new());
    }
    Ok(event_schema::Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::EventType.is_in(types))
        .all(db)
        .await?)
}

#[derive(Debug, FromQueryResult)]
struct TypeRow {
    event_type: String,
}

/// The types of events that a tenant has used, `most` of them at the most, by the key.
///
/// # Errors
/// When the database cannot be reached.
pub async fn known_types(
    db: &DatabaseConnection,
    tenant: TenantId,
    most: usize,
) -> Result<HashSet<String>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT event_type FROM event_type WHERE tenant_id = $1 LIMIT $2",
        [
            tenant.0.into(),
            i64::try_from(most).unwrap_or(i64::MAX).into(),
        ],
    );
    let rows = TypeRow::find_by_statement(statement).all(db).await?;
    Ok(rows.into_iter().map(|row| row.event_type).collect())
}
