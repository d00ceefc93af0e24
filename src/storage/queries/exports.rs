//! Which exports are there, and what is in their files?

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, JsonValue, Statement, Value};
use uuid::Uuid;

use crate::domain::tenant::{RowScope, TenantId, View};
use crate::storage::StorageError;

/// An export as it is stored.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ExportRow {
    /// Names it.
    pub export_id: Uuid,
    /// Whose.
    pub tenant_id: i32,
    /// Of which rows, if not of all.
    pub row_scope: Option<JsonValue>,
    /// What was asked.
    pub question: JsonValue,
    /// 0 queued, 1 running, 2 done, 3 failed.
    pub state: i16,
    /// How often somebody began to write it.
    pub attempt: i32,
    /// How many rows are written.
    pub rows: i64,
    /// How many bytes they are, packed.
    pub bytes: i64,
    /// How many rows there will be, about, if somebody counted them.
    pub expected: Option<i64>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was done, or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its file goes.
    pub expires_at: DateTime<Utc>,
}

/// Every column that a row is made of.
pub(in crate::storage) const COLUMNS: &str = "export.export_id, tenant_id, row_scope, question, state, \
    export.attempt, rows, bytes, expected, error_code, created_at, finished_at, expires_at";

impl ExportRow {
    /// What its file may hold; none if that cannot be read.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        let rows = self
            .row_scope
            .clone()
            .map(serde_json::from_value::<RowScope>);
        Some(View::of(TenantId(self.tenant_id), rows.transpose().ok()?))
    }
}

/// Who looks for exports.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Whose data they see.
    pub view: View,
    /// Whether that is also what is kept of people.
    pub sees_people: bool,
}

impl Viewer {
    /// What [`SEEN`] is asked with.
    pub(in crate::storage) fn values(&self) -> [Value; 3] {
        [
            self.view.tenant().0.into(),
            row_scope(&self.view).into(),
            self.sees_people.into(),
        ]
    }
}

/// The exports of a tenant (`$1`) that one sees: all, or those limited to the same rows (`$2`); those
/// of people if one may see them (`$3`).
pub(in crate::storage) const SEEN: &str = "tenant_id = $1 AND ($2::jsonb IS NULL OR row_scope = $2)
     AND ($3 OR NOT coalesce(jsonb_exists(question -> 'what', 'userData'), true))";

/// The rows that a view is limited to.
pub(in crate::storage) fn row_scope(view: &View) -> Option<JsonValue> {
    let rows = view.rows().map(serde_json::to_value);
    rows.map(|rows| rows.expect("it is texts alone"))
}

/// A tenant's export.
///
/// # Errors
/// When the database cannot be reached.
pub async fn export(
    db: &impl ConnectionTrait,
    viewer: &Viewer,
    id: Uuid,
) -> Result<Option<ExportRow>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM export WHERE {SEEN} AND export_id = $4");
    let values = viewer.values().into_iter().chain([id.into()]);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(ExportRow::find_by_statement(statement).one(db).await?)
}

/// A tenant's newest exports.
///
/// # Errors
/// When the database cannot be reached.
pub async fn exports(
    db: &impl ConnectionTrait,
    viewer: &Viewer,
    most: u32,
) -> Result<Vec<ExportRow>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM export WHERE {SEEN}
         ORDER BY created_at DESC, export_id LIMIT $4"
    );
    let values = viewer.values().into_iter().chain([i64::from(most).into()]);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(ExportRow::find_by_statement(statement).all(db).await?)
}

/// The export that a link leads to, by the hash of its secret.
///
/// # Errors
/// When the database cannot be reached.
pub async fn linked(
    db: &impl ConnectionTrait,
    token_hash: &[u8],
) -> Result<Option<ExportRow>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM export WHERE token_hash = $1");
    let values = [token_hash.to_vec().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(ExportRow::find_by_statement(statement).one(db).await?)
}

/// A piece of a file.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ChunkRow {
    /// How many bytes stand before it.
    pub begins: i64,
    /// What it holds.
    pub content: Vec<u8>,
}

/// The piece of a file that a byte lies in.
///
/// # Errors
/// When the database cannot be reached.
pub async fn chunk(
    db: &impl ConnectionTrait,
    id: Uuid,
    attempt: i32,
    at: i64,
) -> Result<Option<ChunkRow>, StorageError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT begins, content FROM export_chunk
         WHERE export_id = $1 AND attempt = $2 AND begins <= $3
         ORDER BY begins DESC LIMIT 1",
        [id.into(), attempt.into(), at.into()],
    );
    Ok(ChunkRow::find_by_statement(statement).one(db).await?)
}
