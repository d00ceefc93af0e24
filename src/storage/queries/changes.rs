//! What changed, and when last? Each transaction that changes facts marks their hours with its
//! number, in the order in which such transactions commit; so whoever keeps something that was read
//! at a number knows whether it is still true.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::calendar::Hour;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// By the index on the number: what is newer than a number is at its end.
const SINCE: &str = "
    SELECT tenant_id, hour, number FROM changed_hour WHERE number > $1 ORDER BY number LIMIT $2";

/// An hour of a tenant that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub tenant: TenantId,
    /// Which; [`Hour::WHO`] where it is who is who among the users.
    pub hour: Hour,
    /// In which change it did last.
    pub number: i64,
}

/// The number of the last change that this connection, or this snapshot, sees.
///
/// # Errors
/// When the database cannot be reached.
pub async fn last(db: &impl ConnectionTrait) -> Result<i64, StorageError> {
    let sql = "SELECT changes FROM idempotency_head";
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await?;
    let row = row.ok_or_else(|| StorageError::Bug("the log has no head".to_owned()))?;
    Ok(row.try_get("", "changes")?)
}

/// Every hour that changed after a number, in the order of numbers, as many as `limit`.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn since(
    db: &impl ConnectionTrait,
    number: i64,
    limit: u32,
) -> Result<Vec<Change>, StorageError> {
    #[derive(FromQueryResult)]
    struct Row {
        tenant_id: i32,
        hour: i32,
        number: i64,
    }
    let values = [number.into(), i64::from(limit).into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SINCE, values);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let change = |row: Row| Change {
        tenant: TenantId(row.tenant_id),
        hour: Hour(row.hour),
        number: row.number,
    };
    Ok(rows.into_iter().map(change).collect())
}
