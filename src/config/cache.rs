//! What is kept of answers.

use clap::Args;

/// The cache.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache")]
pub struct CacheConfig {
    /// How many bytes of answers a process keeps in its memory, for as long as they are true; with
    /// REDIS_URL, Redis keeps them for ten minutes, too. 0: nothing is kept, and every question is asked
    /// of the database.
    #[arg(
        global = true,
        long = "cache-bytes",
        env = "TIDEWATER_CACHE_BYTES",
        value_name = "BYTES",
        default_value = "67108864"
    )]
    pub bytes: u64,
}
