//! `tidewater load`: sends made-up events to a running server at times that do not depend on its
//! answers, and checks that what is stored is what was acknowledged.
//!
//! [`schedule`] says when requests are due, [`event`] and [`feed`] write them ahead of time,
//! [`connection`] sends them, [`tally`] counts, [`totals`] checks, [`report`] tells.

pub mod connection;
pub mod event;
pub mod feed;
pub mod report;
pub mod schedule;
pub mod tally;
mod text;
pub mod totals;
mod words;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, stop_signal};
use crate::clock::Clock;
use crate::config::Secret;
use crate::ingest::MAX_EVENTS;
use connection::{Connection, Target};
use event::{Content, Format, Ids, Mix, Sums};
use feed::{Feed, Plan, lock, process_nanos};
use report::Report;
use schedule::{Schedule, Shape};
use tally::Tally;
use totals::{Acknowledged, Verdict, Window, verify};

/// How long after its end a run goes on with requests that were due in it.
const GRACE: Duration = Duration::from_secs(30);
/// How much time the first bodies have before the first is due.
const HEAD_START: Duration = Duration::from_millis(100);

/// What to send, how fast and for how long.
///
/// With --rate, requests are due at times that follow from the rate alone. One that finds no
/// connection free waits, and its latency is counted from when it was due: a server that falls
/// behind is seen to fall behind. Without --rate each connection sends when it has its answer.
///
/// What cannot be taken now (429, 503, no answer) is sent again until it is acknowledged, up to
/// 30 seconds after the end. Then the tenant's totals are compared with what was acknowledged, so
/// nobody else may send to this tenant meanwhile. Ends with 1 when they differ.
#[derive(Args, Debug)]
pub(super) struct Load {
    /// The server's address.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// A key with the scopes ingest and read.
    #[arg(
        long,
        env = "TIDEWATER_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    key: Secret,
    /// Events a second on average; 0: as many as the connections allow.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// How long, as 30s, 5m or 1h.
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Events a request, up to 2500.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=MAX_EVENTS as i64))]
    batch: u32,
    /// How many requests may be under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    connections: u16,
    /// How the rate goes over time.
    #[arg(long, value_enum, default_value_t = Shape::Steady)]
    shape: Shape,
    /// Which share of events is sent again, taken at random from all that was acknowledged: 0.01.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    duplicates: f64,
    /// Which share of events happened an hour to a week ago.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    late: f64,
    /// Of how many users.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Of how many products.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    products: u32,
    /// Pageviews, other events and purchases of 1 to 4 lines, by weight.
    #[arg(long, default_value = "70/25/5")]
    mix: Mix,
    /// Ids of events: random, or in the order of time.
    #[arg(long, value_enum, default_value_t = Ids::V4)]
    ids: Ids,
    /// What all that is random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pack bodies.
    #[arg(long)]
    gzip: bool,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Format::Native)]
    format: Format,
    /// Compare what is stored with what was acknowledged; the default.
    #[arg(long, overrides_with = "no_verify")]
    verify: bool,
    /// Send only.
    #[arg(long)]
    no_verify: bool,
    /// How long to wait until what was acknowledged is to be seen.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    verify_within: Duration,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

impl Load {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if !(0.0..=10_000_000.0).contains(&self.rate) {
            return Err("--rate is from 0 to 10000000".into());
        }
        let stop = stop_signal()?;
        let clock = Clock::System;
        let target = Target::new(&self.url, self.key.reveal())?;
        let window = Window {
            from: clock.now() - chrono::Duration::days(8),
            to: clock.now() + self.duration + 10 * GRACE,
        };
        let before = if self.no_verify {
            None
        } else {
            Some(window.totals(&target).await?)
        };

        let (started_at, begun) = (clock.now() + HEAD_START, Instant::now() + HEAD_START);
        let end = begun + self.duration + GRACE;
        let feed = Arc::new(Feed::new(self.plan(started_at)));
        let queue = feed.start(usize::from(self.connections), &clock, &stop);
        let tally = Arc::<Mutex<Tally>>::default();
        let connection = Connection {
            target: target.clone(),
            feed: Arc::clone(&feed),
            queue: Arc::new(tokio::sync::Mutex::new(queue)),
            tally: Arc::clone(&tally),
            begun,
            end: if feed.plan.schedule.is_open() {
                end
            } else {
                begun + self.duration
            },
            given_up_at: end,
            stop: stop.clone(),
        };
        let mut connections: JoinSet<_> = (0..self.connections)
            .map(|_| connection.clone().run())
            .collect();
        drop(connection);
        let showing = tokio::spawn(show(Arc::clone(&tally), begun, self.duration));
        let mut problem = None;
        while let Some(ended) = connections.join_next().await {
            if let Err(error) = ended? {
                stop.cancel();
                problem.get_or_insert(error);
            }
        }
        showing.abort();
        if let Some(problem) = problem {
            return Err(problem);
        }

        let process_nanos = process_nanos();
        let verdict = match before {
            None => None,
            Some(before) => Some(self.judge(&target, window, before, &tally, &stop).await?),
        };
        let report = Report::of(
            &feed,
            self.connections.into(),
            &lock(&tally),
            begun,
            process_nanos,
            verdict,
        );
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        report.failure().map_or(Ok(()), |why| Err(why.into()))
    }

    fn plan(&self, started_at: chrono::DateTime<chrono::Utc>) -> Plan {
        let content = Content {
            users: self.users,
            products: self.products,
            mix: self.mix,
            ids: self.ids,
            format: self.format,
            late: self.late,
        };
        let schedule = Schedule {
            rate: self.rate,
            duration: self.duration,
            batch: self.batch,
            shape: self.shape,
        };
        Plan {
            content,
            schedule,
            duplicates: self.duplicates,
            gzip: self.gzip,
            seed: self.seed,
            started_at,
        }
    }

    async fn judge(
        &self,
        target: &Target,
        window: Window,
        before: Sums,
        tally: &Mutex<Tally>,
        stop: &CancellationToken,
    ) -> Result<Verdict, Failure> {
        let (least, possible, last) = {
            let tally = lock(tally);
            (tally.certain, tally.possible, tally.last)
        };
        let acknowledged = Acknowledged {
            least,
            most: least.with(&possible, |a, b| a + b),
            last: last.unwrap_or_else(Instant::now),
        };
        verify(
            target,
            window,
            before,
            acknowledged,
            self.verify_within,
            stop,
        )
        .await
    }
}

/// Moves a bar on standard error for as long as it is let.
async fn show(tally: Arc<Mutex<Tally>>, begun: Instant, duration: Duration) {
    let style = ProgressStyle::with_template("loading {bar:30} {elapsed}/{len}s {msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::new(duration.as_secs()).with_style(style);
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (acknowledged, retries) = {
            let tally = lock(&tally);
            (tally.acknowledged_events(), tally.retries.total())
        };
        bar.set_position(begun.elapsed().as_secs());
        let rate = acknowledged - before;
        bar.set_message(format!(
            "{acknowledged} acknowledged, {rate} events/s, {retries} requests sent again"
        ));
        before = acknowledged;
    }
}

/// Reads `500ms`, `30s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c != '.' && !c.is_ascii_digit());
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err("write it as 30s, 5m or 1h".into()),
    };
    let number: f64 = number.parse().map_err(|_| "that is no number")?;
    let seconds = number * seconds;
    if !(0.001..=604_800.0).contains(&seconds) {
        return Err("from 1ms to a week (168h)".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a share from 0 to 0.9.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "that is no number")?;
    if !(0.0..=0.9).contains(&share) {
        return Err("from 0 to 0.9".into());
    }
    Ok(share)
}

#[cfg(test)]
mod tests;
