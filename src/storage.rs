//! PostgreSQL: what is kept, and every statement that reads or writes it.
//!
//! [`entity`] has the tables, [`queries`] one read a file, [`writes`] the steps of storing a
//! batch. Only this room (and `app` and `cli`, which wire it) knows SeaORM and SQL; it imports
//! `domain` and the leaves. A new question is a new file in `queries/`, with the plan it relies
//! on in its comment.

pub mod db;
pub mod embedded;
pub mod entity;
pub mod error;
mod nodelay;
pub mod partitions;
pub mod queries;
mod replicas;
pub mod schema;
mod server;
mod snapshot;
pub mod writes;

pub use db::{Db, Served};
pub use error::StorageError;
pub use replicas::MAX_STALENESS;
pub use snapshot::Snapshot;

/// What can be asked: a pool or a snapshot.
pub type Executor<'a> = sea_orm::DatabaseExecutor<'a>;
