//! `tidewater worker`: the same as `tidewater serve --role worker`.

use super::{Failure, stop_signal};
use crate::app::{App, Role};
use crate::clock::Clock;
use crate::config::Config;

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let building = App::build(config, Role::Worker, Clock::System);
    let app = building.await?;
    app.run_until_stopped(stop).await;
    Ok(())
}
