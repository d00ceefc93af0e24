//! The database schema, step by step.
//!
//! Each step is a pair of SQL files in `sql/`: what it makes and what undoes it. A step is frozen
//! once it has landed: a change is a new step. No step imports an entity, so that old steps keep
//! their meaning when the entities move on. The next step: two files, one line in [`STEPS`].

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::MigratorTrait;

/// A step's name and its two SQL files.
macro_rules! step {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("sql/", $name, ".up.sql")),
            include_str!(concat!("sql/", $name, ".down.sql")),
        )
    };
}

/// The steps, oldest first: name, up, down.
const STEPS: [(&str, &str, &str); 23] = [
    step!("m0001_tenants"),
    step!("m0002_catalogue"),
    step!("m0003_facts"),
    step!("m0004_idempotency"),
    step!("m0005_rollups"),
    step!("m0006_event_shape"),
    step!("m0007_idempotency_log"),
    step!("m0008_rollup_parts"),
    step!("m0009_identity"),
    step!("m0010_intake"),
    step!("m0011_stream"),
    step!("m0012_classification"),
    step!("m0013_quarters"),
    step!("m0014_changes"),
    step!("m0015_summaries"),
    step!("m0016_exports"),
    step!("m0017_keys"),
    step!("m0018_audit"),
    step!("m0019_privacy"),
    step!("m0020_visits"),
    step!("m0021_listed_documents"),
    step!("m0022_devices"),
    step!("m0023_user_splits"),
];

/// Runs [`STEPS`].
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        STEPS
            .into_iter()
            .map(|(name, up, down)| Box::new(SqlStep { name, up, down }) as Box<dyn MigrationTrait>)
            .collect()
    }
}

struct SqlStep {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

impl MigrationName for SqlStep {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlStep {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.up).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(self.down)
            .await?;
        Ok(())
    }
}
