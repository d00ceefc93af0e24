//! What has a tenant decided about people's data, and how many people were erased?

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult, Statement};

use crate::domain::ip_address::IpAddresses;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What a tenant decided; what is absent is as the server is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivacyPolicy {
    /// What is kept of IP addresses.
    pub ip_addresses: Option<IpAddresses>,
    /// For how many days events are kept, by their own time.
    pub events_days: Option<i32>,
    /// For how many days quarantined events are kept after their receipt.
    pub quarantine_days: Option<i32>,
    /// For how many days receipts are kept.
    pub receipts_days: Option<i32>,
    /// For how many hours the files of exports are kept.
    pub exports_hours: Option<i32>,
    /// Events of before this moment are gone.
    pub kept_from: Option<DateTime<Utc>>,
}

#[derive(FromQueryResult)]
struct Row {
    tenant_id: i32,
    ip_addresses: Option<String>,
    events_days: Option<i32>,
    quarantine_days: Option<i32>,
    receipts_days: Option<i32>,
    exports_hours: Option<i32>,
    kept_from: Option<DateTime<Utc>>,
}

impl From<Row> for PrivacyPolicy {
    fn from(row: Row) -> Self {
        Self {
            ip_addresses: row.ip_addresses.as_deref().and_then(IpAddresses::from_name),
            events_days: row.events_days,
            quarantine_days: row.quarantine_days,
            receipts_days: row.receipts_days,
            exports_hours: row.exports_hours,
            kept_from: row.kept_from,
        }
    }
}

/// By the key; every tenant's where none is named.
const SQL: &str = "
    SELECT tenant_id, ip_addresses, events_days, quarantine_days, receipts_days, exports_hours,
           kept_from
    FROM privacy_policy WHERE $1::integer IS NULL OR tenant_id = $1";

/// What a tenant decided.
///
/// # Errors
/// When the database cannot be reached.
pub async fn policy(
    db: &DatabaseConnection,
    tenant: TenantId,
) -> Result<PrivacyPolicy, StorageError> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, [tenant.0.into()]);
    let row = Row::find_by_statement(statement).one(db).await?;
    Ok(row.map(PrivacyPolicy::from).unwrap_or_default())
}

/// What every tenant decided that decided anything.
///
/// # Errors
/// When the database cannot be reached.
pub async fn policies(
    db: &DatabaseConnection,
) -> Result<Vec<(TenantId, PrivacyPolicy)>, StorageError> {
    let values = [None::<i32>.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, values);
    let rows = Row::find_by_statement(statement).all(db).await?;
    let named = rows
        .into_iter()
        .map(|row| (TenantId(row.tenant_id), row.into()));
    Ok(named.collect())
}

/// What a tenant wants kept of IP addresses, if it says.
///
/// # Errors
/// When the database cannot be reached.
pub async fn ip_addresses(
    db: &DatabaseConnection,
    tenant: TenantId,
) -> Result<Option<IpAddresses>, StorageError> {
    Ok(policy(db, tenant).await?.ip_addresses)
}

/// How many erasures are done: whoever keeps answers of before forgets them.
///
/// # Errors
/// When the database cannot be reached.
pub async fn erasures(db: &DatabaseConnection) -> Result<i64, StorageError> {
    #[derive(FromQueryResult)]
    struct Count {
        erasures: i64,
    }
    let sql = "SELECT erasures FROM idempotency_head";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let count = Count::find_by_statement(statement).one(db).await?;
    Ok(count.map_or(0, |count| count.erasures))
}
