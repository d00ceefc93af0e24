//! `tidewater serve`.

use clap::Args;

use super::{Failure, stop_signal};
use crate::app::{App, Role};
use crate::clock::Clock;
use crate::config::Config;

/// What to run.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// What this process does; several may run side by side on one database.
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
}

impl Serve {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let stop = stop_signal()?;
        let app = Box::pin(App::build(config, self.role, Clock::System)).await?;
        Box::pin(app.run_until_stopped(stop)).await;
        Ok(())
    }
}
