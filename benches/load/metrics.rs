//! How long questions about a made-up past take (`metrics.json`): through `metrics`, and beside it
//! the same asked of the facts with plain SQL on the same PostgreSQL, in one run.
//!
//! The past is loaded with `tidewater load --history`; what is over is summed up before the first
//! question. With `TIDEWATER_BENCH_PARQUET` set to a folder the facts are written there as CSV for
//! `ask_duckdb.py`, which asks `DuckDB` the same.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Client;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::load::client;
use crate::server::{KEY, Server, run as execute};

const QUESTIONS: &str = include_str!("metrics.json");
pub const ASK: &str = "query($input: MetricsInput!) { metrics(input: $input) { rowsRead
    series { total buckets { start end value compared } } provenance { source } } }";
/// How often each is asked, through the API and of the facts.
const TIMES: usize = 100;
const TIMES_RAW: usize = 1;
/// How long one question is asked again and again at the most.
const PATIENCE: Duration = Duration::from_secs(6);
/// What a dashboard asks at once.
const DASHBOARD: usize = 12;
/// How long nothing may be left to be summed up.
const QUIET: Duration = Duration::from_secs(12);

/// One of the questions.
#[derive(Deserialize)]
pub struct Asked {
    pub name: String,
    pub input: Value,
    sql: String,
}

/// Loads so many events, and asks; or asks what is in a database already.
pub async fn run(events: u64, database: Option<String>) {
    let variables = [
        ("TIDEWATER_INGEST", "direct"),
        ("TIDEWATER_CACHE_BYTES", "0"),
    ];
    let server = if let Some(database) = database {
        Server::start_on(database, "all", &variables).await
    } else {
        let server = Server::start_as("all", &variables).await;
        fill(&server, events).await;
        println!("{events} events over 30 days, nothing cached\n");
        server
    };
    let asked: Vec<Asked> = serde_json::from_str(QUESTIONS).expect("questions");
    ask_all(&server, &asked).await;
    crate::kept::run(&server, &asked).await;
    crate::export::run(&server).await;
    server.stop().await;
}

async fn fill(server: &Server, events: u64) {
    let begun = Instant::now();
    let users = (events / 100).max(1_000);
    let options = format!(
        "--history 30 --events {events} --users {users} --products 5000 --batch 2500 --no-verify"
    );
    server.load(&options).await;
    let loaded = begun.elapsed();
    summed_up(server).await;
    println!(
        "loaded in {:.0} s, summed up {:.0} s later\n",
        loaded.as_secs_f64(),
        begun.elapsed().as_secs_f64() - loaded.as_secs_f64()
    );
    let mut connection = connect(server).await;
    execute(&mut connection, "VACUUM ANALYZE").await;
    server.settle().await;
}

async fn connect(server: &Server) -> PgConnection {
    let connection = PgConnection::connect(&server.database_url).await;
    connection.expect("PostgreSQL answers")
}

/// Waits until nothing new has been summed up for a while.
async fn summed_up(server: &Server) {
    let mut connection = connect(server).await;
    let (mut known, mut since) = (0, Instant::now());
    while since.elapsed() < QUIET {
        let count: i64 =
            sqlx::query_scalar("SELECT sum(change)::bigint + count(*) FROM summarised")
                .fetch_optional(&mut connection)
                .await
                .ok()
                .flatten()
                .unwrap_or_default();
        if count != known {
            (known, since) = (count, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn ask_all(server: &Server, asked: &[Asked]) {
    let mut connection = connect(server).await;
    let client = client();
    println!(
        "| question | p50 ms | p99 ms | cells and rows | plain SQL ms | ratio |\n|---|---|---|---|---|---|"
    );
    let (mut all, mut exports) = (Vec::new(), Vec::new());
    for one in asked {
        let (_, answer) = ask(&client, server, &one.input).await;
        let mut taken = vec![];
        let begun = Instant::now();
        while taken.len() < TIMES && begun.elapsed() < PATIENCE {
            taken.push(ask(&client, server, &one.input).await.0);
        }
        taken.sort_unstable();
        let (p50, p99) = (taken[taken.len() / 2], taken[taken.len() * 99 / 100]);
        let [from, to] = range(&answer);
        let sql = one.sql.replace("{from}", &from).replace("{to}", &to);
        let mut raw = vec![];
        for _ in 0..TIMES_RAW {
            let begun = Instant::now();
            let rows = sqlx::query(AssertSqlSafe(sql.clone()))
                .fetch_all(&mut connection)
                .await;
            rows.expect("the statement is good");
            raw.push(begun.elapsed());
        }
        raw.sort_unstable();
        let raw = raw[TIMES_RAW / 2];
        println!(
            "| {} | {:.1} | {:.1} | {} | {:.0} | {:.0} |",
            one.name,
            ms(p50),
            ms(p99),
            answer["rowsRead"],
            ms(raw),
            ms(raw) / ms(p50)
        );
        all.extend(taken);
        exports.push(json!({"name": one.name, "sql": sql, "p50": ms(p50)}));
    }
    all.sort_unstable();
    println!(
        "\nall: p50 {:.1} ms, p99 {:.1} ms",
        ms(all[all.len() / 2]),
        ms(all[all.len() * 99 / 100])
    );
    dashboard(&client, server, asked).await;
    if let Ok(folder) = std::env::var("TIDEWATER_BENCH_PARQUET") {
        export(&mut connection, Path::new(&folder), &exports).await;
    }
}

/// Twelve questions at once.
async fn dashboard(client: &Client, server: &Server, asked: &[Asked]) {
    let mut taken = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let all = asked
            .iter()
            .step_by(2)
            .take(DASHBOARD)
            .map(|one| ask(client, server, &one.input));
        futures_util::future::join_all(all).await;
        taken.push(begun.elapsed());
    }
    taken.sort_unstable();
    println!(
        "{DASHBOARD} at once: p50 {:.0} ms, slowest of 20 {:.0} ms",
        ms(taken[10]),
        ms(taken[19])
    );
}

async fn ask(client: &Client, server: &Server, input: &Value) -> (Duration, Value) {
    let request = client
        .post(format!("{}/graphql", server.url))
        .bearer_auth(KEY)
        .json(&json!({"query": ASK, "variables": {"input": input}}));
    let begun = Instant::now();
    let body = request
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let taken = begun.elapsed();
    let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(answer["errors"].is_null(), "{input}: {answer}");
    (taken, answer["data"]["metrics"].take())
}

/// From when to when an answer is.
fn range(answer: &Value) -> [String; 2] {
    let buckets = answer["series"][0]["buckets"].as_array().expect("buckets");
    let text = |value: &Value| value.as_str().expect("an instant").to_owned();
    [
        text(&buckets[0]["start"]),
        text(&buckets[buckets.len() - 1]["end"]),
    ]
}

fn ms(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}

/// Writes what `DuckDB` is to read and to answer.
async fn export(connection: &mut PgConnection, folder: &Path, questions: &[Value]) {
    use futures_util::TryStreamExt;
    use std::io::Write;
    for (table, columns) in [
        (
            "event",
            "tenant_id, timestamp, event_id, user_id, event_type, session_id, region, channel, campaign, page_url, user_agent_id, bot",
        ),
        (
            "purchase",
            "tenant_id, timestamp, event_id, user_id, product_id, quantity, amount, category, region, channel, bot",
        ),
    ] {
        let statement =
            format!("COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT csv, HEADER)");
        let file = std::fs::File::create(folder.join(format!("{table}.csv"))).expect("a folder");
        let mut file = std::io::BufWriter::new(file);
        let mut rows = connection.copy_out_raw(&statement).await.expect("a copy");
        while let Some(bytes) = rows.try_next().await.expect("rows") {
            file.write_all(&bytes).expect("room");
        }
    }
    let text = serde_json::to_string_pretty(questions).expect("JSON");
    std::fs::write(folder.join("questions.json"), text).expect("a folder");
}
