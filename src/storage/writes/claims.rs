//! Claims the senders' ids: the first to claim an id has it, for every later transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use uuid::Uuid;

use super::{Incoming, Outcome, Period, Transaction};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

type Key = (TenantId, Uuid);

/// Claims what can be claimed and tells for each event what became of it.
pub(super) async fn claim(
    transaction: &mut Transaction,
    period: &Period,
    batch: &[Incoming<'_>],
) -> Result<Vec<Outcome>, StorageError> {
    let key_of = |incoming: &Incoming<'_>| (incoming.tenant, incoming.event.id);
    let mut digests = find(transaction, batch.iter().map(key_of)).await?;

    // The first of each id that nobody has, in the order of the key.
    let mut fresh = BTreeMap::new();
    for incoming in batch {
        if !digests.contains_key(&key_of(incoming)) {
            fresh.entry(key_of(incoming)).or_insert(incoming);
        }
    }
    let mut claimed = insert(transaction, period, fresh.values().copied()).await?;

    // Another transaction was faster, and has committed by now: its content counts.
    let lost = fresh.keys().filter(|key| !claimed.contains(*key)).copied();
    let lost = lost.collect::<Vec<_>>();
    digests.extend(find(transaction, lost).await?);
    digests.extend(claimed.iter().map(|key| (*key, fresh[key].event.digest)));

    let outcomes = batch.iter().map(|incoming| {
        let key = key_of(incoming);
        if claimed.remove(&key) {
            Outcome::Accepted
        } else if digests.get(&key) == Some(&incoming.event.digest) {
            Outcome::Duplicate
        } else {
            Outcome::Conflict
        }
    });
    Ok(outcomes.collect())
}

/// The digests stored under ids: one probe of each partition's key.
async fn find(
    transaction: &mut Transaction,
    keys: impl IntoIterator<Item = Key>,
) -> Result<HashMap<Key, i64>, StorageError> {
    let mut ids: BTreeMap<TenantId, Vec<Uuid>> = BTreeMap::new();
    for (tenant, id) in keys {
        ids.entry(tenant).or_default().push(id);
    }
    let mut found = HashMap::new();
    for (tenant, mut ids) in ids {
        ids.sort_unstable();
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT event_id, digest FROM idempotency_key
             WHERE tenant_id = $1 AND event_id = ANY($2)",
        )
        .bind(tenant.0)
        .bind(ids)
        .fetch_all(&mut **transaction)
        .await?;
        found.extend(rows.into_iter().map(|(id, digest)| ((tenant, id), digest)));
    }
    Ok(found)
}

/// Inserts what is not there, waiting for transactions that are inserting the same.
async fn insert<'a>(
    transaction: &mut Transaction,
    period: &Period,
    fresh: impl Iterator<Item = &'a Incoming<'a>>,
) -> Result<HashSet<Key>, StorageError> {
    let mut tenants: Vec<i32> = Vec::new();
    let mut ids: Vec<Uuid> = Vec::new();
    let mut timestamps: Vec<DateTime<Utc>> = Vec::new();
    let mut digests: Vec<i64> = Vec::new();
    for Incoming { tenant, event, .. } in fresh {
        tenants.push(tenant.0);
        ids.push(event.id);
        timestamps.push(event.timestamp);
        digests.push(event.digest);
    }
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<(i32, Uuid)> = sqlx::query_as(
        "INSERT INTO idempotency_key (tenant_id, event_id, received_on, timestamp, digest)
         SELECT tenant_id, event_id, $3, timestamp, digest
         FROM unnest($1::integer[], $2::uuid[], $4::timestamptz[], $5::bigint[])
              AS fresh (tenant_id, event_id, timestamp, digest)
         ON CONFLICT DO NOTHING
         RETURNING tenant_id, event_id",
    )
    .bind(tenants)
    .bind(ids)
    .bind(period.opened_on)
    .bind(timestamps)
    .bind(digests)
    .fetch_all(&mut **transaction)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(tenant, id)| (TenantId(tenant), id))
        .collect())
}
