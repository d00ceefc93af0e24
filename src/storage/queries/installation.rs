//! Which installation is this?

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult, Statement};

use crate::storage::StorageError;

#[derive(Debug, FromQueryResult)]
struct Row {
    name: String,
}

/// A name that all processes on this database share and no other database has, a copy of this one
/// on the same server included.
///
/// # Errors
/// When the database cannot be reached or has no schema yet.
pub async fn installation(db: &DatabaseConnection) -> Result<String, StorageError> {
    let statement = Statement::from_string(
        DbBackend::Postgres,
        "SELECT current_database() || ':' || installation_id AS name FROM installation",
    );
    let row = Row::find_by_statement(statement).one(db).await?;
    row.map(|row| row.name)
        .ok_or_else(|| StorageError::Bug("the installation has no name".to_owned()))
}
