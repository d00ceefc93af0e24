//! Which key is this? Which are there, and of whom? And which changed?

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait,
    FromQueryResult, QueryFilter, QueryOrder, Statement,
};
use uuid::Uuid;

use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::{api_key, tenant};

/// The key that is kept as one of these hashes, or was before its last rotation, and its tenant; also
/// one that was revoked. By the unique indexes on both.
///
/// # Errors
/// When the database cannot be reached.
pub async fn find(
    db: &DatabaseConnection,
    hashes: Vec<Vec<u8>>,
) -> Result<Option<(api_key::Model, tenant::Model)>, StorageError> {
    use api_key::Column::{KeyHash, PreviousHash};
    let either = Condition::any()
        .add(KeyHash.is_in(hashes.clone()))
        .add(PreviousHash.is_in(hashes));
    let found = api_key::Entity::find()
        .filter(either)
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
    db: &impl ConnectionTrait,
    tenant: TenantId,
) -> Result<Vec<api_key::Model>, StorageError> {
    Ok(api_key::Entity::find()
        .filter(api_key::Column::TenantId.eq(tenant.0))
        .order_by_asc(api_key::Column::CreatedAt)
        .all(db)
        .await?)
}

/// A key by its id; of this tenant, if one is given.
///
/// # Errors
/// When the database cannot be reached.
pub async fn key(
    db: &impl ConnectionTrait,
    tenant: Option<TenantId>,
    id: Uuid,
) -> Result<Option<api_key::Model>, StorageError> {
    let key = api_key::Entity::find_by_id(id).one(db).await?;
    Ok(key.filter(|key| tenant.is_none_or(|tenant| key.tenant_id == tenant.0)))
}

/// What keys are hashed with where nothing is set.
///
/// # Errors
/// When the database cannot be reached or has no schema yet.
pub async fn secret(db: &DatabaseConnection) -> Result<Vec<u8>, StorageError> {
    let statement = Statement::from_string(DbBackend::Postgres, "SELECT secret FROM installation");
    let row = db.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| StorageError::Bug("the installation has no secret".to_owned()))?;
    Ok(row.try_get("", "secret")?)
}

/// How many changes of keys there were, and those after a number with the keys they changed, by
/// `api_key_changed`.
///
/// # Errors
/// When the database cannot be reached.
pub async fn changes(
    db: &DatabaseConnection,
    since: i64,
) -> Result<(i64, Vec<(Uuid, i64)>), StorageError> {
    #[derive(FromQueryResult)]
    struct Row {
        keys_changed: i64,
        api_key_id: Option<Uuid>,
        changed: Option<i64>,
    }
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT keys_changed, api_key_id, changed
         FROM installation LEFT JOIN api_key ON changed > $1",
        [since.into()],
    );
    let rows = Row::find_by_statement(statement).all(db).await?;
    let now = rows.first().map(|row| row.keys_changed);
    let now = now.ok_or_else(|| StorageError::Bug("there is no installation".to_owned()))?;
    let changed = rows.into_iter();
    let changed = changed.filter_map(|row| Some((row.api_key_id?, row.changed?)));
    Ok((now, changed.collect()))
}

/// The tenant of this name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn tenant(
    db: &impl ConnectionTrait,
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
