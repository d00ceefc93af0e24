//! What is logged.

use clap::Args;

/// The filter of the logs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogConfig {
    /// What to log, as in `info,tidewater=debug`.
    #[arg(
        global = true,
        long = "log",
        env = "RUST_LOG",
        value_name = "FILTER",
        default_value = "info,sqlx=warn,sea_orm_migration=warn"
    )]
    pub filter: String,
}
