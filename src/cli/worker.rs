//! `tidewater worker`: the same as `tidewater serve --role worker`.

use super::{Failure, stop_signal};
use crate::app::{App, Role};
use crate::clock::Clock;
use crate::config::Config;

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let app = Box::pin(App::build(config, Role::Worker, Clock::System)).await?;
    Box::pin(app.run_until_stopped(stop)).await;
    Ok(())
}
