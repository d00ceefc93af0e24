//! The sums of minutes and quarters of an hour: what the facts say, where a rollup says something
//! else, and the statement that mends it.
//!
//! In every statement `$1` is the tenant, `$4` the minutes it is about, which lie from `$2` to
//! before `$3`, `$5` after how many seconds an event is late, and `$6` and `$7` bound the quarters
//! of these minutes.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, PgConnection};

use super::super::quarters::floor_quarter;
use crate::domain::calendar::TimeRange;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::writes::LATE_AFTER;

/// A rollup.
struct Rollup {
    table: &'static str,
    /// The columns of its key.
    keys: &'static [&'static str],
    /// All others.
    sums: &'static [&'static str],
    /// Which of its rows are of these minutes.
    scope: &'static str,
    /// Those rows as they should be: keys, then sums.
    rows: &'static str,
}

/// Those of minutes, then those of quarters, which are made from them.
const ROLLUPS: [Rollup; 4] = [TRAFFIC_MINUTE, SALES_MINUTE, TRAFFIC_QUARTER, SALES_QUARTER];

const TRAFFIC_MINUTE: Rollup = Rollup {
    table: "traffic_minute",
    keys: &["tenant_id", "minute", "event_type", "bot"],
    sums: &["events", "pageviews", "late_events", "restated_at"],
    scope: "tenant_id = $1 AND minute >= $2 AND minute < $3
            AND date_trunc('minute', minute, 'UTC') IN (SELECT unnest($4::timestamptz[]))",
    rows: "
        SELECT tenant_id, date_trunc('minute', timestamp, 'UTC'), event_type, bot, count(*),
               count(page_url),
               count(*) FILTER (WHERE received_at - timestamp > make_interval(secs => $5)),
               max(received_at) FILTER (WHERE received_at - timestamp > make_interval(secs => $5))
        FROM event
        WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
              AND date_trunc('minute', timestamp, 'UTC') IN (SELECT unnest($4::timestamptz[]))
        GROUP BY 1, 2, 3, 4",
};

const SALES_MINUTE: Rollup = Rollup {
    table: "sales_minute",
    keys: &[
        "tenant_id",
        "grain",
        "minute",
        "currency",
        "region",
        "channel",
        "category",
        "product_id",
        "bot",
    ],
    sums: &[
        "orders",
        "units",
        "revenue",
        "refunds",
        "late_orders",
        "late_units",
        "late_revenue",
        "late_refunds",
    ],
    scope: TRAFFIC_MINUTE.scope,
    rows: "
        WITH fact AS (
            SELECT timestamp, event_id, currency, region, channel, category, product_id, bot,
                   event_id AS order_event, quantity AS units, amount AS revenue,
                   0::bigint AS refunds
            FROM purchase
            WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
            UNION ALL
            SELECT timestamp, event_id, currency, region, channel, category, product_id, bot,
                   NULL, 0, 0, amount
            FROM refund
            WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
        ), line AS (
            SELECT date_trunc('minute', timestamp, 'UTC') AS minute, fact.*,
                   received_at - timestamp > make_interval(secs => $5) AS late
            FROM fact
            JOIN (SELECT timestamp, event_id, received_at FROM event
                  WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3) AS its
                 USING (timestamp, event_id)
            WHERE date_trunc('minute', timestamp, 'UTC') IN (SELECT unnest($4::timestamptz[]))
        )
        SELECT $1::integer, grain, minute, currency, coalesce(region, ''), coalesce(channel, ''),
               CASE WHEN grain > 0 THEN category ELSE '' END,
               CASE WHEN grain > 1 THEN product_id ELSE '' END, bot,
               count(DISTINCT order_event), sum(units), sum(revenue), sum(refunds),
               count(DISTINCT order_event) FILTER (WHERE late),
               coalesce(sum(units) FILTER (WHERE late), 0),
               coalesce(sum(revenue) FILTER (WHERE late), 0),
               coalesce(sum(refunds) FILTER (WHERE late), 0)
        FROM line, generate_series(0, 2) AS grain
        GROUP BY 2, 3, 4, 5, 6, 7, 8, 9",
};

const TRAFFIC_QUARTER: Rollup = Rollup {
    table: "traffic_quarter",
    keys: &["tenant_id", "quarter", "event_type", "bot"],
    sums: &["events", "pageviews"],
    scope: "tenant_id = $1 AND quarter >= $6 AND quarter < $7
            AND date_bin('15 minutes', quarter, '2000-01-01 00:00:00Z')
                IN (SELECT date_bin('15 minutes', unnest($4::timestamptz[]), '2000-01-01 00:00:00Z'))",
    rows: "
        SELECT tenant_id, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), event_type, bot,
               sum(events), sum(pageviews)
        FROM traffic_minute
        WHERE tenant_id = $1 AND minute >= $6 AND minute < $7
              AND date_bin('15 minutes', minute, '2000-01-01 00:00:00Z')
                  IN (SELECT date_bin('15 minutes', unnest($4::timestamptz[]), '2000-01-01 00:00:00Z'))
        GROUP BY 1, 2, 3, 4",
};

const SALES_QUARTER: Rollup = Rollup {
    table: "sales_quarter",
    keys: &[
        "tenant_id",
        "grain",
        "quarter",
        "currency",
        "region",
        "channel",
        "category",
        "product_id",
        "bot",
    ],
    sums: &["orders", "units", "revenue", "refunds"],
    scope: TRAFFIC_QUARTER.scope,
    rows: "
        SELECT tenant_id, grain, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), currency,
               region, channel, category, product_id, bot,
               sum(orders), sum(units), sum(revenue), sum(refunds)
        FROM sales_minute
        WHERE tenant_id = $1 AND minute >= $6 AND minute < $7
              AND date_bin('15 minutes', minute, '2000-01-01 00:00:00Z')
                  IN (SELECT date_bin('15 minutes', unnest($4::timestamptz[]), '2000-01-01 00:00:00Z'))
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9",
};

impl Rollup {
    fn columns(&self) -> String {
        [self.keys, self.sums].concat().join(", ")
    }

    /// Whether a row is missing, too many or wrong: 1 or 0.
    fn difference(&self) -> String {
        let (table, scope, rows, columns) = (self.table, self.scope, self.rows, self.columns());
        format!(
            "WITH expected ({columns}) AS MATERIALIZED ({rows}),
                  known AS MATERIALIZED (SELECT {columns} FROM {table} WHERE {scope})
             SELECT (EXISTS (TABLE expected EXCEPT TABLE known)
                     OR EXISTS (TABLE known EXCEPT TABLE expected))::integer::bigint"
        )
    }

    /// Takes away what should not be there, and puts what is missing or wrong; how many rows that
    /// was. What is right is not written.
    fn mending(&self) -> String {
        let (table, scope, rows, columns) = (self.table, self.scope, self.rows, self.columns());
        let each = |names: &[&str], form: &dyn Fn(&str) -> String, between: &str| {
            let all: Vec<String> = names.iter().map(|name| form(name)).collect();
            all.join(between)
        };
        let keys = self.keys.join(", ");
        let same_key = each(
            self.keys,
            &|key| format!("expected.{key} = known.{key}"),
            " AND ",
        );
        let put = each(self.sums, &|sum| format!("{sum} = excluded.{sum}"), ", ");
        let old = each(self.sums, &|sum| format!("known.{sum}"), ", ");
        let new = each(self.sums, &|sum| format!("excluded.{sum}"), ", ");
        format!(
            "WITH expected ({columns}) AS MATERIALIZED ({rows}),
             away AS (
                 DELETE FROM {table} AS known
                 WHERE {scope} AND NOT EXISTS (SELECT FROM expected WHERE {same_key})
                 RETURNING 1
             ), put AS (
                 INSERT INTO {table} AS known ({columns})
                 SELECT {columns} FROM expected
                 ON CONFLICT ({keys}) DO UPDATE SET {put}
                 WHERE ({old}) IS DISTINCT FROM ({new})
                 RETURNING 1
             )
             SELECT (SELECT count(*) FROM away) + (SELECT count(*) FROM put)"
        )
    }
}

/// Whether any rollup is wrong of these minutes, which lie in `part`.
pub(super) async fn are_wrong(
    connection: &mut PgConnection,
    tenant: TenantId,
    part: TimeRange,
    minutes: &[DateTime<Utc>],
) -> Result<bool, StorageError> {
    for rollup in &ROLLUPS {
        let sql = rollup.difference();
        if number(connection, sql, tenant, part, minutes).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes all rollups anew of these minutes, which lie in `part`, and of their quarters; says how
/// many rows it changed. Nobody may add to them meanwhile: writers must be locked out.
pub(in crate::storage::writes) async fn make_anew(
    connection: &mut PgConnection,
    tenant: TenantId,
    part: TimeRange,
    minutes: &[DateTime<Utc>],
) -> Result<u64, StorageError> {
    let mut changed = 0;
    // A plan may be made while there is little, and writers wait for it: none that compares each
    // row with each.
    sqlx::query("SET LOCAL enable_nestloop = off")
        .execute(&mut *connection)
        .await?;
    for rollup in &ROLLUPS {
        let rows = number(connection, rollup.mending(), tenant, part, minutes).await?;
        changed += rows.unsigned_abs();
    }
    sqlx::query("SET LOCAL enable_nestloop = on")
        .execute(&mut *connection)
        .await?;
    Ok(changed)
}

async fn number(
    connection: &mut PgConnection,
    sql: String,
    tenant: TenantId,
    part: TimeRange,
    minutes: &[DateTime<Utc>],
) -> Result<i64, StorageError> {
    let number = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(part.from)
        .bind(part.to)
        .bind(minutes)
        .bind(LATE_AFTER.as_seconds_f64())
        .bind(floor_quarter(part.from))
        .bind(floor_quarter(part.to + TimeDelta::minutes(14)));
    Ok(number.fetch_one(connection).await?)
}
