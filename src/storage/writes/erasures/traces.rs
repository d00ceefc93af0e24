//! What follows from a person's facts, or tells of them, and what there is of it.

use chrono::NaiveDate;
use sea_orm::sqlx::{self, AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Erasure;
use crate::domain::calendar::TimeRange;
use crate::domain::person::Person;
use crate::domain::tenant::TenantId;
use crate::storage::partitions::Span;
use crate::storage::writes::rollups::rebuild;
use crate::storage::writes::{changes, summaries};
use crate::storage::{Db, StorageError};

/// How many quarantined events are looked at at once.
const PAGE: u16 = 500;

/// A kind of rows, and how many there are.
pub(super) type Count = (&'static str, i64);

/// What is counted of facts and of the person, each as one number.
const COUNTED: [(&str, &str); 8] = [
    (
        "events",
        "SELECT count(*) FROM event
         WHERE tenant_id = $1 AND user_id = ANY($2)
               AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')",
    ),
    (
        "pageviews",
        "SELECT count(page_url) FROM event
         WHERE tenant_id = $1 AND user_id = ANY($2)
               AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')",
    ),
    (
        "purchases",
        "SELECT count(*) FROM purchase
         WHERE tenant_id = $1 AND user_id = ANY($2)
               AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')",
    ),
    (
        "refunds",
        "SELECT count(*) FROM refund
         WHERE tenant_id = $1 AND user_id = ANY($2)
               AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')",
    ),
    (
        "user_days",
        "SELECT count(*) FROM user_day
         WHERE tenant_id = $1 AND user_id = ANY($2)
               AND day >= coalesce($3::timestamptz - interval '1 day', '-infinity')::date
               AND day <= coalesce($4::timestamptz + interval '1 day', 'infinity')::date",
    ),
    (
        "users",
        r#"SELECT count(*) FROM "user" WHERE tenant_id = $1 AND user_id = ANY($2)
           AND ($3::timestamptz IS NULL OR $4::timestamptz IS NOT NULL)"#,
    ),
    (
        "links",
        "SELECT (SELECT count(*) FROM user_link
                 WHERE tenant_id = $1 AND (user_id = ANY($2) OR other_id = ANY($2)))
              + (SELECT count(*) FROM user_alias
                 WHERE tenant_id = $1 AND (user_id = ANY($2) OR canonical_id = ANY($2))
                       AND ($3::timestamptz IS NULL OR $4::timestamptz IS NOT NULL))",
    ),
    (
        "numbers",
        "SELECT count(*) FROM user_number WHERE tenant_id = $1 AND user_id = ANY($2)
         AND ($3::timestamptz IS NULL OR $4::timestamptz IS NOT NULL)",
    ),
];

/// The exports that may hold something of a person: those whose files are begun, whatever is in
/// them, and those whose question names the person. `$2` is a pattern for each id and word.
const EXPORTS: &str = "
    tenant_id = $1
    AND (state <> 0 OR EXISTS (SELECT FROM unnest($2::text[]) AS word
                               WHERE position(word IN lower(question::text)) > 0))";

/// How many rows there are of each kind.
pub(super) async fn count(
    db: &Db,
    person: &Person,
    range: Option<TimeRange>,
) -> Result<Vec<Count>, StorageError> {
    let mut transaction = rebuild::look(db).await?;
    let mut counts = Vec::new();
    for (kind, sql) in COUNTED {
        let count = sqlx::query_scalar(sql)
            .bind(person.tenant.0)
            .bind(&person.ids)
            .bind(range.map(|range| range.from))
            .bind(range.map(|range| range.to));
        counts.push((kind, count.fetch_one(&mut *transaction).await?));
    }
    let held = quarantined(&mut transaction, person, range).await?;
    counts.push(("quarantined", i64::try_from(held.len()).unwrap_or(i64::MAX)));
    let sql = format!("SELECT count(*) FROM export WHERE {EXPORTS}");
    let exports = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(person.tenant.0)
        .bind(names(person));
    counts.push(("exports", exports.fetch_one(&mut *transaction).await?));
    transaction.commit().await?;
    Ok(counts)
}

/// The ids and words in small letters.
fn names(person: &Person) -> Vec<String> {
    let ids = person.ids.iter().map(Uuid::to_string);
    let words = person.words.iter().map(|word| {
        let written = serde_json::Value::from(word.to_lowercase()).to_string();
        written.trim_matches('"').to_owned()
    });
    ids.chain(words).collect()
}

/// The quarantined events that name the person, by the key.
async fn quarantined(
    connection: &mut PgConnection,
    person: &Person,
    range: Option<TimeRange>,
) -> Result<Vec<Uuid>, StorageError> {
    let (mut found, mut last) = (Vec::new(), Uuid::nil());
    loop {
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
            "SELECT quarantine_id, payload, message FROM quarantine
             WHERE tenant_id = $1 AND quarantine_id > $2
                   AND received_at >= coalesce($3, '-infinity')
                   AND received_at < coalesce($4, 'infinity')
             ORDER BY quarantine_id LIMIT $5",
        )
        .bind(person.tenant.0)
        .bind(last)
        .bind(range.map(|range| range.from))
        .bind(range.map(|range| range.to))
        .bind(i64::from(PAGE))
        .fetch_all(&mut *connection)
        .await?;
        let is_last = rows.len() < usize::from(PAGE);
        for (id, payload, message) in rows {
            last = id;
            if person.is_named_by(&payload) || person.is_named_by(&message) {
                found.push(id);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// Takes the quarantined events out that name the person: as they were sent they cannot be made
/// nameless.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn quarantine(db: &Db, erasure: &Erasure) -> Result<(), StorageError> {
    let mut transaction = rebuild::look(db).await?;
    let found = quarantined(&mut transaction, &erasure.person, erasure.range).await?;
    sqlx::query("DELETE FROM quarantine WHERE tenant_id = $1 AND quarantine_id = ANY($2)")
        .bind(erasure.person.tenant.0)
        .bind(found)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Deletes the exports that may hold something of the person. One that is being written ends, for
/// its lease is gone.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn exports(db: &Db, erasure: &Erasure) -> Result<(), StorageError> {
    let mut transaction = rebuild::look(db).await?;
    let sql = format!("DELETE FROM export WHERE {EXPORTS}");
    sqlx::query(AssertSqlSafe(sql))
        .bind(erasure.person.tenant.0)
        .bind(names(&erasure.person))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Deletes what was summed up with the person in it.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn summaries(db: &Db, tenant: TenantId) -> Result<(), StorageError> {
    summaries::forget_outdated(db, tenant).await?;
    Ok(())
}

/// Deletes the names of the programs that the person used and nobody else. What someone said of one
/// stays. A writer that stores an event of it at the same moment leaves it without its program's
/// name.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn user_agents(db: &Db, erasure: &Erasure) -> Result<(), StorageError> {
    let mut transaction = rebuild::look(db).await?;
    // A rare one is looked for in all events.
    sqlx::raw_sql("SET LOCAL statement_timeout = '1h'")
        .execute(&mut *transaction)
        .await?;
    let unused: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM erasure, unnest(agents) AS id
         WHERE erasure_id = $1
               AND NOT EXISTS (SELECT FROM event WHERE tenant_id = $2 AND user_agent_id = id)",
    )
    .bind(erasure.id)
    .bind(erasure.person.tenant.0)
    .fetch_all(&mut *transaction)
    .await?;
    if unused.is_empty() {
        transaction.commit().await?;
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM user_agent
         WHERE tenant_id = $1 AND user_agent_id = ANY($2) AND classified_at IS NULL",
    )
    .bind(erasure.person.tenant.0)
    .bind(unused)
    .execute(&mut *transaction)
    .await?;
    changes::tell_writers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Has the planner learn anew: its statistics quote what it finds in columns.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn statistics(db: &Db, erasure: &Erasure) -> Result<(), StorageError> {
    let mut transaction = rebuild::look(db).await?;
    let months: Vec<NaiveDate> =
        sqlx::query_scalar("SELECT unnest(months) FROM erasure WHERE erasure_id = $1")
            .bind(erasure.id)
            .fetch_all(&mut *transaction)
            .await?;
    let mut tables: Vec<String> = ["\"user\"", "user_agent", "user_alias", "user_link"]
        .into_iter()
        .chain(["user_number", "summary", "quarantine", "export"])
        .map(str::to_owned)
        .collect();
    for month in months {
        tables.extend(Span::of_day(month).partitions());
    }
    // The parents have statistics only where somebody asked for them.
    let asked: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT tablename::text FROM pg_stats
         WHERE inherited AND schemaname = current_schema()
               AND tablename IN ('event', 'purchase', 'refund', 'user_day')",
    )
    .fetch_all(&mut *transaction)
    .await?;
    tables.extend(asked);
    // Of a table that is empty now nothing is learnt anew: what was known of it must go first.
    let can_clear: bool =
        sqlx::query_scalar("SELECT to_regproc('pg_catalog.pg_clear_attribute_stats') IS NOT NULL")
            .fetch_one(&mut *transaction)
            .await?;
    if can_clear {
        let names: Vec<&str> = tables.iter().map(|name| name.trim_matches('"')).collect();
        sqlx::query(
            "SELECT pg_clear_attribute_stats(schemaname::text, tablename::text, attname::text,
                                             inherited)
             FROM pg_stats
             WHERE schemaname = current_schema() AND tablename = ANY($1)",
        )
        .bind(names)
        .execute(&mut *transaction)
        .await?;
    }
    for table in tables {
        let known: Option<bool> = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&table)
            .fetch_one(&mut *transaction)
            .await?;
        if known == Some(true) {
            // A name of ours, or the catalogue's.
            let statement = AssertSqlSafe(format!("ANALYZE {table}"));
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
