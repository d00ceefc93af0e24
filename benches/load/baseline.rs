//! What the figures stand beside: PostgreSQL without us, HTTP without us.

use std::net::SocketAddr;
use std::time::Instant;

use axum::routing::get;
use bytes::Bytes;
use futures_util::TryStreamExt;
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::process::{Child, Command};

use crate::server::{Server, free_port, run, wait_for};

/// Set: this process is the bare server, and this is its address.
pub const BARE_SERVER: &str = "TIDEWATER_BARE_SERVER";

const TABLES: [&str; 3] = ["event", "pageview", "purchase"];
/// Rows of one event's table in one COPY.
const ROWS: i64 = 5_000;

/// Copies all rows of the last round into tables of the same shape with their primary key alone,
/// over two connections, 5,000 events a transaction; answers events a second.
pub async fn copy_all(server: &Server) -> f64 {
    let mut connection = PgConnection::connect(&server.database_url)
        .await
        .expect("PostgreSQL answers");
    let mut chunks: Vec<Vec<(&str, Bytes)>> = Vec::new();
    let events: i64 = query_scalar("SELECT count(*) FROM event")
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    for table in TABLES {
        run(
            &mut connection,
            &format!("DROP TABLE IF EXISTS raw_{table}"),
        )
        .await;
        run(
            &mut connection,
            &format!("CREATE TABLE raw_{table} (LIKE {table} INCLUDING DEFAULTS)"),
        )
        .await;
        let key = match table {
            "pageview" => ", pageview_id",
            "purchase" => ", purchase_id",
            _ => "",
        };
        run(
            &mut connection,
            &format!(
                "ALTER TABLE raw_{table} ADD PRIMARY KEY (tenant_id, timestamp, event_id{key})"
            ),
        )
        .await;
    }
    run(&mut connection, "DROP TABLE IF EXISTS piece").await;
    run(&mut connection, "CREATE TEMPORARY TABLE piece AS SELECT event_id, timestamp, (row_number() OVER (ORDER BY timestamp) - 1) / 5000 AS piece FROM event").await;
    run(&mut connection, "CREATE INDEX ON piece (piece)").await;
    run(&mut connection, "ANALYZE piece").await;
    for piece in 0..(events + ROWS - 1) / ROWS {
        let mut chunk = Vec::new();
        for table in TABLES {
            let select = format!(
                "COPY (SELECT t.* FROM piece JOIN {table} AS t USING (timestamp, event_id) WHERE piece = {piece} ORDER BY timestamp, event_id) TO STDOUT (FORMAT binary)"
            );
            let parts: Vec<Bytes> = connection
                .copy_out_raw(&select)
                .await
                .expect("a copy")
                .try_collect()
                .await
                .expect("a whole copy");
            chunk.push((table, Bytes::from(parts.concat())));
        }
        chunks.push(chunk);
    }
    // The next round begins with empty tables, as this one did.
    run(
        &mut connection,
        "TRUNCATE event, pageview, purchase, idempotency_key",
    )
    .await;
    let second_half = chunks.split_off(chunks.len() / 2);
    let begun = Instant::now();
    tokio::join!(
        copy_chunks(&server.database_url, chunks),
        copy_chunks(&server.database_url, second_half),
    );
    events as f64 / begun.elapsed().as_secs_f64()
}

async fn copy_chunks(database_url: &str, chunks: Vec<Vec<(&str, Bytes)>>) {
    let mut connection = PgConnection::connect(database_url)
        .await
        .expect("PostgreSQL answers");
    for chunk in chunks {
        let mut transaction = connection.begin().await.expect("a transaction");
        for (table, rows) in chunk {
            let statement = format!("COPY raw_{table} FROM STDIN (FORMAT binary)");
            let mut copy = transaction.copy_in_raw(&statement).await.expect("a copy");
            copy.send(rows).await.expect("rows go in");
            copy.finish().await.expect("rows are good");
        }
        transaction.commit().await.expect("a commit");
    }
}

/// A bare axum route as a process of its own.
pub struct Bare {
    pub url: String,
    child: Child,
}

impl Bare {
    pub async fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .env(BARE_SERVER, &address)
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let url = format!("http://{address}/");
        wait_for(&url).await;
        Self { url, child }
    }

    pub async fn stop(mut self) {
        self.child.kill().await.expect("it was running");
    }
}

/// Serves the bare route for ever.
pub async fn serve_bare() {
    let address = std::env::var(BARE_SERVER).expect("checked by the caller");
    let address: SocketAddr = address.parse().expect("an address");
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("a free port");
    let router = axum::Router::new().route(
        "/",
        get(|| async { "{\"data\":{\"__typename\":\"Query\"}}" })
            .post(|| async { "{\"data\":{\"__typename\":\"Query\"}}" }),
    );
    axum::serve(listener, router).await.expect("it serves");
}
