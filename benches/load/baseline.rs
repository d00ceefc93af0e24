//! What the figures stand beside: PostgreSQL without us, HTTP without us.

use std::net::SocketAddr;
use std::time::Instant;

use axum::routing::get;
use bytes::Bytes;
use futures_util::TryStreamExt;
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::process::{Child, Command};

use crate::bodies::Round;
use crate::server::{Server, free_port, run, wait_for};

/// Set: this process is the bare server, and this is its address.
pub const BARE_SERVER: &str = "TIDEWATER_BARE_SERVER";

/// What it answers.
const BARE_BODY: &str = "TIDEWATER_BARE_BODY";

const TABLES: [&str; 3] = ["event", "purchase", "refund"];
/// Events of a transaction.
const EVENTS: i64 = 10_000;

/// The rows of one transaction: each table's as PostgreSQL itself writes them in binary.
type Piece = Vec<(&'static str, Bytes)>;

/// What a round stored, encoded.
#[derive(Clone)]
pub struct Rows {
    events: i64,
    pieces: Vec<Piece>,
}

/// Tables like those of the facts: the same columns, keys, indexes and partitions.
pub struct Copies {
    database_url: String,
    connections: usize,
}

impl Copies {
    /// Empty ones, to be filled over so many connections.
    pub async fn new(server: &Server, connections: usize) -> Self {
        let mut connection = connect(&server.database_url).await;
        for table in TABLES {
            let copy = format!("copy{connections}_{table}");
            let statements = [
                format!(
                    "CREATE TABLE {copy} (LIKE {table} INCLUDING ALL) PARTITION BY RANGE (timestamp)"
                ),
                // One partition takes them all, as that of the month does.
                format!(
                    "CREATE TABLE {copy}_now PARTITION OF {copy} FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
                ),
            ];
            for statement in statements {
                run(&mut connection, &statement).await;
            }
        }
        Self {
            database_url: server.database_url.clone(),
            connections,
        }
    }

    /// Reads what a round stored, in the order in which it was stored.
    pub async fn take(&self, round: &Round) -> Rows {
        let mut connection = connect(&self.database_url).await;
        let (from, to) = (round.from.to_rfc3339(), round.to.to_rfc3339());
        run(
            &mut connection,
            &format!(
                "CREATE TEMPORARY TABLE piece AS \
                 SELECT event_id, timestamp, (row_number() OVER (ORDER BY tableoid, ctid) - 1) / {EVENTS} AS piece \
                 FROM event WHERE timestamp >= '{from}' AND timestamp < '{to}'"
            ),
        )
        .await;
        run(&mut connection, "CREATE INDEX ON piece (piece)").await;
        run(&mut connection, "ANALYZE piece").await;
        let events: i64 = query_scalar("SELECT count(*) FROM piece")
            .fetch_one(&mut connection)
            .await
            .expect("a count");
        assert_eq!(events, i64::from(round.events()), "the round's rows");
        let mut pieces = Vec::new();
        for piece in 0..(events + EVENTS - 1) / EVENTS {
            let mut tables = Vec::new();
            for table in TABLES {
                let select = format!(
                    "COPY (SELECT t.* FROM piece JOIN {table} AS t USING (timestamp, event_id) \
                     WHERE piece = {piece} ORDER BY t.tableoid, t.ctid) TO STDOUT (FORMAT binary)"
                );
                let parts: Vec<Bytes> = connection
                    .copy_out_raw(&select)
                    .await
                    .expect("a copy")
                    .try_collect()
                    .await
                    .expect("a whole copy");
                tables.push((table, Bytes::from(parts.concat())));
            }
            pieces.push(tables);
        }
        Rows { events, pieces }
    }

    /// Copies rows in, a transaction for each piece; answers events a second.
    pub async fn copy(&self, rows: Rows) -> f64 {
        let share = rows.pieces.len().div_ceil(self.connections);
        let mut pieces = rows.pieces.into_iter();
        let mut shares = Vec::new();
        for _ in 0..self.connections {
            let connection = connect(&self.database_url).await;
            let own: Vec<Piece> = pieces.by_ref().take(share).collect();
            shares.push((connection, own));
        }
        let begun = Instant::now();
        let copying = shares
            .into_iter()
            .map(|(connection, own)| tokio::spawn(copy_pieces(connection, self.connections, own)));
        for copied in futures_util::future::join_all(copying).await {
            copied.expect("rows are good");
        }
        rows.events as f64 / begun.elapsed().as_secs_f64()
    }
}

async fn copy_pieces(mut connection: PgConnection, connections: usize, pieces: Vec<Piece>) {
    for piece in pieces {
        let mut transaction = connection.begin().await.expect("a transaction");
        for (table, rows) in piece {
            let statement = format!("COPY copy{connections}_{table} FROM STDIN (FORMAT binary)");
            let mut copy = transaction.copy_in_raw(&statement).await.expect("a copy");
            copy.send(rows).await.expect("rows go in");
            copy.finish().await.expect("rows are good");
        }
        transaction.commit().await.expect("a commit");
    }
}

async fn connect(database_url: &str) -> PgConnection {
    let connection = PgConnection::connect(database_url).await;
    connection.expect("PostgreSQL answers")
}

/// A bare axum route as a process of its own.
pub struct Bare {
    pub url: String,
    child: Child,
}

impl Bare {
    pub async fn start() -> Self {
        Self::giving("{\"data\":{\"__typename\":\"Query\"}}").await
    }

    /// One that answers so.
    pub async fn giving(body: &str) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .env(BARE_SERVER, &address)
            .env(BARE_BODY, body)
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
    let body = Bytes::from(std::env::var(BARE_BODY).expect("set beside the address"));
    let (got, posted) = (body.clone(), body);
    let router = axum::Router::new().route(
        "/",
        get(async move || got.clone()).post(async move || posted.clone()),
    );
    axum::serve(listener, router).await.expect("it serves");
}
