//! Stores what tenants decided about people's data.

use chrono::{DateTime, Utc};
use sea_orm::sqlx;

use crate::domain::ip_address::IpAddresses;
use crate::domain::tenant::TenantId;
use crate::storage::queries::privacy::PrivacyPolicy;
use crate::storage::{Db, StorageError};

/// Puts a policy in the place of the one that is there; what is gone already stays gone.
///
/// # Errors
/// When the database cannot be reached.
pub async fn put(
    db: &Db,
    tenant: TenantId,
    policy: &PrivacyPolicy,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO privacy_policy (tenant_id, ip_addresses, events_days, quarantine_days,
                                     receipts_days, exports_hours, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id) DO UPDATE
         SET ip_addresses = excluded.ip_addresses, events_days = excluded.events_days,
             quarantine_days = excluded.quarantine_days, receipts_days = excluded.receipts_days,
             exports_hours = excluded.exports_hours, updated_at = excluded.updated_at",
    )
    .bind(tenant.0)
    .bind(policy.ip_addresses.map(IpAddresses::name))
    .bind(policy.events_days)
    .bind(policy.quarantine_days)
    .bind(policy.receipts_days)
    .bind(policy.exports_hours)
    .bind(at)
    .execute(db.writes())
    .await?;
    Ok(())
}
