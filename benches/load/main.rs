//! Load on a whole server: the real program as a process of its own, over HTTP, with durable
//! commits, on the PostgreSQL of `make services`. Every figure stands beside a raw baseline from
//! the same run.
//!
//! `cargo bench --bench load` measures all but what takes long; with names of modes, those:
//! `cargo bench --bench load -- ingest latency`. The next mode: a file and a line in [`MODES`].

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_precision_loss,
    reason = "a benchmark has no outside"
)]

mod baseline;
mod bodies;
mod curve;
mod edge;
mod export;
mod ingest;
mod kept;
mod latency;
mod load;
mod memory;
mod metrics;
mod process;
mod questions;
mod server;
mod stream;
mod visible;

use std::time::Duration;

/// Each mode, whether it is measured without being named, and what it measures.
const MODES: [(&str, bool, &str); 11] = [
    (
        "ingest",
        true,
        "events a second, against a binary COPY of the same rows",
    ),
    ("duplicates", true, "the same with 1 % of events sent again"),
    (
        "ids",
        true,
        "the same with random and with time-ordered ids",
    ),
    (
        "latency",
        true,
        "from due to committed and answered, at half the maximum",
    ),
    (
        "visible",
        true,
        "from a POST to a number in `sales`, at half the maximum",
    ),
    (
        "memory",
        true,
        "what the server holds, idle and at full rate",
    ),
    (
        "stream",
        true,
        "events a second into Redis, against a bare XADD, and out of it",
    ),
    ("questions", true, "how long questions take"),
    (
        "edge",
        true,
        "what keys and limits cost a request, and hostile documents",
    ),
    (
        "metrics",
        false,
        "how long questions about 30 days take; --millions of events (20), or what is in --database",
    ),
    (
        "curve",
        false,
        "the cost of an event as the tables grow; --minutes limits it (60)",
    ),
];

#[tokio::main]
async fn main() {
    if std::env::var_os(baseline::BARE_SERVER).is_some() {
        baseline::serve_bare().await;
        return;
    }
    let mut named = Vec::new();
    let (mut minutes, mut millions, mut database) = (60, 20, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--minutes" => {
                let number = arguments.next().and_then(|number| number.parse().ok());
                minutes = number.expect("--minutes takes a whole number");
            }
            "--millions" => {
                let number = arguments.next().and_then(|number| number.parse().ok());
                millions = number.expect("--millions takes a whole number");
            }
            "--database" => database = Some(arguments.next().expect("--database takes a URL")),
            name if MODES.iter().any(|(mode, ..)| *mode == name) => named.push(argument),
            other => {
                for (mode, _, what) in MODES {
                    eprintln!("{mode:<12}{what}");
                }
                panic!("there is no mode `{other}`");
            }
        }
    }
    for (mode, by_default, what) in MODES {
        let is_wanted = named.iter().any(|name| name == mode) || (named.is_empty() && by_default);
        if !is_wanted {
            continue;
        }
        println!("\n{mode}: {what}\n");
        match mode {
            "ingest" => ingest::run().await,
            "duplicates" => ingest::duplicates().await,
            "ids" => ingest::ids().await,
            "latency" => latency::run().await,
            "visible" => visible::run().await,
            "memory" => memory::run().await,
            "stream" => stream::run().await,
            "questions" => questions::run().await,
            "edge" => edge::run().await,
            "metrics" => metrics::run(millions * 1_000_000, database.clone()).await,
            _ => curve::run(Duration::from_secs(60 * minutes)).await,
        }
    }
}
