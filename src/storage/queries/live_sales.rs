//! What was sold since a moment, to others than bots, second by second, and which transactions does the answer see?

use chrono::{DateTime, Utc};
use sea_orm::{DbBackend, FromQueryResult, Statement};

use crate::domain::money::Currency;
use crate::domain::tenant::TenantId;
use crate::storage::{Db, StorageError};

/// The sales of one second and product; the first row of a second carries its orders.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LiveSalesRow {
    /// Since 1970.
    pub second: i64,
    /// The shop's id of the product.
    pub product_id: String,
    /// How many pieces.
    pub units: i64,
    /// In minor units, as a decimal: a sum may be wider than a `bigint`.
    pub revenue: String,
    /// How many orders have their first line here.
    pub orders: i64,
}

/// Which transactions a snapshot sees: those before `xmin`, and those before `xmax` that were not
/// running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    xmin: i64,
    xmax: i64,
    running: Vec<i64>,
}

impl Snapshot {
    /// Reads PostgreSQL's `xmin:xmax:running,running…`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let xmin = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter(|id| !id.is_empty());
        let running = running.map(|id| id.parse().ok()).collect::<Option<_>>()?;
        Some(Self {
            xmin,
            xmax,
            running,
        })
    }

    /// Whether it sees what this transaction committed.
    #[must_use]
    pub fn sees(&self, transaction_id: i64) -> bool {
        transaction_id < self.xmin
            || (transaction_id < self.xmax && !self.running.contains(&transaction_id))
    }
}

#[derive(Debug, FromQueryResult)]
struct SnapshotRow {
    snapshot: String,
}

/// Reads the purchases of the window: a range scan of the key of `purchase`.
const SQL: &str = "
    SELECT floor(extract(epoch FROM timestamp))::bigint AS second,
           product_id,
           sum(quantity)::bigint AS units,
           sum(amount)::text AS revenue,
           count(*) FILTER (WHERE line = 1) AS orders
    FROM (
        SELECT *, row_number() OVER (PARTITION BY timestamp, event_id ORDER BY purchase_id) AS line
        FROM purchase
        WHERE tenant_id = $1 AND currency = $2 AND timestamp >= $3 AND NOT bot
    ) AS lines
    GROUP BY 1, 2";

/// What was sold since `from`, and the snapshot that the answer was read from.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn live_sales(
    db: &Db,
    tenant: TenantId,
    currency: Currency,
    from: DateTime<Utc>,
) -> Result<(Vec<LiveSalesRow>, Snapshot), StorageError> {
    // One snapshot for both statements.
    let snapshot = db.snapshot().await?;
    let values = [tenant.0.into(), currency.code().into(), from.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    let rows = LiveSalesRow::find_by_statement(statement)
        .all(&*snapshot)
        .await?;
    let statement = Statement::from_string(
        DbBackend::Postgres,
        "SELECT pg_current_snapshot()::text AS snapshot",
    );
    let seen = SnapshotRow::find_by_statement(statement)
        .one(&*snapshot)
        .await?;
    snapshot.commit().await?;
    let seen = seen
        .and_then(|row| Snapshot::parse(&row.snapshot))
        .ok_or_else(|| StorageError::Bug("a snapshot that cannot be read".to_owned()))?;
    Ok((rows, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_had_committed_when_it_was_taken() {
        let snapshot = Snapshot::parse("10:20:12,15").unwrap();
        for (id, seen) in [
            (9, true),
            (10, true),
            (12, false),
            (13, true),
            (15, false),
            (19, true),
            (20, false),
        ] {
            assert_eq!(snapshot.sees(id), seen, "{id}");
        }
        assert!(Snapshot::parse("10:10:").unwrap().sees(9));
    }
}
