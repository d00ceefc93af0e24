//! How long what was sent is remembered, and how ingest watches itself.

use clap::Args;

/// Ingest.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Ingest")]
pub struct IngestConfig {
    /// For how many days after its receipt an event's id is remembered: sent again within them, it
    /// is a duplicate. Receipts can be read as long.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_IDEMPOTENCY_DAYS",
        value_name = "DAYS",
        default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(1..=366)
    )]
    pub idempotency_days: u32,

    /// For how many days after its receipt a quarantined event is kept, replayed and discarded
    /// ones too.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_QUARANTINE_DAYS",
        value_name = "DAYS",
        default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    pub quarantine_days: u32,

    /// Every how many seconds an event of our own is sent, to a tenant of its own, and timed until
    /// a question finds it. 0: never.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_CANARY_SECONDS",
        value_name = "SECONDS",
        default_value_t = 60
    )]
    pub canary_seconds: u32,

    /// How many milliseconds that may take before the log says that ingest lags.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_CANARY_OBJECTIVE_MS",
        value_name = "MILLISECONDS",
        default_value_t = 1_000
    )]
    pub canary_objective_ms: u32,
}
