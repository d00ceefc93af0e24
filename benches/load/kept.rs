//! Kept answers: how long each of the questions takes, how many requests a second there are against
//! a bare route that gives the same bytes, and how many that are told 304.

use chrono::DateTime;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tidewater::clock::Clock;

use crate::baseline::Bare;
use crate::load::{client, load, median};
use crate::metrics::{ASK, Asked};
use crate::server::{KEY, Server};

const TIMES: usize = 100;
const REQUESTS: usize = 20_000;
/// So many at a time that nobody idles while it is looked what changed.
const CLIENTS: usize = 128;
const ROUNDS: usize = 3;

pub async fn run(server: &Server, asked: &[Asked]) {
    let (url, _child) = server.beside(&[("TIDEWATER_INGEST", "direct")]).await;
    let client = client();
    let mut p99s = Vec::new();
    for one in asked {
        let request = || post(&client, &url, &one.input);
        load((0..3).map(|_| request()), 1).await;
        let timing = load((0..TIMES).map(|_| request()), 1).await;
        p99s.push((timing.percentile(99), timing.percentile(50), &one.name));
    }
    p99s.sort_by(|a, b| f64::total_cmp(&a.0, &b.0));
    let (p99, p50, name) = p99s[p99s.len() - 1];
    println!("\nkept: the slowest of all is \"{name}\": p50 {p50:.2} ms, p99 {p99:.2} ms");

    let input = json!({
        "measures": ["REVENUE", "ORDERS"], "dimensions": ["REGION"], "granularity": "DAY",
        "range": {"between": range_of_days(7)},
    });
    let get = || get(&client, &url, &input);
    for _ in 0..3 {
        get().send().await.expect("an answer");
    }
    let answer = get().send().await.expect("an answer");
    let tag = answer.headers()[ETAG].clone();
    let body = answer.text().await.expect("a body");
    let bare = Bare::giving(&body).await;
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let bare = load((0..REQUESTS).map(|_| client.get(&bare.url)), CLIENTS).await;
        let posted = load((0..REQUESTS).map(|_| post(&client, &url, &input)), CLIENTS).await;
        let got = load((0..REQUESTS).map(|_| get()), CLIENTS).await;
        let known = (0..REQUESTS).map(|_| get().header(IF_NONE_MATCH, &tag));
        let unchanged = load(known, CLIENTS).await;
        println!(
            "  {} bytes: {:.0} requests/s of a bare route, {:.0} by POST, {:.0} by GET, {:.0} told 304",
            body.len(),
            bare.per_second(),
            posted.per_second(),
            got.per_second(),
            unchanged.per_second()
        );
        for (ratios, timing) in ratios.iter_mut().zip([posted, got, unchanged]) {
            ratios.push(timing.per_second() / bare.per_second());
        }
    }
    let [posted, got, unchanged] = ratios.map(median);
    println!("  median ratios: {posted:.2} by POST, {got:.2} by GET, {unchanged:.2} told 304");
    bare.stop().await;
}

/// Whole days that are over.
fn range_of_days(days: i64) -> Value {
    let today = Clock::System.now().timestamp() / 86_400;
    let midnight = |day: i64| {
        let at = DateTime::from_timestamp(day * 86_400, 0);
        at.expect("a day").to_rfc3339()
    };
    json!({"from": midnight(today - days - 1), "to": midnight(today - 1)})
}

fn post(client: &Client, url: &str, input: &Value) -> RequestBuilder {
    let body = json!({"query": ASK, "variables": {"input": input}});
    client
        .post(format!("{url}/graphql"))
        .bearer_auth(KEY)
        .json(&body)
}

fn get(client: &Client, url: &str, input: &Value) -> RequestBuilder {
    let variables = json!({"input": input}).to_string();
    client
        .get(format!("{url}/graphql"))
        .bearer_auth(KEY)
        .query(&[("query", ASK), ("variables", &variables)])
}
