//! Requests written before the clock runs, and their sending.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Client;
use tidewater::cli::load::event::{Content, Format, Ids, Mix};
use tidewater::cli::load::feed::{Feed, Plan, Prepared, Press};
use tidewater::cli::load::schedule::{Schedule, Shape};
use tidewater::cli::load::tally::Counts;
use tidewater::clock::Clock;

use crate::load::{Timing, client, load_with};
use crate::server::{KEY, Server};

/// Distinct mixed events: 70 % pageviews, 25 % others, 5 % purchases of 1 to 4 lines.
pub const CONTENT: Content = Content {
    users: 20_000,
    products: 1_000,
    mix: Mix {
        pageviews: 70,
        other: 25,
        purchases: 5,
    },
    ids: Ids::V4,
    format: Format::Native,
    late: 0.0,
    history: None,
};

/// A sender that writes its requests in rounds.
pub struct Sender {
    feed: Feed,
    press: Press,
    client: Client,
}

/// The requests of a round, and the time that their events lie in.
pub struct Round {
    requests: Vec<Prepared>,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Round {
    pub fn events(&self) -> u32 {
        self.requests.iter().map(|request| request.events).sum()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        let bodies = self.requests.iter().map(|request| request.body.clone());
        bodies.collect()
    }

    pub fn bytes(&self) -> usize {
        self.requests.iter().map(|request| request.body.len()).sum()
    }
}

impl Sender {
    /// One whose events nobody else sends.
    pub fn new(ids: Ids, batch: u32, duplicates: f64, seed: u64) -> Self {
        let schedule = Schedule {
            rate: 0.0,
            duration: Duration::from_secs(1),
            batch,
            shape: Shape::Steady,
        };
        let content = Content { ids, ..CONTENT };
        let feed = Feed::new(Plan {
            content,
            schedule,
            duplicates,
            gzip: false,
            seed,
            started_at: Clock::System.now(),
        });
        Self {
            press: Press::new(&feed),
            feed,
            client: client(),
        }
    }

    /// Writes so many events, of the last second; no other round's events are of that time.
    pub async fn write(&mut self, events: u32) -> Round {
        let clock = Clock::System;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let from = clock.now() - Duration::from_secs(1);
        let mut requests = Vec::new();
        while requests.len() * (self.feed.plan.schedule.batch as usize) < events as usize {
            let request = self.press.next(&self.feed, &clock);
            let request = request.expect("a closed loop has no end");
            let memory = self.feed.memory.lock();
            // What is sent again comes from all rounds of this sender, not from its last request.
            memory
                .unwrap_or_else(PoisonError::into_inner)
                .acknowledged(&request);
            requests.push(request);
        }
        Round {
            requests,
            from,
            to: clock.now() + Duration::from_millis(1),
        }
    }

    /// Sends a round over so many connections; each event must be stored, and once.
    pub async fn send(&self, server: &Server, round: &Round, connections: usize) -> Timing {
        let url = format!("{}/v1/batch?receipts=summary", server.url);
        let requests = round.requests.iter().map(|prepared| {
            let request = self.client.post(&url).bearer_auth(KEY);
            request
                .header("content-type", "application/json")
                .body(prepared.body.clone())
        });
        let (timing, answers) = load_with(requests, connections, |body| {
            serde_json::from_slice::<Counts>(&body).expect("counts")
        })
        .await;
        let resent: u64 = round
            .requests
            .iter()
            .map(|request| u64::from(request.resent))
            .sum();
        let stored: u64 = answers.iter().map(|counts| counts.accepted).sum();
        let known: u64 = answers.iter().map(|counts| counts.duplicates).sum();
        assert_eq!(
            (stored, known),
            (u64::from(round.events()) - resent, resent)
        );
        timing
    }
}
