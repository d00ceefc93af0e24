//! How long a purchase takes from its POST until `sales` tells of it, while half the maximum rate
//! comes in.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tidewater::clock::Clock;

use crate::latency::maximum;
use crate::load::{client, percentile};
use crate::server::{KEY, Server};

const ROUNDS: usize = 5;
const PURCHASES: usize = 40;
/// Nobody else buys in it.
const CURRENCY: &str = "NZD";

pub async fn run() {
    let server = Server::start().await;
    let half = maximum(&server).await / 2.0;
    let client = client();
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut others = server
            .loading(&format!(
                "--rate {half:.0} --duration 600s --connections 32 --no-verify --seed {round}"
            ))
            .spawn()
            .expect("the program starts");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut own = Vec::new();
        for _ in 0..PURCHASES {
            let expected = all.len() + own.len() + 1;
            own.push(until_visible(&client, &server, expected).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        others.kill().await.expect("it was running");
        own.sort_unstable();
        println!(
            "  round {round}: p50 {:.0} ms, p99 {:.0} ms",
            percentile(&own, 50),
            percentile(&own, 99)
        );
        all.extend(own);
    }
    server.stop().await;
    all.sort_unstable();
    println!("\n| | p50 | p99 |\n|---|---|---|");
    println!(
        "| from POST to visible in `sales`, at {half:.0} events/s, {} purchases | {:.0} ms | {:.0} ms |",
        all.len(),
        percentile(&all, 50),
        percentile(&all, 99)
    );
}

/// Sends a purchase and asks, from the first moment, until there are so many.
async fn until_visible(client: &Client, server: &Server, expected: usize) -> Duration {
    let purchase = json!([{
        "eventId": uuid::Uuid::new_v4(), "type": "purchase", "timestamp": Clock::System.now(),
        "userId": "somebody", "currency": CURRENCY,
        "lines": [{"productId": "kiwi", "quantity": 1, "amount": "1.00"}],
    }]);
    let begun = Instant::now();
    let request = client.post(format!("{}/v1/batch", server.url));
    let sending = tokio::spawn(request.bearer_auth(KEY).json(&purchase).send());
    while orders(client, server).await < expected {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it is never visible"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = begun.elapsed();
    let answer = sending
        .await
        .expect("it does not panic")
        .expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    took
}

async fn orders(client: &Client, server: &Server) -> usize {
    let now = Clock::System.now();
    let (from, to) = (now - Duration::from_hours(1), now + Duration::from_mins(1));
    let query = format!(
        "{{ sales(range: {{from: \"{}\", to: \"{}\"}}, currency: \"{CURRENCY}\") {{ totals {{ orders }} }} }}",
        from.to_rfc3339(),
        to.to_rfc3339()
    );
    let request = client.post(format!("{}/graphql", server.url));
    let answer = request
        .bearer_auth(KEY)
        .json(&json!({"query": query}))
        .send()
        .await;
    let answer: Value = answer.expect("an answer").json().await.expect("JSON");
    let orders = answer["data"]["sales"]["totals"]["orders"].as_u64();
    usize::try_from(orders.unwrap_or_else(|| panic!("{answer}"))).expect("few")
}
