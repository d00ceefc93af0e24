//! How many different users did anything, per bucket?

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::calendar::whole_days;
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

/// Where buckets begin, and where the last one ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span<'a> {
    /// On days of the tenant's time zone: there are rows of who was there on each.
    Days(Vec<NaiveDate>),
    /// At other instants.
    Instants(&'a [DateTime<Utc>]),
}

impl<'a> Span<'a> {
    /// As days of the tenant's zone, if they all are.
    #[must_use]
    pub fn of(bounds: &'a [DateTime<Utc>], tenant_zone: Tz) -> Self {
        whole_days(bounds, tenant_zone).map_or(Self::Instants(bounds), Self::Days)
    }
}

/// Counts users over the events between the first and the last bound: distinct counts do not add
/// up, so no rollup has them. A range scan of the key of `event`; ids that turned out to be of one
/// user are one by `user_alias`, which is small. Not `count(DISTINCT …)`, which sorts: a hash table of
/// the users takes less than half the time.
const INSTANTS: &str = "
    SELECT bucket, count(*) AS users
    FROM (SELECT DISTINCT width_bucket(timestamp, $2) AS bucket, coalesce(canonical_id, user_id)
          FROM event LEFT JOIN user_alias USING (tenant_id, user_id)
          WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4 AND (NOT bot OR $5)) AS seen
    GROUP BY bucket";

/// The same over the days on which users did something: a row for each user and day instead of one
/// for each event. A range scan of the key of `user_day`.
const DAYS: &str = "
    SELECT bucket, count(*) AS users
    FROM (SELECT DISTINCT width_bucket(day, $2) AS bucket, coalesce(canonical_id, user_id)
          FROM user_day LEFT JOIN user_alias USING (tenant_id, user_id)
          WHERE tenant_id = $1 AND day >= $3 AND day < $4 AND (activity & 127 <> 0 OR $5)) AS seen
    GROUP BY bucket";

/// The users between each two neighbouring bounds, bots if `bots` says so.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn visitors(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    span: &Span<'_>,
    bots: bool,
) -> Result<Vec<VisitorsRow>, StorageError> {
    let (sql, bounds, from, to) = match span {
        Span::Instants(bounds) => match bounds {
            [from, .., to] => (
                INSTANTS,
                bounds.to_vec().into(),
                (*from).into(),
                (*to).into(),
            ),
            _ => return Ok(Vec::new()),
        },
        Span::Days(days) => match days.as_slice() {
            [from, .., to] => (DAYS, days.clone().into(), (*from).into(), (*to).into()),
            _ => return Ok(Vec::new()),
        },
    };
    let values = [tenant.0.into(), bounds, from, to, bots.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(VisitorsRow::find_by_statement(statement).all(db).await?)
}
