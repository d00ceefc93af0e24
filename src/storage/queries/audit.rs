//! Is the audit log as it was written? Its entries in their order, by the key.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Statement, TransactionTrait,
};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::audit::{self, Column};
use crate::storage::writes::audit::hash;

/// How many entries are read at a time.
const PAGE: u64 = 1_000;

/// The entries of a tenant.
#[must_use]
pub fn entries(tenant: TenantId) -> Select<audit::Entity> {
    audit::Entity::find().filter(Column::TenantId.eq(tenant.0))
}

/// The entry of a tenant at this place of the log.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn entry(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    number: i64,
) -> Result<Option<audit::Model>, StorageError> {
    let entry = entries(tenant).filter(Column::EntryId.eq(number));
    Ok(entry.one(db).await?)
}

/// What a look at the whole log comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each entry follows from the one before it; the last is this one.
    Whole {
        /// How many entries.
        entries: i64,
        /// The hash of the last one.
        hash: Vec<u8>,
    },
    /// This is the first that does not.
    Broken {
        /// Which; where it is missing, the one that should be there.
        entry: i64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Looks at the whole log, of one moment of it. `noted` is an entry whose hash was noted elsewhere.
///
/// # Errors
/// When the database cannot be reached.
pub async fn verify(
    db: &DatabaseConnection,
    noted: Option<(i64, Vec<u8>)>,
) -> Result<Verdict, StorageError> {
    let moment = db
        .begin_with_config(
            Some(sea_orm::IsolationLevel::RepeatableRead),
            Some(sea_orm::AccessMode::ReadOnly),
        )
        .await?;
    let head = "SELECT entry_id, hash FROM audit_head";
    let head = moment
        .query_one_raw(Statement::from_string(DbBackend::Postgres, head))
        .await?
        .ok_or_else(|| StorageError::Bug("the audit log has no head".to_owned()))?;
    let (last, last_hash): (i64, Vec<u8>) =
        (head.try_get("", "entry_id")?, head.try_get("", "hash")?);
    let mut previous = vec![0; 32];
    let mut number = 0;
    let broken = |entry, why| Ok(Verdict::Broken { entry, why });
    loop {
        let page = audit::Entity::find()
            .filter(Column::EntryId.gt(number))
            .order_by_asc(Column::EntryId)
            .limit(PAGE)
            .all(&moment)
            .await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            number += 1;
            if row.entry_id != number {
                return broken(number, "it is missing");
            }
            if row.previous != previous {
                return broken(number, "it does not follow from the one before it");
            }
            if row.hash != hash(&row) {
                return broken(number, "it does not say what was written");
            }
            if noted
                .as_ref()
                .is_some_and(|(entry, hash)| *entry == number && *hash != row.hash)
            {
                return broken(number, "it is not the one that was noted");
            }
            previous = row.hash;
        }
    }
    if number < last || noted.is_some_and(|(entry, _)| number < entry) {
        return broken(number + 1, "it is missing");
    }
    if number > last || previous != last_hash {
        return broken(number, "it is not the one that was appended last");
    }
    moment.commit().await?;
    Ok(Verdict::Whole {
        entries: number,
        hash: previous,
    })
}
