//! All events as CSV: how fast, in how much memory, against PostgreSQL's own COPY of the same columns.

use std::time::Instant;

use futures_util::TryStreamExt;
use sea_orm::sqlx::{Connection, PgConnection};

use crate::load::client;
use crate::process::resident;
use crate::server::{KEY, Server};

/// As `/v1/events` gives them.
const COPY: &str =
    "COPY (SELECT event_id, event_type, timestamp, user_id, session_id, region, channel,
    campaign, page_url, received_at, data FROM event ORDER BY tenant_id, timestamp, event_id)
    TO STDOUT (FORMAT csv)";

pub async fn run(server: &Server) {
    let before = resident(server.pid());
    let begun = Instant::now();
    let request = client().get(format!("{}/v1/events?format=csv", server.url));
    let mut answer = request.bearer_auth(KEY).send().await.expect("an answer");
    let (mut rows, mut bytes, mut most) = (0, 0, before);
    let mut looked = Instant::now();
    while let Some(piece) = answer.chunk().await.expect("a whole answer") {
        bytes += piece.len();
        rows += lines(&piece);
        if looked.elapsed().as_millis() > 200 {
            looked = Instant::now();
            most = most.max(resident(server.pid()));
        }
    }
    let ours = rows as f64 / begun.elapsed().as_secs_f64();
    let mut connection = PgConnection::connect(&server.database_url)
        .await
        .expect("PostgreSQL answers");
    let begun = Instant::now();
    let mut copied = 0;
    let mut copy = connection.copy_out_raw(COPY).await.expect("a copy");
    while let Some(piece) = copy.try_next().await.expect("rows") {
        copied += lines(&piece);
    }
    let theirs = copied as f64 / begun.elapsed().as_secs_f64();
    println!(
        "\nexport: {rows} lines, {} MB as CSV at {ours:.0} a second; COPY of {copied} at {theirs:.0}: ratio {:.2}; memory {before:.0} MB before, {most:.0} MB at most",
        bytes / 1_000_000,
        ours / theirs
    );
}

fn lines(piece: &[u8]) -> usize {
    piece.split(|byte| *byte == b'\n').count() - 1
}
