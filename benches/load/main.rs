//! Load on a whole server: the real program as a process of its own, over HTTP, with durable
//! commits, on the PostgreSQL of `make services`. Every figure stands beside a raw baseline from
//! the same run. `make bench` runs it; it ends by itself after about two minutes.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_precision_loss,
    reason = "a benchmark has no outside"
)]

mod baseline;
mod ingest;
mod load;
mod questions;
mod server;

#[tokio::main]
async fn main() {
    if std::env::var_os(baseline::BARE_SERVER).is_some() {
        baseline::serve_bare().await;
        return;
    }
    let server = server::Server::start().await;
    ingest::run(&server).await;
    questions::run(&server).await;
    server.stop().await;
}
