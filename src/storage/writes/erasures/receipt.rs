//! What is known of an erasure afterwards.

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Mode;
use super::traces::Count;
use crate::domain::calendar::TimeRange;
use crate::domain::tenant::TenantId;
use crate::storage::{Db, StorageError};

/// Of a kind of rows, how many there were and are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// What is counted.
    pub kind: String,
    /// How many there were when it was asked for.
    pub before: i64,
    /// How many there are now; nothing while it is not done.
    pub after: Option<i64>,
}

impl Counts {
    pub(super) fn before(counts: Vec<Count>) -> Value {
        let counts = counts.into_iter().map(|count| (count.0, count.1));
        json!({"before": counts.collect::<std::collections::BTreeMap<_, _>>()})
    }

    pub(super) fn after(counts: Vec<Count>) -> Value {
        let counts = counts.into_iter().map(|count| (count.0, count.1));
        json!({"after": counts.collect::<std::collections::BTreeMap<_, _>>()})
    }

    pub(super) fn dead(letters: u64) -> Value {
        json!({"dead": letters})
    }

    fn read(value: &Value) -> Vec<Self> {
        let before = value["before"].as_object().cloned().unwrap_or_default();
        let of = |(kind, number): (String, Value)| Self {
            before: number.as_i64().unwrap_or(0),
            after: value["after"][&kind].as_i64(),
            kind,
        };
        let mut counts: Vec<Self> = before.into_iter().map(of).collect();
        // What lies in dead letters is only found where it is taken out.
        if let Some(dead) = value["dead"].as_i64() {
            counts.push(Self {
                kind: "dead_letters".to_owned(),
                before: dead,
                after: Some(0),
            });
        }
        counts
    }
}

/// What is known of an erasure.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Names it.
    pub id: Uuid,
    /// How.
    pub mode: Mode,
    /// Of which facts; nothing: of all, and of the person themselves.
    pub range: Option<TimeRange>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Who asked.
    pub requested_by: String,
    /// A keyed hash of the person's id: of two erasures of one person it is the same.
    pub subject: String,
    /// What is of before this moment is gone, or will be.
    pub erased_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: Option<DateTime<Utc>>,
    /// What keeps it from going on.
    pub waits_for: Option<String>,
    /// What there was and is.
    pub counts: Vec<Counts>,
}

/// As the table has it.
type Row = (
    Uuid,
    String,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    DateTime<Utc>,
    String,
    String,
    DateTime<Utc>,
    Option<DateTime<Utc>>,
    Option<String>,
    Value,
);

fn read(row: Row) -> Receipt {
    let (id, mode, from, to, requested_at, requested_by, subject, erased_at, done, waits, counts) =
        row;
    Receipt {
        id,
        mode: Mode::of(&mode),
        range: from.zip(to).map(|(from, to)| TimeRange { from, to }),
        requested_at,
        requested_by,
        subject,
        erased_at,
        finished_at: done,
        waits_for: waits,
        counts: Counts::read(&counts),
    }
}

/// The newest erasures of a tenant, or the one of this id.
const SQL: &str = "
    SELECT erasure_id, mode, range_from, range_to, requested_at, requested_by,
           encode(subject, 'hex') AS subject, erased_at, finished_at, waits_for, counts
    FROM erasure
    WHERE tenant_id = $1 AND ($2::uuid IS NULL OR erasure_id = $2)
    ORDER BY requested_at DESC, erasure_id
    LIMIT $3";

/// An erasure of a tenant.
///
/// # Errors
/// When the database cannot be reached.
pub async fn receipt(db: &Db, tenant: TenantId, id: Uuid) -> Result<Option<Receipt>, StorageError> {
    let row: Option<Row> = sqlx::query_as(SQL)
        .bind(tenant.0)
        .bind(Some(id))
        .bind(1_i64)
        .fetch_optional(db.writes())
        .await?;
    Ok(row.map(read))
}

/// The newest erasures of a tenant.
///
/// # Errors
/// When the database cannot be reached.
pub async fn receipts(db: &Db, tenant: TenantId, most: u32) -> Result<Vec<Receipt>, StorageError> {
    let rows: Vec<Row> = sqlx::query_as(SQL)
        .bind(tenant.0)
        .bind(None::<Uuid>)
        .bind(i64::from(most))
        .fetch_all(db.writes())
        .await?;
    Ok(rows.into_iter().map(read).collect())
}
