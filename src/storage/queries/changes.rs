//! What changed, and when last? Each transaction that changes facts marks their hours with its
//! number, in the order in which such transactions commit; so whoever keeps something that was read
//! at a number knows whether it is still true.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::domain::calendar::Hour;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What changed after a number, but not further back than so many changes, by the index on the
/// number: what is newer is at its end. Beside it where the database is: its history is told by when
/// the server was started and by which table it is, for after a fail-over, a crash or a restored
/// backup the numbers may begin again with others than were seen before.
const LOOK: &str = "
    SELECT head.changes,
           extract(epoch FROM pg_postmaster_start_time())::text
               || ':' || 'idempotency_head'::regclass::oid AS history,
           changed.tenant_id, changed.hour, changed.number
    FROM idempotency_head AS head
    LEFT JOIN LATERAL (
        SELECT tenant_id, hour, number FROM changed_hour
        WHERE number > greatest($1, head.changes - $2)
        ORDER BY number LIMIT $3
    ) AS changed ON true";

/// What a look finds.
#[derive(Clone, Debug)]
pub struct Look {
    /// Of which history the numbers are: those of two tell nothing of each other.
    pub history: String,
    /// The number of the last change.
    pub last: i64,
    /// What changed, in no order.
    pub changed: Vec<Change>,
}

/// An hour of a tenant that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub tenant: TenantId,
    /// Which; [`Hour::WHO`] where it is who is who among the users.
    pub hour: Hour,
    /// In which change it did last.
    pub number: i64,
}

/// The number of the last change that this connection, or this snapshot, sees.
///
/// # Errors
/// When the database cannot be reached.
pub async fn last(db: &impl ConnectionTrait) -> Result<i64, StorageError> {
    let sql = "SELECT changes FROM idempotency_head";
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await?;
    let row = row.ok_or_else(|| StorageError::Bug("the log has no head".to_owned()))?;
    Ok(row.try_get("", "changes")?)
}

/// The last change, and every hour that changed after a number and at most `back` changes ago, as
/// many as `limit`: one statement, so all of one moment.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn look(
    db: &impl ConnectionTrait,
    number: i64,
    back: i64,
    limit: u32,
) -> Result<Look, StorageError> {
    #[derive(FromQueryResult)]
    struct Row {
        changes: i64,
        history: String,
        tenant_id: Option<i32>,
        hour: Option<i32>,
        number: Option<i64>,
    }
    let values = [number.into(), back.into(), i64::from(limit).into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, LOOK, values);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let Some(first) = rows.first() else {
        return Err(StorageError::Bug("the log has no head".to_owned()));
    };
    let (history, last) = (first.history.clone(), first.changes);
    let change = |row: Row| {
        Some(Change {
            tenant: TenantId(row.tenant_id?),
            hour: Hour(row.hour?),
            number: row.number?,
        })
    };
    Ok(Look {
        history,
        last,
        changed: rows.into_iter().filter_map(change).collect(),
    })
}
