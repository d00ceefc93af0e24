//! Events a second through `POST /v1/batch` with durable commits, against a plain binary COPY of
//! the same rows, in turns.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::baseline;
use crate::load::{client, load, median};
use crate::server::{KEY, Server};

const ROUNDS: usize = 3;
const BATCHES: usize = 200;
const BATCH: usize = 1_000;
const SENDERS: usize = 8;

pub async fn run(server: &Server) {
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bodies: Vec<Vec<u8>> = (0..BATCHES).map(|n| batch(round * BATCHES + n)).collect();
        if round == 0 {
            let bytes: usize = bodies.iter().map(Vec::len).sum();
            println!(
                "ingest: {} events a round, {} bytes each, {SENDERS} senders of {BATCH}",
                BATCHES * BATCH,
                bytes / BATCHES / BATCH
            );
        }
        let client = client();
        let requests = bodies.into_iter().map(|body| {
            let request = client
                .post(format!("{}/v1/batch", server.url))
                .bearer_auth(KEY);
            request
                .header("content-type", "application/json")
                .body(body)
        });
        let timing = load(requests, SENDERS).await;
        let through_http = (BATCHES * BATCH) as f64 / timing.whole.as_secs_f64();
        let copied = baseline::copy_all(server).await;
        println!(
            "  round {round}: {through_http:.0} events/s through HTTP (p50 {:.0} ms, p99 {:.0} ms a batch); {copied:.0} events/s by COPY",
            timing.percentile(50),
            timing.percentile(99),
        );
        ours.push(through_http);
        raw.push(copied);
    }
    let ratios = ours
        .iter()
        .zip(&raw)
        .map(|(ours, raw)| ours / raw)
        .collect();
    println!(
        "  median: {:.0} events/s, {:.0} by COPY, ratio {:.2}",
        median(ours),
        median(raw),
        median(ratios)
    );
}

/// Pageviews mostly, some other events, one purchase in twenty; of 20,000 users.
fn batch(n: usize) -> Vec<u8> {
    let events: Vec<Value> = (0..BATCH)
        .map(|i| {
            let k = n * BATCH + i;
            let mut event = json!({
                "eventId": Uuid::new_v4(),
                "timestamp": format!("2026-06-{:02}T{:02}:{:02}:{:02}.{:03}Z", 1 + k % 28, k / 28 % 24, k / 7 % 60, k % 60, k % 1_000),
                "userId": format!("user-{}", k * 7_919 % 20_000),
                "sessionId": format!("session-{}", k / 10),
                "region": (["DE", "FR", "US", "JP"][k % 4]),
                "channel": (["search", "direct", "email"][k % 3]),
                "properties": {"device": "phone", "referrer": "https://search.example/", "position": k % 50},
            });
            match k % 20 {
                0 => {
                    event["type"] = "purchase".into();
                    event["currency"] = "USD".into();
                    event["lines"] = json!([{"productId": format!("sku-{}", k % 300), "quantity": 1 + k % 3, "amount": "19.90"}]);
                }
                1..15 => {
                    event["type"] = "pageview".into();
                    event["url"] = format!("https://shop.example/products/{}", k % 300).into();
                }
                _ => event["type"] = "click".into(),
            }
            event
        })
        .collect();
    serde_json::to_vec(&events).expect("plain values serialise")
}
