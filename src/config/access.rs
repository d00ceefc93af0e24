//! Who gets in.

use clap::Args;

use super::Secret;

/// The first key, and the secret that keys are hashed with.
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

    /// What keys are hashed with before they are stored (32 random characters or more), the same for
    /// all processes on a database. Unset: a secret that the database keeps beside the hashes.
    #[arg(
        global = true,
        long = "secret",
        env = "TIDEWATER_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub secret: Option<Secret>,
}

impl AccessConfig {
    /// The first key, unless it is set to nothing.
    #[must_use]
    pub fn bootstrap_key(&self) -> Option<&Secret> {
        self.bootstrap_key.as_ref().filter(|key| !key.is_empty())
    }

    /// What keys are hashed with, unless it is set to nothing.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref().filter(|secret| !secret.is_empty())
    }
}
