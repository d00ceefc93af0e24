//! What the edge costs: keys and limits for each request, and documents that are made to cost.

#[path = "../../tests/it/edge/hostile/documents.rs"]
mod documents;

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use serde_json::{Value, json};
use tidewater::access::limits::{Kind, Limits};
use tidewater::access::{Access, Credentials};
use tidewater::clock::Clock;
use tidewater::config::LimitConfig;
use tidewater::storage::Db;
use tokio_util::sync::CancellationToken;

use crate::load::{client, load, load_with, median};
use crate::process::{resident, seconds};
use crate::server::{KEY, Server};
use documents::KINDS;

const KEYS: usize = 5_000;
const REQUESTS: usize = 20_000;
const CLIENTS: usize = 64;
const ROUNDS: usize = 3;
const HOSTILE: usize = 1_000;
/// How long statistics of PostgreSQL may be late.
const SETTLED: Duration = Duration::from_secs(2);

pub async fn run() {
    let server = Server::start().await;
    let client = client();
    let keys = keys(&server, &client).await;
    guard(&server, &client, &keys).await;
    hostile(&server, &client).await;
    server.stop().await;
}

/// Makes keys.
async fn keys(server: &Server, client: &Client) -> Vec<String> {
    let make = |n: usize| {
        let query = format!(
            r#"mutation {{ createApiKey(input: {{name: "partner {n}", scopes: [READ]}}) {{ secret }} }}"#
        );
        post(server, client, KEY, &query)
    };
    let read = |body: bytes::Bytes| {
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let secret = answer["data"]["createApiKey"]["secret"].as_str();
        secret.expect("a key").to_owned()
    };
    load_with((0..KEYS).map(make), 8, read).await.1
}

/// The processor time of a request, and what part of it is knowing the key and its limits.
async fn guard(server: &Server, client: &Client, keys: &[String]) {
    let requests = || {
        let all = keys.iter().cycle().take(REQUESTS);
        all.map(|key| post(server, client, key, "{ __typename }"))
    };
    load(requests(), CLIENTS).await;
    tokio::time::sleep(SETTLED).await;
    let (mut whole, mut statements, mut rates) = (Vec::new(), 0, Vec::new());
    for _ in 0..ROUNDS {
        let (before, asked) = (seconds(server.pid()), transactions(server).await);
        let timing = load(requests(), CLIENTS).await;
        whole.push((seconds(server.pid()) - before) * 1e6 / REQUESTS as f64);
        rates.push(timing.per_second());
        tokio::time::sleep(SETTLED).await;
        statements += transactions(server).await - asked;
    }
    let db = Db::open(&server.database_url, |_| {}).await.expect("a URL");
    let stop = CancellationToken::new();
    let access = Access::new(db.clone(), None, Clock::System);
    access.watch(&stop);
    let config = LimitConfig {
        events_per_minute: 6_000_000,
        points_per_minute: 6_000_000,
        exports_per_hour: 600,
        open_subscriptions: 10_000,
        requests_per_minute: 600,
    };
    let limits = Limits::start(&config, &db, None, &Clock::System, &stop).expect("no Redis");
    let mut parts = Vec::new();
    for _ in 0..=ROUNDS {
        let before = seconds(std::process::id());
        for key in keys.iter().cycle().take(10 * REQUESTS) {
            let shown = Credentials {
                secret: key.clone(),
                origin: None,
                address: None,
            };
            let identity = access.identify(&shown).await.expect("a good key");
            let taken = limits.take(&identity, Kind::Points, 1).await;
            taken.expect("points are left");
        }
        parts.push((seconds(std::process::id()) - before) * 1e6 / (10 * REQUESTS) as f64);
    }
    stop.cancel();
    // The first time each key is asked for.
    parts.remove(0);
    let (whole, part) = (median(whole), median(parts));
    println!(
        "{KEYS} keys: {:.0} requests/s of {{ __typename }}, {whole:.1} µs of the server's processor \
         time each, {part:.2} µs of it for key and limits: {:.1} %; {:.4} transactions of PostgreSQL \
         a request",
        median(rates),
        100.0 * part / whole,
        f64::from(i32::try_from(statements).expect("few")) / (ROUNDS * REQUESTS) as f64
    );
}

/// How many transactions the server's database has seen.
async fn transactions(server: &Server) -> i64 {
    let mut connection = PgConnection::connect(&server.database_url)
        .await
        .expect("PostgreSQL answers");
    query_scalar("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(&mut connection)
        .await
        .expect("a number")
}

/// How long what is refused takes, and what it leaves.
async fn hostile(server: &Server, client: &Client) {
    let (mut slowest, before, mut most) = ((0.0, ""), resident(server.pid()), 0.0_f64);
    for at in 0..HOSTILE {
        let (kind, make) = KINDS[at % KINDS.len()];
        let document = make(at / KINDS.len());
        let request = post(server, client, KEY, &document);
        let begun = Instant::now();
        let answer = request.send().await.expect("an answer");
        let answer = answer.bytes().await.expect("a whole answer");
        let taken = begun.elapsed().as_secs_f64() * 1e3;
        if taken > slowest.0 {
            slowest = (taken, kind);
        }
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer["data"].is_null(), "{kind}: {answer}");
        most = most.max(resident(server.pid()));
    }
    println!(
        "{HOSTILE} hostile documents: the slowest refused after {:.1} ms ({}); the server grew by \
         {:.1} MB at most",
        slowest.0,
        slowest.1,
        most - before
    );
}

fn post(server: &Server, client: &Client, key: &str, query: &str) -> RequestBuilder {
    client
        .post(format!("{}/graphql", server.url))
        .bearer_auth(key)
        .json(&json!({"query": query}))
}
