//! Marks the hours whose facts a transaction changes with its number, so that whoever keeps an
//! answer, or a sum of an hour, can tell whether it is still true.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sqlx::{self, PgConnection};
use uuid::Uuid;

use super::{Incoming, Transaction};
use crate::domain::calendar::Hour;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// Marks what a batch changes: the hours of its events, and who is who where ids have `joined`
/// others. The log of ids is locked by now: numbers are in the order of commits.
pub(super) async fn mark(
    transaction: &mut Transaction,
    change: i64,
    accepted: &[Incoming<'_>],
    joined: &BTreeMap<TenantId, Vec<Uuid>>,
) -> Result<(), StorageError> {
    let hour = |incoming: &Incoming<'_>| (incoming.tenant(), Hour::of(incoming.event.timestamp));
    let who = joined.keys().map(|tenant| (*tenant, Hour::WHO));
    let changed: BTreeSet<(TenantId, Hour)> = accepted.iter().map(hour).chain(who).collect();
    sqlx::query(
        "INSERT INTO changed_hour (tenant_id, hour, number)
         SELECT *, $3 FROM unnest($1::integer[], $2::integer[])
         ON CONFLICT (tenant_id, hour) DO UPDATE SET number = excluded.number",
    )
    .bind(
        changed
            .iter()
            .map(|(tenant, _)| tenant.0)
            .collect::<Vec<_>>(),
    )
    .bind(changed.iter().map(|(_, hour)| hour.0).collect::<Vec<_>>())
    .bind(change)
    .execute(&mut **transaction)
    .await?;
    for (tenant, ids) in joined {
        sqlx::query("UPDATE user_alias SET change = $3 WHERE tenant_id = $1 AND user_id = ANY($2)")
            .bind(tenant.0)
            .bind(ids)
            .bind(change)
            .execute(&mut **transaction)
            .await?;
        // Those who have no row are their own again.
        sqlx::query(
            "INSERT INTO user_split (tenant_id, number, change)
             SELECT $1, number, $3 FROM user_number
             WHERE tenant_id = $1 AND user_id = ANY($2)
                   AND NOT EXISTS (SELECT FROM user_alias
                                   WHERE user_alias.tenant_id = $1
                                         AND user_alias.user_id = user_number.user_id)
             ON CONFLICT (tenant_id, number) DO UPDATE SET change = excluded.change",
        )
        .bind(tenant.0)
        .bind(ids)
        .bind(change)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Marks hours with a change that was counted, so that what is kept of them falls.
pub(super) async fn mark_hours(
    transaction: &mut Transaction,
    tenant: TenantId,
    change: i64,
    hours: impl IntoIterator<Item = Hour>,
) -> Result<(), StorageError> {
    let hours: BTreeSet<i32> = hours.into_iter().map(|hour| hour.0).collect();
    sqlx::query(
        "INSERT INTO changed_hour (tenant_id, hour, number)
         SELECT $1, unnest($2::integer[]), $3
         ON CONFLICT (tenant_id, hour) DO UPDATE SET number = excluded.number",
    )
    .bind(tenant.0)
    .bind(hours.into_iter().collect::<Vec<_>>())
    .bind(change)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The same of those hours alone that were marked before; says how many.
pub(super) async fn mark_again(
    transaction: &mut Transaction,
    tenant: TenantId,
    change: i64,
    hours: &[Hour],
) -> Result<u64, StorageError> {
    let marked =
        sqlx::query("UPDATE changed_hour SET number = $3 WHERE tenant_id = $1 AND hour = ANY($2)")
            .bind(tenant.0)
            .bind(hours.iter().map(|hour| hour.0).collect::<Vec<_>>())
            .bind(change)
            .execute(&mut **transaction)
            .await?;
    Ok(marked.rows_affected())
}

/// How often something was said, or somebody erased; nobody says more until the transaction ends.
pub(super) async fn sayings(transaction: &mut Transaction) -> Result<i64, StorageError> {
    let number = sqlx::query_scalar("SELECT classifications FROM idempotency_head FOR SHARE");
    Ok(number.fetch_one(&mut **transaction).await?)
}

/// The number of the last change, for one who looks at what comes after.
pub(super) async fn last(connection: &mut PgConnection) -> Result<i64, StorageError> {
    let number = sqlx::query_scalar("SELECT changes FROM idempotency_head");
    Ok(number.fetch_one(connection).await?)
}

/// Locks out whoever would commit events, until the transaction ends.
pub(super) async fn lock_out_writers(transaction: &mut Transaction) -> Result<(), StorageError> {
    sqlx::query("SELECT FROM idempotency_head FOR UPDATE")
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Locks out whoever would commit events; returns the number of this change.
pub(super) async fn count(transaction: &mut Transaction) -> Result<i64, StorageError> {
    let number =
        sqlx::query_scalar("UPDATE idempotency_head SET changes = changes + 1 RETURNING changes");
    Ok(number.fetch_one(&mut **transaction).await?)
}

/// The same, and those who come after forget what they remember of programs and of days.
pub(super) async fn tell_writers(transaction: &mut Transaction) -> Result<i64, StorageError> {
    let number = sqlx::query_scalar(
        "UPDATE idempotency_head SET classifications = classifications + 1, changes = changes + 1
         RETURNING changes",
    );
    Ok(number.fetch_one(&mut **transaction).await?)
}
