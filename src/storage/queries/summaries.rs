//! What is summed up of a range, and what does it come to? By the keys of `summarised` and
//! `summary`; what changed since is looked for in `changed_hour`, by its key.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use crate::domain::calendar::{Hour, TimeRange};
use crate::domain::summary::Span;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// A span that is summed up, no hour of which changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summarised {
    /// Of what length.
    pub span: Span,
    /// From when to when.
    pub range: TimeRange,
    /// The last change that is in it.
    pub change: i64,
    /// What of its events came late, but for those of bots.
    pub late_events: i64,
    /// Of these, orders and refunds.
    pub late_orders: i64,
    /// How many events bots did.
    pub bot_events: i64,
    /// Of these, orders and refunds.
    pub bot_orders: i64,
}

/// `$2` and `$3` are the ranges, `$4` the lengths.
pub(in crate::storage) const VALID: &str = "
    SELECT span, start, finish, change, late_events, late_orders, bot_events, bot_orders
    FROM unnest($2::timestamptz[], $3::timestamptz[]) AS asked (since, before)
    JOIN summarised AS known ON start >= since AND finish <= before
    WHERE tenant_id = $1 AND span = ANY($4)
          AND NOT EXISTS (
              SELECT FROM changed_hour AS its
              WHERE its.tenant_id = $1
                    AND its.hour >= floor(extract(epoch FROM known.start) / 3600)::integer
                    AND its.hour < ceil(extract(epoch FROM known.finish) / 3600)::integer
                    AND its.number > known.change)
    ORDER BY start, span DESC";

/// What is summed up within ranges, in the order of time, the longer before the shorter.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn valid(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ranges: &[TimeRange],
    spans: &[Span],
) -> Result<Vec<Summarised>, StorageError> {
    #[derive(FromQueryResult)]
    struct Row {
        span: i16,
        start: DateTime<Utc>,
        finish: DateTime<Utc>,
        change: i64,
        late_events: i64,
        late_orders: i64,
        bot_events: i64,
        bot_orders: i64,
    }
    let from: Vec<DateTime<Utc>> = ranges.iter().map(|range| range.from).collect();
    let to: Vec<DateTime<Utc>> = ranges.iter().map(|range| range.to).collect();
    let codes: Vec<i16> = spans.iter().map(|span| *span as i16).collect();
    let values = [tenant.0.into(), from.into(), to.into(), codes.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, VALID, values);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let summarised = |row: Row| {
        let span = spans.iter().find(|span| **span as i16 == row.span)?;
        Some(Summarised {
            span: *span,
            range: TimeRange {
                from: row.start,
                to: row.finish,
            },
            change: row.change,
            late_events: row.late_events,
            late_orders: row.late_orders,
            bot_events: row.bot_events,
            bot_orders: row.bot_orders,
        })
    };
    Ok(rows.into_iter().filter_map(summarised).collect())
}

const CHANGED: &str = "
    SELECT hour FROM changed_hour
    WHERE tenant_id = $1 AND hour >= $2 AND hour < $3 ORDER BY hour";

/// The hours of a range in which there are facts, or were once.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn hours_with_facts(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    range: TimeRange,
) -> Result<Vec<Hour>, StorageError> {
    let last = Hour::of(range.to - chrono::Duration::microseconds(1));
    let values = [
        tenant.0.into(),
        Hour::of(range.from).0.into(),
        (last.0 + 1).into(),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, CHANGED, values);
    let rows = db.query_all_raw(statement).await?;
    let hour = |row: &sea_orm::QueryResult| Ok(Hour(row.try_get("", "hour")?));
    rows.iter().map(hour).collect()
}

const FIRST: &str = "
    SELECT min(hour) AS hour FROM changed_hour WHERE tenant_id = $1 AND hour <> $2";

/// The first hour in which there is a fact.
///
/// # Errors
/// When the database cannot be reached.
pub async fn first_hour(
    db: &impl ConnectionTrait,
    tenant: TenantId,
) -> Result<Option<Hour>, StorageError> {
    let values = [tenant.0.into(), Hour::WHO.0.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, FIRST, values);
    let row = db.query_one_raw(statement).await?;
    let hour = row.map(|row| row.try_get::<Option<i32>>("", "hour"));
    Ok(hour.transpose()?.flatten().map(Hour))
}

const CELLS: &str = "
    SELECT (place - 1)::integer AS place, cells
    FROM unnest($3::smallint[], $4::timestamptz[]) WITH ORDINALITY AS asked (span, start, place)
    JOIN summary USING (span, start)
    WHERE tenant_id = $1 AND part = $2";

/// What a part was written as, by its number, with the place of its span in `of`; nothing where it is
/// empty.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn cells(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    part: i16,
    of: &[Summarised],
) -> Result<Vec<(usize, Vec<u8>)>, StorageError> {
    let spans: Vec<i16> = of.iter().map(|one| one.span as i16).collect();
    let starts: Vec<DateTime<Utc>> = of.iter().map(|one| one.range.from).collect();
    let values = [tenant.0.into(), part.into(), spans.into(), starts.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, CELLS, values);
    let rows = db.query_all_raw(statement).await?;
    let cells = |row: &sea_orm::QueryResult| {
        let place: i32 = row.try_get("", "place")?;
        let place = usize::try_from(place).expect("ordinality counts from 1");
        Ok((place, row.try_get("", "cells")?))
    };
    rows.iter().map(cells).collect()
}

/// How far it is known who is who, and which users have numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Known {
    /// The last change in which an id became somebody else's.
    pub change: i64,
    /// The highest number.
    pub number: i32,
}

const KNOWN: &str = "
    SELECT coalesce((SELECT number FROM changed_hour WHERE tenant_id = $1 AND hour = $2), 0)
               AS change,
           coalesce((SELECT max(number) FROM user_number WHERE tenant_id = $1), 0) AS number";

/// How far it is known just now.
///
/// # Errors
/// When the database cannot be reached.
pub async fn known(db: &impl ConnectionTrait, tenant: TenantId) -> Result<Known, StorageError> {
    let values = [tenant.0.into(), Hour::WHO.0.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, KNOWN, values);
    let row = Known::find_by_statement(statement).one(db).await?;
    Ok(row.unwrap_or_default())
}

/// A numbered user that is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Alias {
    /// The number.
    pub number: i32,
    /// Whose it is.
    pub canonical_id: Uuid,
    /// Their number, if they have one.
    pub canonical: Option<i32>,
    /// In which change it became theirs.
    pub change: i64,
}

/// What changed of it, in order: who became somebody else's, or their own again, and who got a number
/// since. Each by its index.
const ALIASES: &str = "
    SELECT own.number, canonical_id, whose.number AS canonical, change
    FROM (SELECT user_id, canonical_id, change FROM user_alias
          WHERE tenant_id = $1 AND change > $2
          UNION
          SELECT user_id, canonical_id, change
          FROM user_number JOIN user_alias USING (tenant_id, user_id)
          WHERE tenant_id = $1 AND number > $3
          UNION
          SELECT alias.user_id, canonical_id, change
          FROM user_number AS newer
          JOIN user_alias AS alias ON alias.tenant_id = $1 AND canonical_id = newer.user_id
          WHERE newer.tenant_id = $1 AND newer.number > $3) AS alias
    JOIN user_number AS own ON own.tenant_id = $1 AND own.user_id = alias.user_id
    LEFT JOIN user_number AS whose ON whose.tenant_id = $1 AND whose.user_id = canonical_id
    UNION ALL
    SELECT number, user_id, number, change
    FROM user_split JOIN user_number USING (tenant_id, number)
    WHERE tenant_id = $1 AND change > $2
    ORDER BY change";

/// Every numbered user of whom that is not known.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn aliases(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    since: Known,
) -> Result<Vec<Alias>, StorageError> {
    let values = [tenant.0.into(), since.change.into(), since.number.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, ALIASES, values);
    Ok(Alias::find_by_statement(statement).all(db).await?)
}
