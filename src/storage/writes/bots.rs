//! Whether a user agent is a bot, said by someone who knows better than the list: from then on, and
//! of what is stored.
//!
//! 1. [`say`] notes it. Every writer locks the head of the idempotency log before it commits, and
//!    finds there that something was said: so no event is committed after it that does not know.
//! 2. [`change`] changes what is stored, a day at a time: the events of the program, their lines,
//!    the rollups of the minutes they lie in and the days of their users, made anew from the facts.
//!    Each day is one transaction, under that lock: writers wait, but never long.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, Postgres, postgres::PgArguments, query::Query};

use super::intake::user_agent_id;
use super::{LATE_AFTER, Transaction};
use crate::domain::calendar::TimeRange;
use crate::domain::tenant::TenantId;
use crate::storage::{Db, StorageError};

/// How far a day may go on after the next one began: a clock that is put back over midnight.
const CLOCK_CHANGE: Duration = Duration::hours(3);

/// The longest span that a rollup has one row for.
const QUARTER: Duration = Duration::minutes(15);

/// Of one program of one tenant: what it is from now on.
#[derive(Clone, Copy, Debug)]
pub struct Saying<'a> {
    /// Whose users' program.
    pub tenant: TenantId,
    /// What it calls itself.
    pub user_agent: &'a str,
    /// Whether it is a bot.
    pub bot: bool,
}

/// Notes what was said, for all events that are stored from now on.
///
/// # Errors
/// When the database cannot be reached.
pub async fn say(db: &Db, saying: Saying<'_>, at: DateTime<Utc>) -> Result<(), StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::query(
        "INSERT INTO user_agent (tenant_id, user_agent_id, user_agent, bot, classified_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, user_agent_id) DO UPDATE
         SET bot = excluded.bot, classified_at = excluded.classified_at",
    )
    .bind(saying.tenant.0)
    .bind(user_agent_id(saying.user_agent))
    .bind(saying.user_agent)
    .bind(saying.bot)
    .bind(at)
    .execute(&mut *transaction)
    .await?;
    tell_writers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Locks out whoever would commit events; those who come after forget what they remember.
/// Returns the number of this change.
async fn tell_writers(transaction: &mut Transaction) -> Result<i64, StorageError> {
    let number = sqlx::query_scalar(
        "UPDATE idempotency_head SET classifications = classifications + 1, changes = changes + 1
         RETURNING changes",
    );
    Ok(number.fetch_one(&mut **transaction).await?)
}

/// The hours that changed events lie in, marked with the number of this change.
const HOURS: &str = "
    INSERT INTO changed_hour (tenant_id, hour, number)
    SELECT DISTINCT $1, floor(extract(epoch FROM timestamp) / 3600)::integer, $2
    FROM changed_event
    ON CONFLICT (tenant_id, hour) DO UPDATE SET number = excluded.number";

/// From when to when there are events of a tenant.
///
/// # Errors
/// When the database cannot be reached.
pub async fn stored_range(db: &Db, tenant: TenantId) -> Result<Option<TimeRange>, StorageError> {
    let (first, last): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        sqlx::query_as("SELECT min(minute), max(minute) FROM traffic_minute WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_one(db.writes())
            .await?;
    Ok(first.zip(last).map(|(first, last)| TimeRange {
        from: first,
        to: last + Duration::minutes(1),
    }))
}

/// The first event of the range that is at odds with what was said: walks the key of `event`.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn next(
    db: &Db,
    saying: Saying<'_>,
    range: TimeRange,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    let first = sqlx::query_scalar(
        "SELECT timestamp FROM event
         WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4
               AND user_agent_id = $2 AND bot <> $5
         ORDER BY timestamp
         LIMIT 1",
    )
    .bind(saying.tenant.0)
    .bind(user_agent_id(saying.user_agent))
    .bind(range.from)
    .bind(range.to)
    .bind(saying.bot)
    .fetch_optional(db.writes())
    .await?;
    Ok(first)
}

/// The events that are changed, for the statements after.
const EVENTS: &str = "
    WITH changed AS (
        UPDATE event SET bot = $5
        WHERE tenant_id = $1 AND timestamp >= $3 AND timestamp < $4
              AND user_agent_id = $2 AND bot <> $5
        RETURNING timestamp, event_id, user_id
    )
    INSERT INTO changed_event SELECT * FROM changed";

/// The lines of the changed events.
const LINES: [&str; 2] = [
    "UPDATE purchase AS line SET bot = $2 FROM changed_event AS its
     WHERE line.tenant_id = $1 AND line.timestamp = its.timestamp AND line.event_id = its.event_id
           AND line.timestamp >= $3 AND line.timestamp < $4",
    "UPDATE refund AS line SET bot = $2 FROM changed_event AS its
     WHERE line.tenant_id = $1 AND line.timestamp = its.timestamp AND line.event_id = its.event_id
           AND line.timestamp >= $3 AND line.timestamp < $4",
];

/// Both rollups of the minutes that changed events lie in: away with them, and made anew.
const ROLLUPS: [(&str, &str); 2] = [
    (
        "DELETE FROM traffic_minute
     WHERE tenant_id = $1 AND minute >= $2 AND minute < $3
           AND minute IN (SELECT date_trunc('minute', timestamp, 'UTC') FROM changed_event)",
        "INSERT INTO traffic_minute (tenant_id, minute, event_type, bot, events, pageviews,
                                 late_events, restated_at)
     SELECT tenant_id, date_trunc('minute', timestamp, 'UTC'), event_type, bot, count(*),
            count(page_url),
            count(*) FILTER (WHERE received_at - timestamp > make_interval(secs => $4)),
            max(received_at) FILTER (WHERE received_at - timestamp > make_interval(secs => $4))
     FROM event
     WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
           AND date_trunc('minute', timestamp, 'UTC')
               IN (SELECT date_trunc('minute', timestamp, 'UTC') FROM changed_event)
     GROUP BY 1, 2, 3, 4",
    ),
    (
        "DELETE FROM sales_minute
     WHERE tenant_id = $1 AND minute >= $2 AND minute < $3
           AND minute IN (SELECT date_trunc('minute', timestamp, 'UTC') FROM changed_event)",
        "WITH fact AS (
         SELECT timestamp, event_id, currency, region, channel, category, product_id, bot,
                event_id AS order_event, quantity AS units, amount AS revenue, 0::bigint AS refunds
         FROM purchase
         WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
         UNION ALL
         SELECT timestamp, event_id, currency, region, channel, category, product_id, bot,
                NULL, 0, 0, amount
         FROM refund
         WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
     ), line AS (
         SELECT date_trunc('minute', timestamp, 'UTC') AS minute, fact.*,
                received_at - timestamp > make_interval(secs => $4) AS late
         FROM fact
         JOIN (SELECT timestamp, event_id, received_at FROM event
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3) AS its
              USING (timestamp, event_id)
         WHERE date_trunc('minute', timestamp, 'UTC')
               IN (SELECT date_trunc('minute', timestamp, 'UTC') FROM changed_event)
     )
     INSERT INTO sales_minute (tenant_id, grain, minute, currency, region, channel, category,
                               product_id, bot, orders, units, revenue, refunds,
                               late_orders, late_units, late_revenue, late_refunds)
     SELECT $1, grain, minute, currency, coalesce(region, ''), coalesce(channel, ''),
            CASE WHEN grain > 0 THEN category ELSE '' END,
            CASE WHEN grain > 1 THEN product_id ELSE '' END, bot,
            count(DISTINCT order_event), sum(units), sum(revenue), sum(refunds),
            count(DISTINCT order_event) FILTER (WHERE late),
            coalesce(sum(units) FILTER (WHERE late), 0),
            coalesce(sum(revenue) FILTER (WHERE late), 0),
            coalesce(sum(refunds) FILTER (WHERE late), 0)
     FROM line, generate_series(0, 2) AS grain
     GROUP BY 2, 3, 4, 5, 6, 7, 8, 9",
    ),
];

/// The quarters of an hour that changed events lie in, from their minutes.
const QUARTERS: [(&str, &str); 2] = [
    (
        "DELETE FROM traffic_quarter
     WHERE tenant_id = $1 AND quarter >= $2 AND quarter < $3
           AND quarter IN (SELECT date_bin('15 minutes', timestamp, '2000-01-01 00:00:00Z')
                           FROM changed_event)",
        "INSERT INTO traffic_quarter
     SELECT tenant_id, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), event_type, bot,
            sum(events), sum(pageviews)
     FROM traffic_minute
     WHERE tenant_id = $1 AND minute >= $2 AND minute < $3
           AND date_bin('15 minutes', minute, '2000-01-01 00:00:00Z')
               IN (SELECT date_bin('15 minutes', timestamp, '2000-01-01 00:00:00Z')
                   FROM changed_event)
     GROUP BY 1, 2, 3, 4",
    ),
    (
        "DELETE FROM sales_quarter
     WHERE tenant_id = $1 AND quarter >= $2 AND quarter < $3
           AND quarter IN (SELECT date_bin('15 minutes', timestamp, '2000-01-01 00:00:00Z')
                           FROM changed_event)",
        "INSERT INTO sales_quarter
     SELECT tenant_id, grain, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), currency,
            region, channel, category, product_id, bot,
            sum(orders), sum(units), sum(revenue), sum(refunds)
     FROM sales_minute
     WHERE tenant_id = $1 AND minute >= $2 AND minute < $3
           AND date_bin('15 minutes', minute, '2000-01-01 00:00:00Z')
               IN (SELECT date_bin('15 minutes', timestamp, '2000-01-01 00:00:00Z')
                   FROM changed_event)
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ),
];

/// The days of the users of changed events, each from all that the user did on it.
const USER_DAYS: &str = "
    WITH touched AS (
        SELECT DISTINCT (timestamp AT TIME ZONE $4)::date AS day, user_id FROM changed_event
    ), did AS (
        SELECT day, user_id,
               bit_or(CASE WHEN bot THEN 128
                           ELSE 1 + (page_url IS NOT NULL)::integer * 2
                                  + (event_type = 'purchase')::integer * 4 END)::smallint
                   AS activity
        FROM event
        JOIN touched USING (user_id)
        WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3
              AND (timestamp AT TIME ZONE $4)::date = day
        GROUP BY 1, 2
    )
    UPDATE user_day SET activity = did.activity FROM did
    WHERE tenant_id = $1 AND user_day.day = did.day AND user_day.user_id = did.user_id";

/// Changes the stored events of a part of a day of this time zone, and all that follows from them;
/// says how many events that were.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn change(
    db: &Db,
    saying: Saying<'_>,
    zone: Tz,
    day: TimeRange,
    part: TimeRange,
) -> Result<u64, StorageError> {
    let tenant = saying.tenant.0;
    let mut transaction = db.writes().begin().await?;
    // Writers lock rows of `user_day` before the log, so this does, too: who has changed one has
    // committed when this goes on.
    sqlx::query("LOCK TABLE user_day IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let change = tell_writers(&mut transaction).await?;
    sqlx::query(
        "CREATE TEMPORARY TABLE changed_event (timestamp timestamptz, event_id uuid, user_id uuid)
         ON COMMIT DROP",
    )
    .execute(&mut *transaction)
    .await?;
    let changed = run(EVENTS)
        .bind(tenant)
        .bind(user_agent_id(saying.user_agent))
        .bind(part.from)
        .bind(part.to)
        .bind(saying.bot)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    run(HOURS)
        .bind(tenant)
        .bind(change)
        .execute(&mut *transaction)
        .await?;
    for statement in LINES {
        run(statement)
            .bind(tenant)
            .bind(saying.bot)
            .bind(part.from)
            .bind(part.to)
            .execute(&mut *transaction)
            .await?;
    }
    for (away, anew) in ROLLUPS {
        let away = run(away).bind(tenant).bind(part.from).bind(part.to);
        away.execute(&mut *transaction).await?;
        let anew = run(anew).bind(tenant).bind(part.from).bind(part.to);
        let anew = anew.bind(LATE_AFTER.as_seconds_f64());
        anew.execute(&mut *transaction).await?;
    }
    // A part may begin and end within a quarter.
    let (from, to) = (part.from - QUARTER, part.to + QUARTER);
    for statement in QUARTERS.into_iter().flat_map(|(away, anew)| [away, anew]) {
        let statement = run(statement).bind(tenant).bind(from).bind(to);
        statement.execute(&mut *transaction).await?;
    }
    run(USER_DAYS)
        .bind(tenant)
        .bind(day.from - CLOCK_CHANGE)
        .bind(day.to + CLOCK_CHANGE)
        .bind(zone.name())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(changed)
}

/// A statement on the temporary table, which the next transaction has another one of.
fn run(statement: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(statement).persistent(false)
}
