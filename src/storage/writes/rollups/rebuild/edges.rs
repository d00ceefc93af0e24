//! Where there is anything: the days on which facts or rollups lie, so that years without any cost
//! nothing.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, AssertSqlSafe};

use super::days::range_of;
use crate::domain::calendar::Hour;
use crate::storage::writes::summaries::Owner;
use crate::storage::{Db, StorageError};

/// The hours by UTC that a day of a zone lies in, at least in part.
#[must_use]
pub fn hours_of(day: NaiveDate, zone: Tz) -> Vec<Hour> {
    let range = range_of(day, zone);
    let last = Hour::of(range.to - TimeDelta::microseconds(1));
    (Hour::of(range.from).0..=last.0).map(Hour).collect()
}

/// The first day from `from`, before `to`, on which there are facts or rows of rollups.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn first_day(
    db: &Db,
    owner: Owner,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Option<NaiveDate>, StorageError> {
    let sql = edge("least", "min", "ASC");
    let (moment, day) = find(db, owner, from, to, sql).await?;
    Ok(moment.into_iter().chain(day).min())
}

/// The last one.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn last_day(
    db: &Db,
    owner: Owner,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Option<NaiveDate>, StorageError> {
    let sql = edge("greatest", "max", "DESC");
    let (moment, day) = find(db, owner, from, to, sql).await?;
    Ok(moment.into_iter().chain(day).max())
}

/// The day of the first or last moment, and that of the days of users: a look into each key.
async fn find(
    db: &Db,
    owner: Owner,
    from: NaiveDate,
    to: NaiveDate,
    sql: String,
) -> Result<(Option<NaiveDate>, Option<NaiveDate>), StorageError> {
    if from >= to {
        return Ok((None, None));
    }
    // Whole hours: a zone may begin its days within one.
    let begin = Hour::of(range_of(from, owner.zone).from).begin();
    let end = Hour::of(range_of(to, owner.zone).from - TimeDelta::microseconds(1)).begin();
    let row: (Option<DateTime<Utc>>, Option<NaiveDate>) = sqlx::query_as(AssertSqlSafe(sql))
        .bind(owner.tenant.0)
        .bind(begin)
        .bind(end + TimeDelta::hours(1))
        .bind(from)
        .bind(to)
        .fetch_one(db.writes())
        .await?;
    let last = to - Days::new(1);
    let day_of = |at: DateTime<Utc>| {
        let day = at.with_timezone(&owner.zone).date_naive();
        day.clamp(from, last)
    };
    Ok((row.0.map(day_of), row.1))
}

/// Grains lead the keys of sales, before time.
fn edge(pick: &str, of: &str, order: &str) -> String {
    let sales = |table: &str, time: &str| {
        format!(
            "(SELECT {of}(edge.{time})
              FROM generate_series(0, 2) AS one (grain),
                   LATERAL (SELECT {time} FROM {table} AS its
                            WHERE tenant_id = $1 AND its.grain = one.grain::smallint
                                  AND {time} >= $2 AND {time} < $3
                            ORDER BY {time} {order} LIMIT 1) AS edge)"
        )
    };
    let other = |table: &str, time: &str| {
        format!(
            "(SELECT {of}({time}) FROM {table}
              WHERE tenant_id = $1 AND {time} >= $2 AND {time} < $3)"
        )
    };
    let moments = [
        other("event", "timestamp"),
        other("traffic_minute", "minute"),
        other("traffic_quarter", "quarter"),
        sales("sales_minute", "minute"),
        sales("sales_quarter", "quarter"),
    ];
    format!(
        "SELECT {pick}({}),
                (SELECT {of}(day) FROM user_day WHERE tenant_id = $1 AND day >= $4 AND day < $5)",
        moments.join(", ")
    )
}
