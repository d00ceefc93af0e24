//! How far have a tenant's events come, how many are held back, and how many types have they?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use super::provenance::MAX_QUARANTINED;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// A tenant's intake.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct TenantIntake {
    /// The latest time of a stored event.
    pub watermark: Option<DateTime<Utc>>,
    /// When the newest stored event was received.
    pub received_at: Option<DateTime<Utc>>,
    /// How many events are in quarantine, [`MAX_QUARANTINED`] at the most.
    pub quarantined: i64,
    /// How many types of events there are.
    pub event_types: i64,
}

/// Each by a key: a row of `watermark`, the tenant's types, and as much of its quarantine as is
/// counted.
const SQL: &str = "
    SELECT (SELECT event_time FROM watermark WHERE tenant_id = $1) AS watermark,
           (SELECT received_at FROM watermark WHERE tenant_id = $1) AS received_at,
           (SELECT count(*)
            FROM (SELECT FROM quarantine WHERE tenant_id = $1 AND state = 'held' LIMIT $2) AS held
           ) AS quarantined,
           (SELECT count(*) FROM event_type WHERE tenant_id = $1) AS event_types";

/// Reads it.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn intake(
    db: &impl ConnectionTrait,
    tenant: TenantId,
) -> Result<TenantIntake, StorageError> {
    let values = [tenant.0.into(), MAX_QUARANTINED.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    let row = TenantIntake::find_by_statement(statement).one(db).await?;
    row.ok_or_else(|| StorageError::Bug("a SELECT without FROM gave no row".to_owned()))
}
