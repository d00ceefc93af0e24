//! How events are taken, how long they are remembered, and how ingest watches itself.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::domain::ip_address::IpAddresses;

/// When events are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IngestMode {
    /// After the database's commit.
    Direct,
    /// After a durable append to a Redis Stream, which workers write to the database.
    Stream,
}

/// When a Redis writes what it took to its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FsyncPolicy {
    /// Never, or when the operating system likes: what it took may be lost.
    None,
    /// Every second: a machine that loses its power loses up to the last two.
    Everysec,
    /// Before it answers.
    Always,
}

/// What is kept of IP addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeptAddresses {
    /// All of them.
    Full,
    /// Their networks.
    Truncated,
    /// Nothing.
    Dropped,
}

/// Ingest.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Ingest")]
pub struct IngestConfig {
    /// When events are acknowledged: `direct`, after the database's commit, or `stream`, after a
    /// durable append to a Redis Stream. Unset: stream with a Redis, else direct.
    #[arg(
        global = true,
        long = "ingest",
        env = "TIDEWATER_INGEST",
        value_name = "MODE"
    )]
    pub mode: Option<IngestMode>,

    /// How many streams the users are spread over: 1 to 64.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_STREAM_PARTITIONS",
        value_name = "N",
        default_value = "4",
        value_parser = clap::value_parser!(u16).range(1..=64)
    )]
    pub stream_partitions: u16,

    /// How many mebibytes of events the streams may hold together before senders are asked to
    /// come back later.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_STREAM_MAX_MIB",
        value_name = "MIB",
        default_value = "512",
        value_parser = clap::value_parser!(u64).range(1..=1_048_576)
    )]
    pub stream_max_mib: u64,

    /// After how many seconds another worker takes over what one has left lying.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_STREAM_CLAIM_SECONDS",
        value_name = "SECONDS",
        default_value = "60",
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    pub stream_claim_seconds: u64,

    /// Whether a Redis that persists nothing, or that evicts keys, is good enough.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_STREAM_ALLOW_VOLATILE",
        value_name = "BOOL",
        default_value = "false",
        action = ArgAction::Set
    )]
    pub stream_allow_volatile: bool,

    /// What to believe of a Redis that does not tell its settings. Unset: it is asked.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_STREAM_DURABILITY",
        value_name = "POLICY"
    )]
    pub stream_durability: Option<FsyncPolicy>,

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

    /// What is kept of IP addresses in events where their tenant says nothing: all of them (full),
    /// their networks (truncated: IPv4 /24, IPv6 /48), or nothing (dropped).
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_IP_ADDRESSES",
        value_name = "WHAT",
        default_value = "truncated"
    )]
    pub ip_addresses: KeptAddresses,

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

impl IngestConfig {
    /// What is kept of IP addresses where their tenant says nothing.
    #[must_use]
    pub fn addresses(&self) -> IpAddresses {
        match self.ip_addresses {
            KeptAddresses::Full => IpAddresses::Full,
            KeptAddresses::Truncated => IpAddresses::Truncated,
            KeptAddresses::Dropped => IpAddresses::Dropped,
        }
    }

    /// How long an event's id is remembered.
    #[must_use]
    pub fn idempotency_window(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.idempotency_days))
    }
}
