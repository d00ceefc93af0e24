//! Exports: queued, taken up, written piece by piece, and forgotten.
//!
//! Who writes an export holds a lease on it, by the database's clock, and renews it. One whose lease
//! has run out is taken up by another, as another attempt: what the first still writes is refused.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, Statement, TransactionTrait,
    Value, sqlx,
};
use uuid::Uuid;

use crate::domain::tenant::View;
use crate::storage::queries::exports::{COLUMNS, ExportRow, SEEN, Viewer, row_scope};
use crate::storage::{Db, StorageError};

/// A number for the lock of those who ask for exports.
const LOCK: i64 = 0x7469_6465_6578_7072;

/// How many pieces of files go in one statement.
const AT_ONCE: i64 = 100;

/// An export that is asked for.
#[derive(Clone, Debug)]
pub struct NewExport {
    /// Names it.
    pub id: Uuid,
    /// Whose, and of which rows.
    pub view: View,
    /// What is asked.
    pub question: serde_json::Value,
    /// Of the secret of its link.
    pub token_hash: Vec<u8>,
    /// When it is asked for.
    pub created_at: DateTime<Utc>,
    /// When its file goes.
    pub expires_at: DateTime<Utc>,
}

/// How many exports there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a tenant, that are not finished.
    pub open_of_tenant: u32,
    /// Of a tenant, whose files are kept.
    pub kept_of_tenant: u32,
    /// Of all, that are not finished.
    pub open: u32,
}

fn statement(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// Queues an export; false if there are as many as there may be.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &DatabaseConnection,
    new: NewExport,
    limits: Limits,
) -> Result<bool, StorageError> {
    let transaction = db.begin().await?;
    // One at a time, so that what is counted is true.
    let lock = statement("SELECT pg_advisory_xact_lock($1)", [LOCK.into()]);
    transaction.execute_raw(lock).await?;
    let insert = statement(
        "INSERT INTO export (export_id, tenant_id, question, token_hash, created_at, expires_at,
                             row_scope)
         SELECT $1, $2, $3, $4, $5, $6, $10
         WHERE (SELECT count(*) FROM export
                WHERE tenant_id = $2 AND state < 2 AND expires_at > $5) < $7
           AND (SELECT count(*) FROM export WHERE tenant_id = $2 AND expires_at > $5) < $8
           AND (SELECT count(*) FROM export WHERE state < 2 AND expires_at > $5) < $9",
        [
            new.id.into(),
            new.view.tenant().0.into(),
            new.question.into(),
            new.token_hash.into(),
            new.created_at.into(),
            new.expires_at.into(),
            i64::from(limits.open_of_tenant).into(),
            i64::from(limits.kept_of_tenant).into(),
            i64::from(limits.open).into(),
            row_scope(&new.view).into(),
        ],
    );
    let stored = transaction.execute_raw(insert).await?.rows_affected() == 1;
    transaction.commit().await?;
    Ok(stored)
}

/// Takes up the next export that is queued, or whose lease has run out: first one of the tenant of
/// whom the fewest are written just now.
///
/// # Errors
/// When the database cannot be reached.
pub async fn take(
    db: &DatabaseConnection,
    lease: Duration,
    now: DateTime<Utc>,
) -> Result<Option<ExportRow>, StorageError> {
    let sql = format!(
        "WITH next AS (
             SELECT export_id FROM export
             WHERE state < 2 AND expires_at > $2
                   AND (state = 0 OR leased_until < clock_timestamp())
             ORDER BY (SELECT count(*) FROM export AS busy
                       WHERE busy.tenant_id = export.tenant_id AND busy.state = 1
                             AND busy.leased_until >= clock_timestamp()), created_at
             LIMIT 1 FOR UPDATE SKIP LOCKED
         )
         UPDATE export
         SET state = 1, attempt = attempt + 1, rows = 0, bytes = 0, expected = NULL,
             leased_until = clock_timestamp() + make_interval(secs => $1)
         FROM next WHERE export.export_id = next.export_id
         RETURNING {COLUMNS}"
    );
    let taken = statement(sql, [lease.as_secs_f64().into(), now.into()]);
    let taken = ExportRow::find_by_statement(taken).one(db).await?;
    if let Some(row) = &taken {
        let old = "DELETE FROM export_chunk WHERE export_id = $1 AND attempt < $2";
        db.execute_raw(statement(old, [row.export_id.into(), row.attempt.into()]))
            .await?;
    }
    Ok(taken)
}

/// Renews a lease; false if the export is somebody else's by now, or gone.
///
/// # Errors
/// When the database cannot be reached.
pub async fn renew(
    db: &DatabaseConnection,
    (id, attempt): (Uuid, i32),
    lease: Duration,
) -> Result<bool, StorageError> {
    let renewed = statement(
        "UPDATE export SET leased_until = clock_timestamp() + make_interval(secs => $3)
         WHERE export_id = $1 AND attempt = $2 AND state = 1",
        [id.into(), attempt.into(), lease.as_secs_f64().into()],
    );
    Ok(db.execute_raw(renewed).await?.rows_affected() == 1)
}

/// Notes how many rows there will be.
///
/// # Errors
/// When the database cannot be reached.
pub async fn expect(
    db: &DatabaseConnection,
    (id, attempt): (Uuid, i32),
    rows: i64,
) -> Result<(), StorageError> {
    let noted = statement(
        "UPDATE export SET expected = $3 WHERE export_id = $1 AND attempt = $2",
        [id.into(), attempt.into(), rows.into()],
    );
    db.execute_raw(noted).await?;
    Ok(())
}

/// Appends a piece to a file, which has so many rows then; false if it is somebody else's by now, or
/// gone.
///
/// # Errors
/// When the database cannot be reached.
pub async fn append(
    db: &Db,
    (id, attempt): (Uuid, i32),
    begins: i64,
    content: &[u8],
    rows: i64,
) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "WITH mine AS (
             UPDATE export SET rows = $5, bytes = $3 + length($4)
             WHERE export_id = $1 AND attempt = $2 AND state = 1
             RETURNING export_id
         )
         INSERT INTO export_chunk (export_id, attempt, begins, content)
         SELECT export_id, $2, $3, $4 FROM mine",
    )
    .bind(id)
    .bind(attempt)
    .bind(begins)
    .bind(content)
    .bind(rows)
    .execute(db.writes())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that an export is done, or why it failed; what it has written goes then. False if it is
/// somebody else's by now, or gone.
///
/// # Errors
/// When the database cannot be reached.
pub async fn finish(
    db: &DatabaseConnection,
    (id, attempt): (Uuid, i32),
    error_code: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let finished = statement(
        "UPDATE export SET state = CASE WHEN $3::text IS NULL THEN 2 ELSE 3 END, error_code = $3,
                bytes = CASE WHEN $3::text IS NULL THEN bytes ELSE 0 END,
                leased_until = NULL, finished_at = $4
         WHERE export_id = $1 AND attempt = $2 AND state = 1",
        [
            id.into(),
            attempt.into(),
            error_code.map(str::to_owned).into(),
            now.into(),
        ],
    );
    let finished = db.execute_raw(finished).await?.rows_affected() == 1;
    if error_code.is_some() {
        let chunks = "DELETE FROM export_chunk WHERE export_id = $1 AND attempt = $2";
        db.execute_raw(statement(chunks, [id.into(), attempt.into()]))
            .await?;
    }
    Ok(finished)
}

/// Deletes an export and its file, whether or not it is finished; false if there is none.
///
/// # Errors
/// When the database cannot be reached.
pub async fn delete(
    db: &DatabaseConnection,
    viewer: &Viewer,
    id: Uuid,
) -> Result<bool, StorageError> {
    let sql = format!("DELETE FROM export WHERE {SEEN} AND export_id = $4");
    let values = viewer.values().into_iter().chain([id.into()]);
    let deleted = statement(sql, values);
    Ok(db.execute_raw(deleted).await?.rows_affected() == 1)
}

/// Deletes the files whose time is over, and exports that expired before `forgotten`; says how many
/// of the latter.
///
/// # Errors
/// When the database cannot be reached.
pub async fn sweep(
    db: &DatabaseConnection,
    now: DateTime<Utc>,
    forgotten: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let pieces = "DELETE FROM export_chunk WHERE (export_id, attempt, begins) IN (
                      SELECT export_id, export_chunk.attempt, begins
                      FROM export JOIN export_chunk USING (export_id)
                      WHERE expires_at <= $1 LIMIT $2)";
    loop {
        let some = statement(pieces, [now.into(), AT_ONCE.into()]);
        if db.execute_raw(some).await?.rows_affected() == 0 {
            break;
        }
    }
    let exports = "DELETE FROM export WHERE expires_at <= $1";
    let gone = db
        .execute_raw(statement(exports, [forgotten.into()]))
        .await?;
    Ok(gone.rows_affected())
}
