//! What tests stand on: services, databases, servers in this process and beside it, builders.

mod app;
mod database;
mod events;
mod facts;
mod process;
mod proxy;
mod redis;
mod replicated;
mod services;
mod socket;

pub use self::redis::Redis;
pub use app::{TestApp, answer, config};
pub use database::TestDb;
pub use events::{Order, pageview};
pub use facts::assert_consistent;
pub use process::{Process, free_port, program};
pub use proxy::{Proxy, Side};
pub use replicated::Replicated;
pub use services::services;
pub use socket::Subscription;

/// The admin key of every test's default tenant.
pub const KEY: &str = "a-key-for-tests-0123456789";
