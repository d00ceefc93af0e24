//! Stores, rotates and revokes API keys; of a secret only its hash.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbBackend,
    EntityTrait, IntoActiveModel, QueryFilter, Statement, TransactionTrait,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit::{Entry, append};
use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::api_key;
use crate::storage::queries::keys::key;

/// A key to store.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Names it from now on.
    pub id: Uuid,
    /// Whose data it opens.
    pub tenant: TenantId,
    /// What it is for.
    pub label: String,
    /// 0 for servers, 1 for browsers.
    pub kind: i16,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The secret's first characters.
    pub prefix: String,
    /// What is kept of the secret.
    pub hash: Vec<u8>,
    /// As which else it may be kept already.
    pub older_hashes: Vec<Vec<u8>>,
    /// When it opens nothing more.
    pub expires_at: Option<DateTime<Utc>>,
    /// The pages it may be used from.
    pub allowed_origins: Vec<String>,
    /// The networks it may be used from.
    pub allowed_ips: Vec<String>,
    /// Which rows it sees.
    pub row_scope: Option<Value>,
    /// How much it may do.
    pub quota: Option<Value>,
    /// Whether it may run listed documents alone.
    pub persisted_only: bool,
}

/// Stores a key; if one with the same secret is there, or had it before, that one stays as it is.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &impl TransactionTrait<Transaction = sea_orm::DatabaseTransaction>,
    new: NewKey,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let transaction = db.begin().await?;
    let known = api_key::Entity::find()
        .filter(
            Condition::any()
                .add(api_key::Column::ApiKeyId.eq(new.id))
                .add(api_key::Column::KeyHash.is_in(new.older_hashes.clone()))
                .add(api_key::Column::PreviousHash.eq(new.hash.clone()))
                .add(api_key::Column::PreviousHash.is_in(new.older_hashes)),
        )
        .one(&transaction)
        .await?;
    if known.is_some() {
        return Ok(());
    }
    let details = json!({
        "name": new.label,
        "kind": new.kind,
        "scopes": new.scopes,
        "expiresAt": new.expires_at,
        "allowedOrigins": new.allowed_origins,
        "allowedIps": new.allowed_ips,
        "rowScope": new.row_scope,
        "quota": new.quota,
        "persistedOnly": new.persisted_only,
    });
    let row = api_key::ActiveModel {
        api_key_id: Set(new.id),
        tenant_id: Set(new.tenant.0),
        label: Set(new.label),
        kind: Set(new.kind),
        scopes: Set(new.scopes),
        prefix: Set(new.prefix),
        key_hash: Set(new.hash),
        created_at: Set(now),
        expires_at: Set(new.expires_at),
        allowed_origins: Set(new.allowed_origins),
        allowed_ips: Set(new.allowed_ips),
        row_scope: Set(new.row_scope),
        quota: Set(new.quota),
        persisted_only: Set(new.persisted_only),
        ..Default::default()
    };
    let stored = api_key::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(&transaction)
        .await?;
    if stored > 0 {
        let entry = Entry {
            at: now,
            tenant: Some(new.tenant),
            actor,
            action: Action::KeyCreated,
            subject: new.id.to_string(),
            details,
        };
        append(&transaction, entry).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Gives a key another secret: until `overlap_until` the one before opens, too, and from then on it
/// does not. None if there is no such key that is not revoked.
///
/// # Errors
/// When the database cannot be reached.
pub async fn rotate(
    db: &DatabaseConnection,
    (tenant, id): (Option<TenantId>, Uuid),
    (prefix, hash): (String, Vec<u8>),
    overlap_until: DateTime<Utc>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Option<api_key::Model>, StorageError> {
    let transaction = db.begin().await?;
    let found = key(&transaction, tenant, id).await?;
    let Some(found) = found.filter(|key| key.revoked_at.is_none()) else {
        return Ok(None);
    };
    let owner = TenantId(found.tenant_id);
    let previous = found.key_hash.clone();
    let mut changed = found.into_active_model();
    changed.prefix = Set(prefix);
    changed.key_hash = Set(hash);
    changed.previous_hash = Set(Some(previous));
    changed.previous_until = Set(Some(overlap_until));
    let rotated = changed.update(&transaction).await?;
    let entry = Entry {
        at: now,
        tenant: Some(owner),
        actor,
        action: Action::KeyRotated,
        subject: id.to_string(),
        details: json!({"overlapUntil": overlap_until}),
    };
    append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(Some(rotated))
}

/// Revokes a key; none if there is no such key that was not revoked.
///
/// # Errors
/// When the database cannot be reached.
pub async fn revoke(
    db: &DatabaseConnection,
    (tenant, id): (Option<TenantId>, Uuid),
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Option<api_key::Model>, StorageError> {
    let transaction = db.begin().await?;
    let found = key(&transaction, tenant, id).await?;
    let Some(found) = found.filter(|key| key.revoked_at.is_none()) else {
        return Ok(None);
    };
    let owner = TenantId(found.tenant_id);
    let mut changed = found.into_active_model();
    changed.revoked_at = Set(Some(now));
    let revoked = changed.update(&transaction).await?;
    let entry = Entry {
        at: now,
        tenant: Some(owner),
        actor,
        action: Action::KeyRevoked,
        subject: id.to_string(),
        details: json!({}),
    };
    append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(Some(revoked))
}

/// Keeps a key as another hash of the same secret. Nothing that it opens changes.
///
/// # Errors
/// When the database cannot be reached.
pub async fn rehash(
    db: &DatabaseConnection,
    id: Uuid,
    old: &[u8],
    new: &[u8],
) -> Result<(), StorageError> {
    api_key::Entity::update_many()
        .col_expr(api_key::Column::KeyHash, Expr::value(new.to_vec()))
        .filter(api_key::Column::ApiKeyId.eq(id))
        .filter(api_key::Column::KeyHash.eq(old.to_vec()))
        .exec(db)
        .await?;
    Ok(())
}

/// When a key was used last.
#[derive(Clone, Debug)]
pub struct Use {
    /// Which.
    pub key: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// From where, truncated.
    pub address: Option<String>,
}

/// Notes when keys were used last, unless it is known that they were used since: one statement.
///
/// # Errors
/// When the database cannot be reached.
pub async fn note_used(db: &DatabaseConnection, all: &[Use]) -> Result<(), StorageError> {
    let keys: Vec<Uuid> = all.iter().map(|one| one.key).collect();
    let times: Vec<DateTime<Utc>> = all.iter().map(|one| one.at).collect();
    // An array of texts holds no nulls here.
    let addresses = all
        .iter()
        .map(|one| one.address.clone().unwrap_or_default());
    let addresses: Vec<String> = addresses.collect();
    let noted = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE api_key SET last_used_at = used.at, last_used_address = nullif(used.address, '')
         FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS used (id, at, address)
         WHERE api_key_id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
        [keys.into(), times.into(), addresses.into()],
    );
    db.execute_raw(noted).await?;
    Ok(())
}
