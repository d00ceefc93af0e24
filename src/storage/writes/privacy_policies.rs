//! Stores what tenants decided about people's data.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use serde_json::json;

use super::audit::{Entry, append};
use crate::domain::audit::{Action, Actor};
use crate::domain::ip_address::IpAddresses;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::queries::privacy::PrivacyPolicy;

/// Puts a policy in the place of the one that is there; what is gone already stays gone.
///
/// # Errors
/// When the database cannot be reached.
pub async fn put(
    db: &DatabaseConnection,
    tenant: TenantId,
    policy: &PrivacyPolicy,
    actor: &Actor,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let addresses = policy.ip_addresses.map(IpAddresses::name);
    let transaction = db.begin().await?;
    let putting = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO privacy_policy (tenant_id, ip_addresses, events_days, quarantine_days,
                                     receipts_days, exports_hours, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id) DO UPDATE
         SET ip_addresses = excluded.ip_addresses, events_days = excluded.events_days,
             quarantine_days = excluded.quarantine_days, receipts_days = excluded.receipts_days,
             exports_hours = excluded.exports_hours, updated_at = excluded.updated_at",
        [
            tenant.0.into(),
            addresses.into(),
            policy.events_days.into(),
            policy.quarantine_days.into(),
            policy.receipts_days.into(),
            policy.exports_hours.into(),
            at.into(),
        ],
    );
    transaction.execute_raw(putting).await?;
    let entry = Entry {
        at,
        tenant: Some(tenant),
        actor,
        action: Action::PrivacyPolicyPut,
        subject: tenant.0.to_string(),
        details: json!({
            "ipAddresses": addresses,
            "eventsDays": policy.events_days,
            "quarantineDays": policy.quarantine_days,
            "receiptsDays": policy.receipts_days,
            "exportsHours": policy.exports_hours,
        }),
    };
    append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(())
}
