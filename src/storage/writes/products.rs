//! Stores a catalogue: what is there is replaced whole.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, Iterable};

use crate::storage::StorageError;
use crate::storage::entity::product::{self, Column};

/// Puts products; their keys must differ.
///
/// # Errors
/// When the database cannot be reached or rejects a value.
pub async fn put(
    db: &DatabaseConnection,
    mut products: Vec<product::Model>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    if products.is_empty() {
        return Ok(());
    }
    products.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
    let rows = products.into_iter().map(|product| {
        let mut row = product.into_active_model();
        row.updated_at = Set(now);
        row.reset_all()
    });
    let is_key = |column: &Column| matches!(column, Column::TenantId | Column::ProductId);
    let replace = OnConflict::columns([Column::TenantId, Column::ProductId])
        .update_columns(Column::iter().filter(|column| !is_key(column)))
        .to_owned();
    product::Entity::insert_many(rows)
        .on_conflict(replace)
        .exec_without_returning(db)
        .await?;
    Ok(())
}
