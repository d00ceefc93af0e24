//! Makes, lists and revokes keys.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Scope, hash, hex};
use crate::domain::tenant::TenantId;
use crate::storage::entity::{api_key, tenant};
use crate::storage::queries::keys as queries;
use crate::storage::writes::{keys as writes, tenants};
use crate::storage::{Db, StorageError};

/// The tenant that a server begins with.
pub const DEFAULT_TENANT: &str = "default";
/// A bootstrap key of fewer bytes could be guessed.
pub const STRONG_KEY: usize = 16;
/// How much of a secret that was made here a list shows.
const PREFIX: usize = 7;

/// Makes a key and returns its secret, which is not kept.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &Db,
    tenant: TenantId,
    label: &str,
    scopes: &[Scope],
    now: DateTime<Utc>,
) -> Result<String, StorageError> {
    let secret = format!("tw_{}", hex(&rand::random::<[u8; 24]>()));
    let prefix = &secret[..PREFIX];
    store(db, tenant, label, scopes, (&secret, prefix), now).await?;
    Ok(secret)
}

/// Accepts a given secret as an admin key of the default tenant; again changes nothing.
///
/// # Errors
/// When the database cannot be reached.
pub async fn bootstrap(db: &Db, secret: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let tenant = ensure_tenant(db, DEFAULT_TENANT).await?;
    let tenant = TenantId(tenant.tenant_id);
    // Nothing of a secret that may be short is shown.
    let shown = (secret, "");
    store(db, tenant, "bootstrap", &[Scope::Admin], shown, now).await
}

async fn store(
    db: &Db,
    tenant: TenantId,
    label: &str,
    scopes: &[Scope],
    (secret, prefix): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let key = writes::NewKey {
        id: Uuid::new_v4(),
        tenant,
        label: label.to_owned(),
        scopes: scopes.iter().map(|scope| scope.name().to_owned()).collect(),
        prefix: prefix.to_owned(),
        hash: hash(secret).to_vec(),
    };
    writes::create(db.control(), key, now).await
}

/// The keys of a tenant, oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(db: &Db, tenant: TenantId) -> Result<Vec<api_key::Model>, StorageError> {
    queries::list(db.control(), tenant).await
}

/// Revokes a key; says whether there was one that was not revoked.
///
/// # Errors
/// When the database cannot be reached.
pub async fn revoke(db: &Db, id: Uuid, now: DateTime<Utc>) -> Result<bool, StorageError> {
    writes::revoke(db.control(), id, now).await
}

/// The tenant of this name, if there is one.
///
/// # Errors
/// When the database cannot be reached.
pub async fn find_tenant(db: &Db, name: &str) -> Result<Option<tenant::Model>, StorageError> {
    queries::tenant(db.control(), name).await
}

/// The tenant of this name, made if there is none.
///
/// # Errors
/// When the database cannot be reached.
pub async fn ensure_tenant(db: &Db, name: &str) -> Result<tenant::Model, StorageError> {
    tenants::ensure(db.control(), name).await?;
    find_tenant(db, name)
        .await?
        .ok_or_else(|| StorageError::Bug(format!("tenant {name} is gone")))
}
