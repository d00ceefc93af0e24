//! What may be asked.

use clap::Args;

/// Bounds of questions.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Questions")]
pub struct QuestionConfig {
    /// How many rows a question may go through, by an estimate that is made before it is answered:
    /// one that would take more is refused. 0: no limit.
    #[arg(
        global = true,
        long = "max-query-rows",
        env = "TIDEWATER_MAX_QUERY_ROWS",
        value_name = "ROWS",
        default_value = "200000000"
    )]
    pub max_rows: u64,
}
