//! What happened, per bucket and type of event?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The events of one bucket and type.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TrafficRow {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// What happened.
    pub event_type: String,
    /// How often.
    pub events: i64,
    /// How many pages were seen in it.
    pub pageviews: i64,
}

/// Reads the rollup between the first and the last bound: a range scan of its key.
const SQL: &str = "
    SELECT width_bucket(minute, $2) AS bucket,
           event_type,
           sum(events)::bigint AS events,
           sum(pageviews)::bigint AS pageviews
    FROM traffic_minute
    WHERE tenant_id = $1 AND minute >= $3 AND minute < $4 AND (NOT bot OR $6)
    GROUP BY 1, 2
    ORDER BY 1, 2
    LIMIT $5";

/// The traffic between each two neighbouring bounds, that of bots if `bots` says so, at most `limit`
/// rows, in the order of buckets.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn traffic(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    bounds: &[DateTime<Utc>],
    bots: bool,
    limit: i64,
) -> Result<Vec<TrafficRow>, StorageError> {
    let [from, .., to] = bounds else {
        return Ok(Vec::new());
    };
    let values = [
        tenant.0.into(),
        bounds.to_vec().into(),
        (*from).into(),
        (*to).into(),
        limit.into(),
        bots.into(),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    Ok(TrafficRow::find_by_statement(statement).all(db).await?)
}
