//! Stores tenants.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, EntityTrait, TransactionTrait};
use serde_json::json;

use super::audit::{Entry, append};
use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;
use crate::storage::entity::tenant;
use crate::storage::queries::keys;

/// A tenant to store.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// What operators call it.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// IANA.
    pub timezone: String,
}

/// Stores a tenant; none if there is one of its name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &DatabaseConnection,
    new: NewTenant,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Option<tenant::Model>, StorageError> {
    let transaction = db.begin().await?;
    let row = tenant::ActiveModel {
        name: Set(new.name.clone()),
        reporting_currency: Set(new.currency.clone()),
        timezone: Set(new.timezone.clone()),
        created_at: Set(now),
        ..Default::default()
    };
    let stored = tenant::Entity::insert(row)
        .on_conflict(
            OnConflict::column(tenant::Column::Name)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(&transaction)
        .await?;
    if stored == 0 {
        return Ok(None);
    }
    let made = keys::tenant(&transaction, &new.name).await?;
    let made = made.ok_or_else(|| StorageError::Bug(format!("tenant {} is gone", new.name)))?;
    let entry = Entry {
        at: now,
        tenant: Some(TenantId(made.tenant_id)),
        actor,
        action: Action::TenantCreated,
        subject: new.name,
        details: json!({"currency": new.currency, "timezone": new.timezone}),
    };
    append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(Some(made))
}

/// Stores a tenant if there is none of its name.
///
/// # Errors
/// When the database cannot be reached.
pub async fn ensure(db: &DatabaseConnection, name: &str) -> Result<(), StorageError> {
    let row = tenant::ActiveModel {
        name: Set(name.to_owned()),
        ..Default::default()
    };
    tenant::Entity::insert(row)
        .on_conflict(
            OnConflict::column(tenant::Column::Name)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db)
        .await?;
    Ok(())
}
