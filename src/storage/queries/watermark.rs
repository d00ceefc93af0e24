//! How long ago was the newest stored event received, of all tenants?

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::storage::StorageError;

/// Reads a row for each tenant.
const SQL: &str = "
    SELECT extract(epoch FROM now() - max(received_at))::double precision AS seconds FROM watermark";

/// In seconds; nothing before the first event.
///
/// # Errors
/// When the database cannot be reached.
pub async fn age(db: &impl ConnectionTrait) -> Result<Option<f64>, StorageError> {
    let statement = Statement::from_string(DbBackend::Postgres, SQL);
    let row = db.query_one_raw(statement).await?;
    let seconds = row.map(|row| row.try_get::<Option<f64>>("", "seconds"));
    Ok(seconds.transpose()?.flatten())
}
