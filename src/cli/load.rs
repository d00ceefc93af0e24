//! `tidewater load`: sends made-up events to a running server at times that do not depend on its
//! answers, and checks that what is stored is what was acknowledged.
//!
//! [`schedule`] says when requests are due, [`event`] and [`feed`] write them ahead of time,
//! [`connection`] sends them, [`tally`] counts, [`totals`] checks, [`report`] tells.

pub mod connection;
mod dice;
pub mod event;
pub mod feed;
pub mod history;
mod options;
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
use connection::{Connection, Target};
use feed::{Feed, lock, process_nanos};
use options::Options;
use report::Report;
use tally::Tally;
use totals::{Acknowledged, Window, verify};

/// How long after its end a run goes on with requests that were due in it.
const GRACE: Duration = Duration::from_secs(30);
/// How much time the first bodies have before the first is due.
const HEAD_START: Duration = Duration::from_millis(50);

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
    #[command(flatten)]
    options: Options,
}

impl Load {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let options = self.options;
        if !(0.0..=10_000_000.0).contains(&options.rate) {
            return Err("--rate is from 0 to 10000000".into());
        }
        let stop = stop_signal()?;
        let clock = Clock::System;
        let target = Target::new(&options.url, options.key.reveal())?;
        let days = options.history.unwrap_or_default().max(7) + 1;
        let window = Window {
            from: clock.now() - chrono::Duration::days(days.into()),
            to: clock.now() + options.duration() + 10 * GRACE,
        };
        if options.history.is_some() {
            history::put_products(&target, options.products).await?;
        }
        let before = if options.no_verify {
            None
        } else {
            Some(window.totals(&target).await?)
        };

        let run = send(&options, &target, &clock, &stop).await?;
        let process_nanos = process_nanos();
        let verdict = match before {
            None => None,
            Some(before) => {
                let patience = options.verify_within;
                let acknowledged = Acknowledged::of(&lock(&run.tally));
                Some(verify(&target, window, before, acknowledged, patience, &stop).await?)
            }
        };
        let report = Report::of(
            &run.feed,
            options.connections.into(),
            &lock(&run.tally),
            run.begun,
            process_nanos,
            verdict,
        );
        if options.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        report.failure().map_or(Ok(()), |why| Err(why.into()))
    }
}

/// A run that is over.
struct Run {
    feed: Arc<Feed>,
    tally: Arc<Mutex<Tally>>,
    begun: Instant,
}

/// Sends all that is due, and goes on until it is acknowledged or the time is over.
async fn send(
    options: &Options,
    target: &Target,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<Run, Failure> {
    let (started_at, begun) = (clock.now() + HEAD_START, Instant::now() + HEAD_START);
    let given_up_at = begun + options.duration() + GRACE;
    let feed = Arc::new(Feed::new(options.plan(started_at)));
    let queue = feed.start(usize::from(options.connections), begun, clock, stop);
    let tally = Arc::<Mutex<Tally>>::default();
    let connection = Connection {
        target: target.clone(),
        feed: Arc::clone(&feed),
        queue: Arc::new(tokio::sync::Mutex::new(queue)),
        tally: Arc::clone(&tally),
        begun,
        end: if feed.plan.schedule.is_open() {
            given_up_at
        } else {
            begun + options.duration()
        },
        given_up_at,
        stop: stop.clone(),
    };
    let mut connections: JoinSet<_> = (0..options.connections)
        .map(|_| connection.clone().run())
        .collect();
    drop(connection);
    let showing = tokio::spawn(show(Arc::clone(&tally), begun, options.duration()));
    let mut result = Ok(());
    while let Some(ended) = connections.join_next().await {
        let ended = ended?;
        if ended.is_err() {
            stop.cancel();
        }
        result = result.and(ended);
    }
    showing.abort();
    result.map(|()| Run { feed, tally, begun })
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

#[cfg(test)]
mod tests;
