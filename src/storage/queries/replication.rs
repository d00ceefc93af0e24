//! How far has a server come in the log, and of which history is it?

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use crate::storage::StorageError;

/// Whose log it is: positions tell something of each other only within one.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct History {
    /// The cluster: named by `initdb`, and so are all copies of its files.
    pub cluster: i64,
    /// Histories part where a standby becomes a primary.
    pub timeline: i64,
    /// The database in it.
    pub installation: String,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Position {
    /// In which log.
    #[sea_orm(nested)]
    pub history: History,
    /// Whether it follows another server.
    pub is_standby: bool,
    /// How far, in bytes: a primary has written its log up to here, a standby has replayed it.
    pub bytes: i64,
}

/// What is acknowledged has been written before, so it lies before this position.
const PRIMARY: &str = "
    SELECT system_identifier AS cluster,
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline,
           current_database() || ':' || installation_id AS installation,
           false AS is_standby,
           (pg_current_wal_lsn() - '0/0')::bigint AS bytes
    FROM installation, pg_control_system()";

/// No function tells which timeline is replayed just now. The control file tells the last one that
/// was made safe: after a fail-over it lags behind for minutes at the most, and never runs ahead.
const STANDBY: &str = "
    SELECT system_identifier AS cluster,
           greatest(timeline_id, min_recovery_end_timeline)::bigint AS timeline,
           current_database() || ':' || installation_id AS installation,
           pg_is_in_recovery() AS is_standby,
           coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS bytes
    FROM installation, pg_control_system(), pg_control_checkpoint(), pg_control_recovery()";

/// How far the log of a primary is written.
///
/// # Errors
/// When the server cannot be reached, is a standby or has no schema yet.
pub async fn written(db: &impl ConnectionTrait) -> Result<Position, StorageError> {
    position(db, PRIMARY).await
}

/// How far a standby has replayed it.
///
/// # Errors
/// When the server cannot be reached or has no schema yet.
pub async fn replayed(db: &impl ConnectionTrait) -> Result<Position, StorageError> {
    position(db, STANDBY).await
}

async fn position(db: &impl ConnectionTrait, sql: &str) -> Result<Position, StorageError> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = Position::find_by_statement(statement).one(db).await?;
    row.ok_or_else(|| StorageError::Bug("the installation has no name".to_owned()))
}
