//! Where PostgreSQL and Redis are: from the environment, or from what `make services` left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The services that tests use.
pub struct Services {
    /// A PostgreSQL on which databases may be made.
    pub database_url: String,
    /// A Redis.
    pub redis_url: String,
    /// A PostgreSQL installation.
    pub postgres_dir: PathBuf,
    /// The directory of CDNOW's logs.
    pub cdnow_dir: PathBuf,
}

/// The services, or a panic that says how to start them.
pub fn services() -> &'static Services {
    static SERVICES: LazyLock<Services> = LazyLock::new(|| {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".services/env");
        let file = std::fs::read_to_string(file).unwrap_or_default();
        let written: HashMap<&str, &str> = file
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let find = |name: &str| {
            std::env::var(name)
                .ok()
                .or_else(|| written.get(name).map(ToString::to_string))
                .unwrap_or_else(|| {
                    panic!("{name} is not set: run `make test`, or `make services` first")
                })
        };
        Services {
            database_url: find("TIDEWATER_TEST_DATABASE_URL"),
            redis_url: find("TIDEWATER_TEST_REDIS_URL"),
            postgres_dir: find("TIDEWATER_TEST_POSTGRES_DIR").into(),
            cdnow_dir: find("TIDEWATER_TEST_CDNOW_DIR").into(),
        }
    });
    &SERVICES
}
