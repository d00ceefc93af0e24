//! Who gets in.

use clap::Args;

use super::Secret;

/// The first key.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access")]
pub struct AccessConfig {
    /// A string that is accepted as an admin key of the default tenant (16 characters or more);
    /// stored, hashed, once at start. Make further keys with `tidewater keys create`.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_BOOTSTRAP_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub bootstrap_key: Option<Secret>,
}

impl AccessConfig {
    /// The first key, unless it is set to nothing.
    #[must_use]
    pub fn bootstrap_key(&self) -> Option<&Secret> {
        self.bootstrap_key.as_ref().filter(|key| !key.is_empty())
    }
}
