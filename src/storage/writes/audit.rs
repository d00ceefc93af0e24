//! Appends to the audit log, in the transaction that does what the entry says: either both are
//! there or neither.
//!
//! Entries are chained. The hash of one is SHA-256 over the hash of the one before and all that it
//! says, each part behind its length: so who changes, takes out or puts in an entry has to make all
//! later hashes anew, and the last of them, once noted elsewhere, tells.

use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Set,
    Statement, TransactionTrait,
};
use sha2::{Digest, Sha256};

use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::audit;

/// How many decimals of a second PostgreSQL keeps.
const MICROSECONDS: u16 = 6;

/// An entry to append.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Of whose; none of what is the server's.
    pub tenant: Option<TenantId>,
    /// Who did it.
    pub actor: &'a Actor,
    /// What.
    pub action: Action,
    /// To what: an id or a name. No personal data, for nothing is ever taken out of the log.
    pub subject: String,
    /// What there is to say besides; no secret and no personal data either.
    pub details: serde_json::Value,
}

/// Appends an entry; its number. Who appends waits for others who do, until they commit: so do it
/// last in a transaction.
///
/// # Errors
/// When the database cannot be reached.
pub async fn append(
    transaction: &DatabaseTransaction,
    entry: Entry<'_>,
) -> Result<i64, StorageError> {
    let head = "SELECT entry_id, hash FROM audit_head FOR UPDATE";
    let head = transaction
        .query_one_raw(Statement::from_string(DbBackend::Postgres, head))
        .await?
        .ok_or_else(|| StorageError::Bug("the audit log has no head".to_owned()))?;
    let (last, previous): (i64, Vec<u8>) =
        (head.try_get("", "entry_id")?, head.try_get("", "hash")?);
    let mut row = audit::Model {
        entry_id: last + 1,
        at: entry.at.trunc_subsecs(MICROSECONDS),
        tenant_id: entry.tenant.map(|tenant| tenant.0),
        actor: entry.actor.to_string(),
        address: entry.actor.address(),
        action: entry.action.name().to_owned(),
        subject: entry.subject,
        details: entry.details.to_string(),
        previous,
        hash: Vec::new(),
    };
    row.hash = hash(&row);
    let (number, hash) = (row.entry_id, row.hash.clone());
    let stored = audit::ActiveModel {
        entry_id: Set(row.entry_id),
        at: Set(row.at),
        tenant_id: Set(row.tenant_id),
        actor: Set(row.actor),
        address: Set(row.address),
        action: Set(row.action),
        subject: Set(row.subject),
        details: Set(row.details),
        previous: Set(row.previous),
        hash: Set(row.hash),
    };
    stored.insert(transaction).await?;
    let moved = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE audit_head SET entry_id = $1, hash = $2",
        [number.into(), hash.into()],
    );
    transaction.execute_raw(moved).await?;
    Ok(number)
}

/// Appends an entry of what is done elsewhere, or behind us; before that is begun.
///
/// # Errors
/// When the database cannot be reached.
pub async fn note(db: &DatabaseConnection, entry: Entry<'_>) -> Result<i64, StorageError> {
    let transaction = db.begin().await?;
    let number = append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(number)
}

/// What the hash of an entry must be.
#[must_use]
pub fn hash(row: &audit::Model) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut add = |part: Option<&[u8]>| {
        // What is not there differs from what is empty.
        let length = part.map_or(-1, |part| i64::try_from(part.len()).unwrap_or(i64::MAX));
        hasher.update(length.to_be_bytes());
        hasher.update(part.unwrap_or_default());
    };
    add(Some(&row.previous));
    add(Some(&row.entry_id.to_be_bytes()));
    add(Some(&row.at.timestamp_micros().to_be_bytes()));
    add(row
        .tenant_id
        .map(i32::to_be_bytes)
        .as_ref()
        .map(AsRef::as_ref));
    add(Some(row.actor.as_bytes()));
    add(row.address.as_deref().map(str::as_bytes));
    add(Some(row.action.as_bytes()));
    add(Some(row.subject.as_bytes()));
    add(Some(row.details.as_bytes()));
    hasher.finalize().to_vec()
}
