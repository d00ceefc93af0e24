//! Who was there on which day: what the facts say, where `user_day` says something else, and the
//! statements that mend it.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::domain::calendar::{TimeRange, instant};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::writes::Transaction;
use crate::storage::writes::summaries::Owner;

/// How far a day may go on after the next one began: a clock that is put back over midnight.
const CLOCK_CHANGE: TimeDelta = TimeDelta::hours(3);

/// Where [`make_anew`] finds which days of which users it is to make anew.
pub(in crate::storage::writes) const CREATE_TOUCHED: &str = "
    CREATE TEMPORARY TABLE touched_day (day date, user_id uuid, PRIMARY KEY (day, user_id))
    ON COMMIT DROP";

/// What a user did on a day: see the table.
const ACTIVITY: &str = "
    bit_or(CASE WHEN bot THEN 128
                ELSE 1 + (page_url IS NOT NULL)::integer * 2
                       + (event_type = 'purchase')::integer * 4 END)::smallint AS activity";

/// The days that a range may touch: the others' partitions are left out.
const BOUNDS: &str = "
    known.day >= ($2::timestamptz AT TIME ZONE $4)::date
    AND known.day <= ($3::timestamptz AT TIME ZONE $4)::date";

/// Makes a row for each touched day that has none, and locks all of them, as a writer does: after
/// it nobody is under way who added to them.
const LOCKED: &str = "
    INSERT INTO user_day AS known (tenant_id, day, user_id, activity)
    SELECT $1, day, user_id, 0 FROM touched_day ORDER BY day, user_id
    ON CONFLICT (tenant_id, day, user_id) DO UPDATE SET activity = known.activity WHERE false";

/// From when to when a day of a zone is.
pub(super) fn range_of(day: NaiveDate, zone: Tz) -> TimeRange {
    let begin = |day: NaiveDate| instant(day.and_time(NaiveTime::MIN), zone);
    TimeRange {
        from: begin(day),
        to: begin(day + Days::new(1)),
    }
}

/// The first users, by id, of whom something else is known of a day than what their events say:
/// reads the day's events once.
pub(super) async fn wrong(
    connection: &mut PgConnection,
    owner: Owner,
    day: NaiveDate,
    limit: i64,
) -> Result<Vec<Uuid>, StorageError> {
    let range = range_of(day, owner.zone);
    let sql = format!(
        "WITH did AS (
             SELECT user_id, {ACTIVITY}
             FROM event
             WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
                   AND (timestamp AT TIME ZONE $4)::date = $5
             GROUP BY user_id
         ), known AS (
             SELECT user_id, activity FROM user_day WHERE tenant_id = $1 AND day = $5
         )
         SELECT user_id FROM did FULL JOIN known USING (user_id)
         WHERE did.activity IS DISTINCT FROM known.activity
         ORDER BY user_id
         LIMIT $6"
    );
    let users = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(owner.tenant.0)
        .bind(range.from - CLOCK_CHANGE)
        .bind(range.to + CLOCK_CHANGE)
        .bind(owner.zone.name())
        .bind(day)
        .bind(limit);
    Ok(users.fetch_all(connection).await?)
}

/// Makes a day of these users anew; says how many of them it changed.
pub(super) async fn mend(
    transaction: &mut Transaction,
    owner: Owner,
    day: NaiveDate,
    users: &[Uuid],
) -> Result<u64, StorageError> {
    sqlx::query(CREATE_TOUCHED)
        .execute(&mut **transaction)
        .await?;
    sqlx::query("INSERT INTO touched_day SELECT $1, unnest($2::uuid[])")
        .persistent(false)
        .bind(day)
        .bind(users)
        .execute(&mut **transaction)
        .await?;
    let range = range_of(day, owner.zone);
    make_anew(transaction, owner.tenant, owner.zone, range).await
}

/// Makes the days of users in `touched_day` anew, which lie in this range, from all that they did
/// on them; says how many rows it changed.
pub(in crate::storage::writes) async fn make_anew(
    transaction: &mut Transaction,
    tenant: TenantId,
    zone: Tz,
    range: TimeRange,
) -> Result<u64, StorageError> {
    // The temporary table is another one in the next transaction.
    sqlx::query(LOCKED)
        .persistent(false)
        .bind(tenant.0)
        .execute(&mut **transaction)
        .await?;
    let sql = format!(
        "WITH did AS MATERIALIZED (
             SELECT touched.day, user_id, {ACTIVITY}
             FROM event JOIN touched_day AS touched USING (user_id)
             WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
                   AND (timestamp AT TIME ZONE $4)::date = touched.day
             GROUP BY touched.day, user_id
         ), anew AS (
             UPDATE user_day AS known SET activity = did.activity FROM did
             WHERE known.tenant_id = $1 AND known.day = did.day AND known.user_id = did.user_id
                   AND {BOUNDS} AND known.activity <> did.activity
             RETURNING 1
         ), away AS (
             DELETE FROM user_day AS known USING touched_day AS touched
             WHERE known.tenant_id = $1 AND known.day = touched.day
                   AND known.user_id = touched.user_id AND {BOUNDS}
                   AND NOT EXISTS (SELECT FROM did
                                   WHERE did.day = touched.day AND did.user_id = touched.user_id)
             RETURNING known.activity
         )
         SELECT (SELECT count(*) FROM anew) + (SELECT count(*) FROM away WHERE activity <> 0)"
    );
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .bind(tenant.0)
        .bind(range.from - CLOCK_CHANGE)
        .bind(range.to + CLOCK_CHANGE)
        .bind(zone.name())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(rows.unsigned_abs())
}
