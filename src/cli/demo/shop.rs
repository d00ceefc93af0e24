//! A made-up shop that talks to a running server through the public HTTP API, as any
//! shop would.
//!
//! `load` puts a catalogue of 300 products and tells the last seven days; `stream` lets visitors
//! in until it is stopped. What they say is made in `catalogue`, `traffic` and `history`,
//! which are pure; `client` sends it. Imports no other room: all it needs is an address and a
//! key.

use super::catalogue::{CURRENCY, Catalogue, decimal};
use super::client::{Client, ClientError};
use super::event::Event;
use super::history;
use super::traffic::Traffic;
use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Sessions a minute when the caller has no wish of their own.
pub(crate) const SESSIONS_PER_MINUTE: f64 = 150.0;

const EVENTS_A_BATCH: usize = 500;
const TICK: Duration = Duration::from_secs(1);
/// Loading gives up after this many attempts at one request: about two minutes of backoff.
const LOAD_ATTEMPTS: u32 = 9;

/// The demo shop. Has no `Debug`, so that its key cannot end up in a log.
pub(crate) struct Shop {
    /// The server's address, such as `http://localhost:8080`.
    pub(crate) url: String,
    /// An API key that may write events and products.
    pub(crate) key: String,
    /// Mean sessions a minute of the live traffic; a day's rhythm goes around it.
    pub(crate) sessions_per_minute: f64,
    /// The same seed makes the same shop with the same past.
    pub(crate) seed: u64,
}

/// What loading did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Products the server stored.
    pub(crate) products: u64,
    /// Events of the past that were new to the server.
    pub(crate) accepted: u64,
    /// Events it had from an earlier load.
    pub(crate) duplicates: u64,
    /// Events whose id it knows with other contents.
    pub(crate) conflicts: u64,
    /// Events it would not take.
    pub(crate) rejected: u64,
    /// Its reason for the first of those.
    pub(crate) first_rejection: Option<String>,
}

/// What streaming has done so far. Displayed, it is the status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streamed {
    /// Events sent and answered.
    pub(crate) events: u64,
    /// Of them, those the server did not take.
    pub(crate) rejected: u64,
    /// The server's reason for the first of those.
    pub(crate) first_rejection: Option<String>,
    /// Purchases among the events sent.
    pub(crate) purchases: u64,
    /// What they brought in, in minor units of the shop's currency.
    pub(crate) revenue: i64,
}

impl Display for Streamed {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            purchases,
            revenue,
            ..
        } = self;
        write!(
            to,
            "{events} events, {purchases} purchases, {} {CURRENCY}",
            decimal(*revenue)
        )?;
        if let Some(reason) = &self.first_rejection {
            write!(to, "; {} rejected: {reason}", self.rejected)?;
        }
        Ok(())
    }
}

impl Shop {
    /// Puts the catalogue and tells the past up to `now`. Loading again changes nothing that is
    /// already there.
    pub(crate) async fn load(
        &self,
        now: impl Fn() -> DateTime<Utc>,
        progress: &ProgressBar,
    ) -> Result<Loaded, ClientError> {
        let catalogue = Catalogue::new(self.seed);
        let events: Vec<Event> = history::history(self.seed, &catalogue, now()).collect();
        let client = Client::new(&self.url, &self.key, Some(LOAD_ATTEMPTS), progress);
        progress.set_style(style("{bar:30} {human_pos}/{human_len} events {msg}"));
        progress.set_length(u64::try_from(events.len()).unwrap_or(u64::MAX));

        let products = client.put_products(catalogue.products()).await?;
        let mut loaded = Loaded {
            products,
            ..Loaded::default()
        };
        for batch in events.chunks(EVENTS_A_BATCH) {
            let receipt = client.send_batch(batch).await?;
            loaded.first_rejection = loaded.first_rejection.or_else(|| receipt.first_rejection());
            loaded.accepted += receipt.accepted;
            loaded.duplicates += receipt.duplicates;
            loaded.conflicts += receipt.conflicts;
            loaded.rejected += receipt.rejected;
            // Takes back what the client may have said about waiting.
            progress.set_message("");
            progress.inc(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        }
        Ok(loaded)
    }

    /// Sends events made elsewhere; the reason of the first that the server would not take.
    pub(crate) async fn send(
        &self,
        events: &[Box<serde_json::value::RawValue>],
        progress: &ProgressBar,
    ) -> Result<Option<String>, ClientError> {
        let client = Client::new(&self.url, &self.key, Some(LOAD_ATTEMPTS), progress);
        Ok(client.send_batch(events).await?.first_rejection())
    }

    /// Sends live traffic, a tick a second, until stopped; waits out a server that is away. Ends
    /// early only when the server refuses for good, a withdrawn key for one.
    pub(crate) async fn stream(
        &self,
        now: impl Fn() -> DateTime<Utc>,
        progress: &ProgressBar,
        stop: CancellationToken,
    ) -> Result<Streamed, ClientError> {
        progress.set_style(style("{spinner} {msg}"));
        let mut streamed = Streamed::default();
        // A batch cut off by the stop may have arrived; at worst the summary is one short.
        match stop
            .run_until_cancelled(self.serve_visitors(now, progress, &mut streamed))
            .await
        {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(streamed),
        }
    }

    async fn serve_visitors(
        &self,
        now: impl Fn() -> DateTime<Utc>,
        progress: &ProgressBar,
        streamed: &mut Streamed,
    ) -> Result<(), ClientError> {
        let catalogue = Catalogue::new(self.seed);
        let client = Client::new(&self.url, &self.key, None, progress);
        let mut traffic = Traffic::new(self.seed, &catalogue, now());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            let events = traffic.due(now(), self.sessions_per_minute);
            for batch in events.chunks(EVENTS_A_BATCH) {
                let receipt = client.send_batch(batch).await?;
                streamed.events += u64::try_from(batch.len()).unwrap_or(u64::MAX);
                streamed.rejected += receipt.rejected;
                if streamed.first_rejection.is_none() {
                    streamed.first_rejection = receipt.first_rejection();
                }
                for revenue in batch.iter().filter_map(Event::revenue) {
                    streamed.purchases += 1;
                    streamed.revenue += revenue;
                }
            }
            progress.set_message(streamed.to_string());
            progress.tick();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates here are well formed")
}
