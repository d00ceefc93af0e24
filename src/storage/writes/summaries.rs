//! Sums up what is over: an hour from its facts, a day from its hours, a month from its days. The
//! sessions of a day are told by the visits of its hours ([`sessions`]).
//!
//! Each is one transaction on one snapshot, and says which change was the last in it. A transaction
//! that changes an hour later marks it with a higher number, and what was summed up before does not
//! count any more; so nothing here holds up a writer, and nobody has to tell it of anything.
//!
//! One process works at a time ([`Turn`]): it alone gives users their numbers.

mod facts;
mod sessions;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, PgConnection};

use super::Transaction;
use crate::domain::calendar::{Hour, TimeRange, whole_days};
use crate::domain::event::{PURCHASE, REFUND};
use crate::domain::measure::Subject;
use crate::domain::summary::{self, Cells, Part, Span, visits};
use crate::domain::tenant::TenantId;
use crate::storage::queries::summaries::VALID;
use crate::storage::{Db, StorageError};

/// Whose turn it is: no two processes sum up at once. It ends when this is dropped.
#[derive(Debug)]
pub struct Turn(PgConnection);

impl Turn {
    /// Takes it, unless another process has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn take(db: &Db) -> Result<Option<Self>, StorageError> {
        let mut connection = db.writes().connect_options().connect().await?;
        let taken: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('tidewater summaries'))")
                .fetch_one(&mut connection)
                .await?;
        Ok(taken.then_some(Self(connection)))
    }

    /// Makes sure that the session lives that holds it.
    ///
    /// # Errors
    /// When it does not: another process may have its turn by now.
    pub async fn check(&mut self) -> Result<(), StorageError> {
        sqlx::query("SELECT").execute(&mut self.0).await?;
        Ok(())
    }
}

/// A tenant and its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose facts.
    pub tenant: TenantId,
    /// Whose hours, days and months.
    pub zone: Tz,
}

/// Every tenant; one whose zone is none is left out.
///
/// # Errors
/// When the database cannot be reached.
pub async fn owners(db: &Db) -> Result<Vec<Owner>, StorageError> {
    let rows: Vec<(i32, String)> = sqlx::query_as("SELECT tenant_id, timezone FROM tenant")
        .fetch_all(db.writes())
        .await?;
    let owner = |(tenant, zone): (i32, String)| {
        Some(Owner {
            tenant: TenantId(tenant),
            zone: zone.parse().ok()?,
        })
    };
    Ok(rows.into_iter().filter_map(owner).collect())
}

/// The hours of a tenant that changed after `change`, and the last change there was.
///
/// # Errors
/// When the database cannot be reached.
pub async fn changed(
    db: &Db,
    tenant: TenantId,
    change: i64,
) -> Result<(Vec<Hour>, i64), StorageError> {
    let mut transaction = begin(db).await?;
    let last = last_change(&mut transaction).await?;
    let hours: Vec<i32> = sqlx::query_scalar(
        "SELECT hour FROM changed_hour
         WHERE tenant_id = $1 AND number > $2 AND hour <> $3 ORDER BY hour",
    )
    .bind(tenant.0)
    .bind(change)
    .bind(Hour::WHO.0)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok((hours.into_iter().map(Hour).collect(), last))
}

/// What is summed up in a range, and still true: from when to when.
///
/// # Errors
/// When the database cannot be reached.
pub async fn valid(
    db: &Db,
    tenant: TenantId,
    span: Span,
    range: TimeRange,
) -> Result<Vec<TimeRange>, StorageError> {
    let mut connection = db.writes().acquire().await?;
    valid_in(&mut connection, tenant, span, range).await
}

async fn valid_in(
    connection: &mut PgConnection,
    tenant: TenantId,
    span: Span,
    range: TimeRange,
) -> Result<Vec<TimeRange>, StorageError> {
    let sql = format!("SELECT start, finish FROM ({VALID}) AS valid");
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind([range.from].as_slice())
        .bind([range.to].as_slice())
        .bind([span as i16].as_slice())
        .fetch_all(connection)
        .await?;
    let range = |(from, to)| TimeRange { from, to };
    Ok(rows.into_iter().map(range).collect())
}

/// A transaction on one snapshot, with time for a large hour.
async fn begin(db: &Db) -> Result<Transaction, StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::raw_sql(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
         SET LOCAL statement_timeout = '10min';
         SET LOCAL enable_seqscan = on;
         SELECT pg_advisory_xact_lock_shared(hashtext('tidewater summing'))",
    )
    .execute(&mut *transaction)
    .await?;
    Ok(transaction)
}

async fn last_change(connection: &mut PgConnection) -> Result<i64, StorageError> {
    let change = sqlx::query_scalar("SELECT changes FROM idempotency_head");
    Ok(change.fetch_one(connection).await?)
}

/// Deletes what is summed up of a tenant and no longer true. Whoever sums up from an older moment
/// has committed before, so that none of it comes back; it is summed up again by the job.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub(super) async fn forget_outdated(db: &Db, tenant: TenantId) -> Result<u64, StorageError> {
    let mut transaction = db.writes().begin().await?;
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = '15min';
         SET LOCAL lock_timeout = '12min';
         SELECT pg_advisory_xact_lock(hashtext('tidewater summing'))",
    )
    .execute(&mut *transaction)
    .await?;
    let gone = sqlx::query(
        "WITH outdated AS (
             DELETE FROM summarised AS known
             WHERE tenant_id = $1
                   AND EXISTS (
                       SELECT FROM changed_hour AS its
                       WHERE its.tenant_id = $1
                             AND its.hour >= floor(extract(epoch FROM known.start) / 3600)::integer
                             AND its.hour < ceil(extract(epoch FROM known.finish) / 3600)::integer
                             AND its.number > known.change)
             RETURNING span, start
         )
         DELETE FROM summary USING outdated
         WHERE summary.tenant_id = $1 AND summary.span = outdated.span
               AND summary.start = outdated.start",
    )
    .bind(tenant.0)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(gone.rows_affected())
}

/// Sums up an hour from its facts.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn sum_hour(db: &Db, owner: Owner, hour: TimeRange) -> Result<(), StorageError> {
    let mut transaction = begin(db).await?;
    let change = last_change(&mut transaction).await?;
    facts::number_users(&mut transaction, owner.tenant, hour).await?;
    let parts = facts::sum(&mut transaction, owner.tenant, hour).await?;
    let visits = facts::visits(&mut transaction, owner.tenant, hour).await?;
    let mut written: Vec<Written> = parts
        .iter()
        .map(|(part, cells)| (part.code, cells.write()))
        .collect();
    written.push((visits::CODE, visits.write(hour.from)));
    store(
        &mut transaction,
        owner.tenant,
        Span::Hour,
        hour,
        change,
        written,
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Sums up a day or a month from the shorter spans `of`, if all of them that have facts are summed
/// up and still true; says whether they were.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn sum_longer(
    db: &Db,
    owner: Owner,
    span: Span,
    range: TimeRange,
    of: &[TimeRange],
) -> Result<bool, StorageError> {
    let shorter = match span {
        Span::Month => Span::Day,
        Span::Hour | Span::Day => Span::Hour,
    };
    let tenant = owner.tenant;
    let mut transaction = begin(db).await?;
    let change = last_change(&mut transaction).await?;
    let known = valid_in(&mut transaction, tenant, shorter, range).await?;
    let missing = |one: &&TimeRange| !known.contains(one);
    for one in of.iter().filter(missing) {
        if has_facts(&mut transaction, tenant, *one).await? {
            return Ok(false);
        }
    }
    let starts: Vec<DateTime<Utc>> = of
        .iter()
        .filter(|one| known.contains(one))
        .map(|one| one.from)
        .collect();
    let mut written = Vec::new();
    for part in Part::all().filter(|part| part.subject != Subject::Sessions) {
        let cells = merged(&mut transaction, tenant, shorter, part, &starts).await?;
        written.push((part.code, cells.write()));
    }
    // A session belongs to its day: months have none, for whom it would take but one id that turned
    // out to be somebody else's.
    if span == Span::Day && whole_days(&[range.from, range.to], owner.zone).is_some() {
        written.extend(sessions::sum(&mut transaction, tenant, of).await?);
    }
    store(&mut transaction, tenant, span, range, change, written).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn has_facts(
    connection: &mut PgConnection,
    tenant: TenantId,
    range: TimeRange,
) -> Result<bool, StorageError> {
    // An hour that overlaps the range may have its facts before or after it: looks at the facts.
    let exists = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM event WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3)",
    );
    let exists = exists.bind(tenant.0).bind(range.from).bind(range.to);
    Ok(exists.fetch_one(connection).await?)
}

async fn merged(
    connection: &mut PgConnection,
    tenant: TenantId,
    span: Span,
    part: Part,
    starts: &[DateTime<Utc>],
) -> Result<Cells, StorageError> {
    let written: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT cells FROM summary
         WHERE tenant_id = $1 AND span = $2 AND part = $3 AND start = ANY($4)",
    )
    .bind(tenant.0)
    .bind(span as i16)
    .bind(part.code)
    .bind(starts)
    .fetch_all(connection)
    .await?;
    let mut cells = Cells::default();
    for bytes in written {
        cells.add(&bytes)?;
    }
    Ok(cells)
}

/// A part by its number, as bytes.
type Written = (i16, Vec<u8>);

/// Puts a summary in the place of the one before. A part that is empty is not kept.
async fn store(
    transaction: &mut Transaction,
    tenant: TenantId,
    span: Span,
    range: TimeRange,
    change: i64,
    parts: Vec<Written>,
) -> Result<(), StorageError> {
    let (kept, empty): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|(_, cells)| !cells.is_empty());
    let empty: Vec<i16> = empty.into_iter().map(|(code, _)| code).collect();
    sqlx::query(
        "DELETE FROM summary
         WHERE tenant_id = $1 AND span = $2 AND start = $3 AND part = ANY($4)",
    )
    .bind(tenant.0)
    .bind(span as i16)
    .bind(range.from)
    .bind(empty)
    .execute(&mut **transaction)
    .await?;
    let (codes, cells): (Vec<i16>, Vec<Vec<u8>>) = kept.into_iter().unzip();
    sqlx::query(
        "INSERT INTO summary (tenant_id, span, start, part, cells)
         SELECT $1, $2, $3, * FROM unnest($4::smallint[], $5::bytea[])
         ON CONFLICT (tenant_id, span, part, start) DO UPDATE SET cells = excluded.cells",
    )
    .bind(tenant.0)
    .bind(span as i16)
    .bind(range.from)
    .bind(codes)
    .bind(cells)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO summarised (tenant_id, span, start, finish, change,
                                 late_events, late_orders, bot_events, bot_orders)
         SELECT $1, $2, $3, $4, $5,
                coalesce(sum(late_events) FILTER (WHERE NOT bot), 0),
                coalesce(sum(late_events) FILTER (WHERE NOT bot AND of_order), 0),
                coalesce(sum(events) FILTER (WHERE bot), 0),
                coalesce(sum(events) FILTER (WHERE bot AND of_order), 0)
         FROM (SELECT *, event_type = ANY($6) AS of_order FROM traffic_minute
               WHERE tenant_id = $1 AND minute >= $3 AND minute < $4) AS its
         ON CONFLICT (tenant_id, span, start) DO UPDATE
         SET finish = excluded.finish, change = excluded.change,
             late_events = excluded.late_events, late_orders = excluded.late_orders,
             bot_events = excluded.bot_events, bot_orders = excluded.bot_orders",
    )
    .bind(tenant.0)
    .bind(span as i16)
    .bind(range.from)
    .bind(range.to)
    .bind(change)
    .bind([PURCHASE, REFUND].as_slice())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// From when to when, the last change, and its users.
type DayRow = (DateTime<Utc>, DateTime<Utc>, i64, Vec<u8>);

/// The days of a range on which, after they were summed up, someone did something who turned out to
/// be somebody else: their sessions are in doubt.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn in_doubt(
    db: &Db,
    tenant: TenantId,
    range: TimeRange,
) -> Result<Vec<TimeRange>, StorageError> {
    let part = Part::users();
    let mut connection = db.writes().acquire().await?;
    let days: Vec<DayRow> = sqlx::query_as(
        "SELECT start, finish, change, cells
         FROM summarised JOIN summary USING (tenant_id, span, start)
         WHERE tenant_id = $1 AND span = $2 AND part = $3 AND start >= $4 AND finish <= $5
               AND change < (SELECT number FROM changed_hour WHERE tenant_id = $1 AND hour = $6)",
    )
    .bind(tenant.0)
    .bind(Span::Day as i16)
    .bind(part.code)
    .bind(range.from)
    .bind(range.to)
    .bind(Hour::WHO.0)
    .fetch_all(&mut *connection)
    .await?;
    let Some(since) = days.iter().map(|(_, _, change, _)| *change).min() else {
        return Ok(Vec::new());
    };
    let changes: Vec<(i64, i32)> = sqlx::query_as(
        "SELECT change, number FROM user_alias JOIN user_number USING (tenant_id, user_id)
         WHERE tenant_id = $1 AND change > $2
         UNION ALL
         SELECT change, number FROM user_split WHERE tenant_id = $1 AND change > $2",
    )
    .bind(tenant.0)
    .bind(since)
    .fetch_all(&mut *connection)
    .await?;
    let mut doubtful = Vec::new();
    for (from, to, change, cells) in days {
        let mut is_in_doubt = false;
        summary::read(&cells, |_, _, cell| {
            is_in_doubt = changes.iter().any(|(at, number)| {
                let number = u32::try_from(*number);
                *at > change && number.is_ok_and(|number| cell.sets[0].contains(number))
            });
        })?;
        if is_in_doubt {
            doubtful.push(TimeRange { from, to });
        }
    }
    Ok(doubtful)
}
