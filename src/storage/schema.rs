//! Brings the schema up and down; safe when several processes start at once.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};

use super::StorageError;
use super::server::connect_options;

/// Names the advisory lock that whoever changes the schema holds.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('tidewater schema'))";

/// A step of the schema and whether it is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Applies every step that is missing; waits while another process does so.
///
/// # Errors
/// When the database cannot be reached or refuses a step; steps before it stay.
pub async fn up(url: &str) -> Result<(), StorageError> {
    let db = connect(url).await?;
    // Held by a transaction of its own: it goes with its holder, and PgBouncer lets it through.
    let lock = db.begin().await?;
    lock.execute_unprepared(LOCK).await?;
    Migrator::up(&db, None).await?;
    lock.commit().await?;
    Ok(())
}

/// Takes back the newest `steps`, or all: their tables go with all that is in them.
///
/// # Errors
/// As [`up`].
pub async fn down(url: &str, steps: Option<u32>) -> Result<(), StorageError> {
    let db = connect(url).await?;
    let lock = db.begin().await?;
    lock.execute_unprepared(LOCK).await?;
    Migrator::down(&db, steps).await?;
    lock.commit().await?;
    Ok(())
}

/// Lists the steps, oldest first; changes nothing.
///
/// # Errors
/// When the database cannot be reached.
pub async fn status(db: &DatabaseConnection) -> Result<Vec<Step>, StorageError> {
    let pending = Migrator::get_pending_migrations_read_only(db).await?;
    let is_pending = |name: &str| pending.iter().any(|step| step.name() == name);
    let steps = Migrator::migrations().into_iter().map(|step| Step {
        applied: !is_pending(step.name()),
        name: step.name().to_owned(),
    });
    Ok(steps.collect())
}

/// A pool of its own: a step may take longer than a question may.
async fn connect(url: &str) -> Result<DatabaseConnection, StorageError> {
    let mut options = connect_options(url)?;
    options
        .max_connections(2)
        .sqlx_logging(false)
        .connect_timeout(std::time::Duration::from_secs(5))
        .acquire_timeout(std::time::Duration::from_secs(5));
    Ok(Database::connect(options).await?)
}
