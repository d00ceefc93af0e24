//! Marks the hours whose facts a transaction changes with its number, so that whoever keeps an
//! answer, or a sum of an hour, can tell whether it is still true.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sqlx;
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
    }
    Ok(())
}
