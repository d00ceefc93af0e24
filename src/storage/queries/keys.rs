//! Which key is this? Which are there, and of whom? By the unique index on the hash.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::{api_key, tenant};

/// The key with this hash that is not revoked, and its tenant.
///
/// # Errors
/// When the database cannot be reached.
pub async fn find(
    db: &DatabaseConnection,
    hash: &[u8],
) -> Result<Option<(api_key::Model, tenant::Model)>, StorageError> {
    let found = api_key::Entity::find()
        .filter(api_key::Column::KeyHash.eq(hash))
        .filter(api_key::Column::RevokedAt.is_null())
        .find_also_related(tenant::Entity)
        .one(db)
        .await?;
    Ok(found.and_then(|(key, tenant)| Some((key, tenant?))))
}

/// Every key of a tenant, oldest first, the revoked ones too.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(
    db: &DatabaseConnection,
    tenant: TenantId,
) -> Result<Vec<api_key::Model>, StorageError> {
    Ok(api_key::Entity::find()
        .filter(api_key::Column::TenantId.eq(tenant.0))
        .order_by_asc(api_key::Column::CreatedAt)
        .all(db)
        .await?)
}

/// The tenant of this name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn tenant(
    db: &DatabaseConnection,
    name: &str,
) -> Result<Option<tenant::Model>, StorageError> {
    Ok(tenant::Entity::find()
        .filter(tenant::Column::Name.eq(name))
        .one(db)
        .await?)
}

/// Every tenant, in the order in which they were made.
///
/// # Errors
/// When the database cannot be reached.
pub async fn tenants(db: &DatabaseConnection) -> Result<Vec<tenant::Model>, StorageError> {
    Ok(tenant::Entity::find()
        .order_by_asc(tenant::Column::TenantId)
        .all(db)
        .await?)
}
