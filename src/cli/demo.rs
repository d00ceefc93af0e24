//! `tidewater demo`: loads the demo into a running server, says where to look, and goes on
//! sending traffic until it is stopped.

mod catalogue;
mod client;
mod event;
mod history;
mod shelves;
mod shop;
mod traffic;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::value::RawValue;

use super::import::cdnow;
use super::import::source::Source;
use super::{Failure, stop_signal};
use crate::clock::Clock;
use crate::config::Secret;
use shop::{SESSIONS_PER_MINUTE, Shop};

/// The shop is the same on every machine.
const SEED: u64 = 20;

/// Which server.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// The server's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// A key with the scopes ingest and read.
    #[arg(
        long,
        env = "TIDEWATER_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    key: Secret,
    /// CDNOW's transaction log (CDNOW_sample.txt or CDNOW_master.txt), as a past to look at.
    #[arg(long, value_name = "FILE")]
    cdnow: Option<PathBuf>,
    /// How many visits a minute the live traffic has on average.
    #[arg(long, default_value_t = SESSIONS_PER_MINUTE)]
    sessions_per_minute: f64,
    /// Load and end, without live traffic.
    #[arg(long)]
    load_only: bool,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if !(0.0..=100_000.0).contains(&self.sessions_per_minute) {
            return Err("--sessions-per-minute is from 0 to 100000".into());
        }
        let stopping = stop_signal()?;
        let shop = Shop {
            url: self.url.trim_end_matches('/').to_owned(),
            key: self.key.reveal().to_owned(),
            sessions_per_minute: self.sessions_per_minute,
            seed: SEED,
        };
        let clock = Clock::System;
        let now = || clock.now();
        let loading = async {
            if let Some(file) = &self.cdnow {
                load_cdnow(&shop, file).await?;
            }
            let progress = ProgressBar::new(0);
            let loaded = shop.load(now, &progress).await?;
            progress.finish();
            if let Some(reason) = loaded.first_rejection {
                return Err(
                    format!("the server rejected {} events: {reason}", loaded.rejected).into(),
                );
            }
            Ok::<_, Failure>(())
        };
        match stopping.run_until_cancelled(loading).await {
            None => return Ok(()),
            Some(result) => result?,
        }
        println!("{}", self.invitation());
        if self.load_only {
            return Ok(());
        }
        let progress = ProgressBar::new_spinner();
        progress.enable_steady_tick(Duration::from_millis(120));
        let streamed = shop.stream(now, &progress, stopping).await?;
        progress.finish_and_clear();
        eprintln!("sent {streamed}");
        Ok(())
    }

    /// What a newcomer needs next.
    fn invitation(&self) -> String {
        let url = self.url.trim_end_matches('/');
        let key = self.key.reveal();
        format!(
            r#"
Tidewater is running.

  explore   {url}/graphiql#key={key}
  API       {url}/graphql
  key       {key}

Ask it something:

  curl -s {url}/graphql -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
    -d '{{"query":"{{ sales(range: {{from: \"1997-01-01T00:00:00Z\", to: \"1998-07-01T00:00:00Z\"}}, granularity: QUARTER) {{ buckets {{ start revenue orders units averageOrderValue }} totals {{ revenue orders buyers }} }} }}"}}'

Live numbers move in the explorer: subscription {{ liveSales(window: ONE_HOUR) {{ revenue orders }} }}
Stop with Ctrl-C; the data stays.
"#
        )
    }
}

/// Sends the log through the public API.
async fn load_cdnow(shop: &Shop, file: &Path) -> Result<(), Failure> {
    let mut source = Source::open(file, cdnow::Reader::default())?;
    let progress = source.progress("CDNOW");
    loop {
        let events = source.next_batch(1_000)?;
        if events.is_empty() {
            break;
        }
        let readable = events.into_iter().map(|(line, event)| {
            event.map_err(|why| format!("{}: line {line}: {why}", file.display()))
        });
        let events: Vec<Box<RawValue>> = readable.collect::<Result<_, String>>()?;
        let rejection = shop.send(&events, &progress).await?;
        if let Some(reason) = rejection {
            return Err(format!("{}: {reason}", file.display()).into());
        }
        progress.set_position(source.bytes_read());
    }
    progress.finish();
    Ok(())
}
