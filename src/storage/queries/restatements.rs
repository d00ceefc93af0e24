//! Which buckets were changed by what came late, and by how much?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::money::Currency;
use crate::domain::tenant::View;
use crate::storage::StorageError;

/// A bucket with something late in it: the whole, and what of it came late.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct RestatementRow {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// When the newest late event was received; none if that was before it was kept.
    pub restated_at: Option<DateTime<Utc>>,
    /// How many events.
    pub events: i64,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// In minor units, as a decimal: a sum may be wider than a `bigint`.
    pub revenue: String,
    /// What was paid back, alike.
    pub refunds: String,
    /// How many of the events came late.
    pub late_events: i64,
    /// How many of the orders came late.
    pub late_orders: i64,
    /// How many of the pieces came late.
    pub late_units: i64,
    /// How much of the revenue came late.
    pub late_revenue: String,
    /// How much of the refunds came late.
    pub late_refunds: String,
}

/// Range scans of the keys of the two rollups. Whatever is late is an event, so `traffic_minute`
/// tells which buckets.
const SQL: &str = "
    WITH happened AS (
        SELECT width_bucket(minute, $2) AS bucket,
               max(restated_at) AS restated_at,
               sum(events)::bigint AS events,
               sum(late_events)::bigint AS late_events
        FROM traffic_minute
        WHERE tenant_id = $1 AND minute >= $3 AND minute < $4 AND (NOT bot OR $5)
        GROUP BY 1
        HAVING sum(late_events) > 0
    ), sold AS (
        SELECT width_bucket(minute, $2) AS bucket,
               sum(orders)::bigint AS orders,
               sum(units)::bigint AS units,
               sum(revenue)::text AS revenue,
               sum(refunds)::text AS refunds,
               sum(late_orders)::bigint AS late_orders,
               sum(late_units)::bigint AS late_units,
               sum(late_revenue)::text AS late_revenue,
               sum(late_refunds)::text AS late_refunds
        FROM sales_minute
        WHERE tenant_id = $1 AND grain = 0 AND minute >= $3 AND minute < $4 AND (NOT bot OR $5)
              AND currency = $6
        GROUP BY 1
    )
    SELECT bucket, restated_at, events, late_events,
           coalesce(orders, 0) AS orders,
           coalesce(units, 0) AS units,
           coalesce(revenue, '0') AS revenue,
           coalesce(refunds, '0') AS refunds,
           coalesce(late_orders, 0) AS late_orders,
           coalesce(late_units, 0) AS late_units,
           coalesce(late_revenue, '0') AS late_revenue,
           coalesce(late_refunds, '0') AS late_refunds
    FROM happened LEFT JOIN sold USING (bucket)
    ORDER BY bucket";

/// The buckets between each two neighbouring bounds that have something late in them, that of bots
/// if `bots` says so; what was sold in this currency.
///
/// # Errors
/// A view of some rows alone, or when the database cannot be reached or takes too long.
pub async fn restatements(
    db: &impl ConnectionTrait,
    view: &View,
    currency: Currency,
    bounds: &[DateTime<Utc>],
    bots: bool,
) -> Result<Vec<RestatementRow>, StorageError> {
    // Events are summed up without what a view may be limited by.
    if !view.is_whole() {
        return Err(StorageError::OutOfScope);
    }
    let [from, .., to] = bounds else {
        return Ok(Vec::new());
    };
    let values = [
        view.tenant().0.into(),
        bounds.to_vec().into(),
        (*from).into(),
        (*to).into(),
        bots.into(),
        currency.code().into(),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    Ok(RestatementRow::find_by_statement(statement).all(db).await?)
}
