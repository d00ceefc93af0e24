//! Marks the hours whose facts a transaction changes with its number, so that whoever keeps an
//! answer, or a sum of an hour, can tell whether it is still true.

use std::collections::BTreeSet;

use sea_orm::sqlx;

use super::{Incoming, Transaction};
use crate::domain::calendar::Hour;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What a batch changes: the hours of its events, and who is who among the users of `joined`.
pub(super) fn of(
    accepted: &[Incoming<'_>],
    joined: &BTreeSet<TenantId>,
) -> BTreeSet<(TenantId, Hour)> {
    let hour = |incoming: &Incoming<'_>| (incoming.tenant(), Hour::of(incoming.event.timestamp));
    let who = joined.iter().map(|tenant| (*tenant, Hour::WHO));
    accepted.iter().map(hour).chain(who).collect()
}

/// Marks them. The log of ids is locked by now: numbers are in the order of commits.
pub(super) async fn mark(
    transaction: &mut Transaction,
    change: i64,
    changed: &BTreeSet<(TenantId, Hour)>,
) -> Result<(), StorageError> {
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
    Ok(())
}
