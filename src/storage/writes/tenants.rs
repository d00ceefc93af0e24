//! Stores tenants.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, EntityTrait};

use crate::storage::StorageError;
use crate::storage::entity::tenant;

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
