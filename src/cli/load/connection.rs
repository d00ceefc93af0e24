//! A connection takes requests from the queue, waits until they are due, and sends each until it
//! is acknowledged.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::Format;
use super::feed::{Feed, Prepared, lock};
use super::tally::{Counts, Tally};
use crate::cli::Failure;

/// How long a request may wait for its answer: longer than the server lets it.
const TIMEOUT: Duration = Duration::from_secs(35);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Keeps connections open. No proxy: it would be measured, too.
    pub client: Client,
    /// The server's address, without a slash at its end.
    pub url: String,
    /// The key.
    pub key: String,
}

impl Target {
    /// A server and a key for it.
    ///
    /// # Errors
    /// When there is no client to be had.
    pub fn new(url: &str, key: &str) -> Result<Self, Failure> {
        Ok(Self {
            // Packing answers would cost the server what no one asked for.
            client: Client::builder()
                .no_proxy()
                .no_gzip()
                .timeout(TIMEOUT)
                .build()?,
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }
}

/// Why a request has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setback {
    Limited,
    Unavailable,
    Failed,
    Unanswered,
}

/// What an attempt came to.
enum Attempt {
    Judged(Counts),
    Again(Setback, Option<Duration>),
}

/// One of several that share a queue.
#[derive(Clone)]
pub struct Connection {
    /// Where to.
    pub target: Target,
    /// Where bodies come from.
    pub feed: Arc<Feed>,
    /// Requests in the order in which they are due.
    pub queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Prepared>>>,
    /// What became of them.
    pub tally: Arc<Mutex<Tally>>,
    /// When the first was due.
    pub begun: Instant,
    /// When nothing is begun any more.
    pub end: Instant,
    /// When nothing is sent again any more.
    pub given_up_at: Instant,
    /// Ends the run before its time.
    pub stop: CancellationToken,
}

impl Connection {
    /// Sends until the queue is empty or the time is over.
    ///
    /// # Errors
    /// An answer that cannot pass, such as 401.
    pub async fn run(self) -> Result<(), Failure> {
        loop {
            let next = async { self.queue.lock().await.recv().await };
            let next = self.stop.run_until_cancelled(next).await.flatten();
            let Some(prepared) = next else { return Ok(()) };
            let due = prepared.due.map(|due| self.begun + due);
            let begin = due.unwrap_or(self.begun);
            tokio::select! {
                () = tokio::time::sleep_until(begin.into()) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
            if Instant::now() > self.end || self.stop.is_cancelled() {
                return Ok(());
            }
            let due = due.unwrap_or_else(Instant::now);
            lock(&self.tally).sent(&prepared);
            let judged = self.deliver(&prepared).await;
            {
                let mut tally = lock(&self.tally);
                tally.took(due.elapsed());
                match &judged {
                    Ok(Some((counts, service))) => {
                        tally.acknowledged(&prepared, counts, *service);
                    }
                    _ => tally.given_up(&prepared),
                }
            }
            if let Some((counts, _)) = judged?
                && counts.refused() == 0
            {
                lock(&self.feed.memory).acknowledged(&prepared);
            }
            self.feed.recycle(prepared.body);
        }
    }

    /// Sends a request until it is judged, and how long that took the last time; nothing if it had
    /// to be given up.
    async fn deliver(&self, prepared: &Prepared) -> Result<Option<(Counts, Duration)>, Failure> {
        let mut wait = FIRST_WAIT;
        loop {
            let sent = Instant::now();
            let (setback, asked) = match self.attempt(prepared).await? {
                Attempt::Judged(counts) => return Ok(Some((counts, sent.elapsed()))),
                Attempt::Again(setback, asked) => (setback, asked),
            };
            let pause = asked.unwrap_or(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
            if Instant::now() + pause > self.given_up_at {
                return Ok(None);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
            let mut tally = lock(&self.tally);
            let counter = match setback {
                Setback::Limited => &mut tally.retries.limited,
                Setback::Unavailable => &mut tally.retries.unavailable,
                Setback::Failed => &mut tally.retries.failed,
                Setback::Unanswered => &mut tally.retries.unanswered,
            };
            *counter += 1;
        }
    }

    async fn attempt(&self, prepared: &Prepared) -> Result<Attempt, Failure> {
        let Target { client, url, key } = &self.target;
        let request = client
            .post(format!("{url}/v1/batch?receipts=summary"))
            .header(CONTENT_TYPE, "application/json")
            .body(prepared.body.clone());
        let request = match self.feed.plan.content.format {
            Format::Native => request.bearer_auth(key),
            Format::Segment => request.basic_auth(key, None::<&str>),
        };
        let request = if self.feed.plan.gzip {
            request.header(CONTENT_ENCODING, "gzip")
        } else {
            request
        };
        let Ok(response) = request.send().await else {
            return Ok(Attempt::Again(Setback::Unanswered, None));
        };
        if !response.status().is_success() {
            return refused(response).await;
        }
        let Ok(body) = response.bytes().await else {
            return Ok(Attempt::Again(Setback::Unanswered, None));
        };
        judged(&body, prepared.events)
    }
}

/// Reads the counts of an answer, with or without the receipts.
fn judged(body: &Bytes, events: u32) -> Result<Attempt, Failure> {
    let counts: Counts = serde_json::from_slice(body)
        .map_err(|error| format!("the answer cannot be read as counts of receipts: {error}"))?;
    if counts.total() != u64::from(events) {
        let total = counts.total();
        return Err(format!("{events} events were sent, but the answer tells of {total}").into());
    }
    if counts.limited > 0 {
        return Ok(Attempt::Again(Setback::Limited, None));
    }
    Ok(Attempt::Judged(counts))
}

/// Tells what may pass from what cannot.
async fn refused(response: Response) -> Result<Attempt, Failure> {
    let status = response.status();
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let setback = match status {
        StatusCode::TOO_MANY_REQUESTS => Setback::Limited,
        StatusCode::SERVICE_UNAVAILABLE => Setback::Unavailable,
        StatusCode::REQUEST_TIMEOUT => Setback::Failed,
        status if status.is_server_error() => Setback::Failed,
        _ => {
            let problem: Value = response.json().await.unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or("no reason given");
            return Err(format!("the server answered {status}: {detail}").into());
        }
    };
    Ok(Attempt::Again(setback, asked))
}
