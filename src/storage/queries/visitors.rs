//! How many different users did anything, per bucket?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The users of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct VisitorsRow {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// How many users.
    pub users: i64,
}

/// Counts users over the events between the first and the last bound: distinct counts do not add
/// up, so no rollup has them. Several ids of one user count once. A range scan of the key of `event`.
const SQL: &str = "
    SELECT width_bucket(timestamp, $2) AS bucket,
           count(DISTINCT coalesce(canonical_id, user_id)) AS users
    FROM event LEFT JOIN user_alias USING (tenant_id, user_id)
    WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4
    GROUP BY 1";

/// The users between each two neighbouring bounds.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn visitors(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    bounds: &[DateTime<Utc>],
) -> Result<Vec<VisitorsRow>, StorageError> {
    let [from, .., to] = bounds else {
        return Ok(Vec::new());
    };
    let values = [
        tenant.0.into(),
        bounds.to_vec().into(),
        (*from).into(),
        (*to).into(),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    Ok(VisitorsRow::find_by_statement(statement).all(db).await?)
}
