//! Stores and revokes API keys; of the secret only its hash.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::api_key;

/// A key to store.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Names it from now on.
    pub id: Uuid,
    /// Whose data it opens.
    pub tenant: TenantId,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The secret's first characters.
    pub prefix: String,
    /// The secret's SHA-256.
    pub hash: Vec<u8>,
}

/// Stores a key; if one with the same secret is there, that one stays as it is.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &DatabaseConnection,
    key: NewKey,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = api_key::ActiveModel {
        api_key_id: Set(key.id),
        tenant_id: Set(key.tenant.0),
        label: Set(key.label),
        scopes: Set(key.scopes),
        prefix: Set(key.prefix),
        key_hash: Set(key.hash),
        created_at: Set(now),
        revoked_at: Set(None),
    };
    api_key::Entity::insert(row)
        .on_conflict(
            OnConflict::column(api_key::Column::KeyHash)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db)
        .await?;
    Ok(())
}

/// Revokes a key; says whether there was one that was not revoked.
///
/// # Errors
/// When the database cannot be reached.
pub async fn revoke(
    db: &DatabaseConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let result = api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, Expr::value(now))
        .filter(api_key::Column::ApiKeyId.eq(id))
        .filter(api_key::Column::RevokedAt.is_null())
        .exec(db)
        .await?;
    Ok(result.rows_affected > 0)
}
