//! What is kept of what was sent, and how long.

use clap::Args;

/// How long ids and quarantined events are kept.
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
}
