//! Events a second that are acknowledged by a durable append to a Redis Stream, in turns with a
//! bare `XADD` of the same bytes; and how fast a worker stores what lies there, in turns with the
//! server that stores directly.

use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use sea_orm::sqlx::{self, Connection, PgConnection};
use tidewater::cli::load::event::Ids;
use tokio::process::{Child, Command};

use crate::bodies::{Round, Sender};
use crate::ingest::ratio;
use crate::load::median;
use crate::server::{Server, free_port, program};

const ROUNDS: usize = 5;
const EVENTS: u32 = 400_000;
const BATCH: u32 = 2_500;
const CONNECTIONS: usize = 16;

pub async fn run() {
    let redis = Redis::start().await;
    let variables = [("TIDEWATER_INGEST", "stream"), ("REDIS_URL", &redis.url)];
    // It stores nothing itself.
    let server = Server::start_as("api", &variables).await;
    let mut sender = Sender::new(Ids::V4, BATCH, 0.0, 1);
    let [mut acknowledged, mut bare, mut stored, mut directly] = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let written = sender.write(EVENTS).await;
        let timing = sender.send(&server, &written, CONNECTIONS).await;
        acknowledged.push(f64::from(written.events()) / timing.whole.as_secs_f64());
        server.settle().await;
        stored.push(drain(&server, &redis, f64::from(written.events())).await);
        bare.push(redis.append(&written).await);
        println!(
            "  round {round}: {:.0} events/s acknowledged, {:.0} by bare XADD; {:.0} stored",
            acknowledged[round], bare[round], stored[round]
        );
    }
    server.stop().await;
    let direct = Server::start().await;
    for _ in 0..ROUNDS {
        let written = sender.write(EVENTS).await;
        direct.settle().await;
        let timing = sender.send(&direct, &written, CONNECTIONS).await;
        directly.push(f64::from(written.events()) / timing.whole.as_secs_f64());
    }
    direct.stop().await;

    println!(
        "\n| {BATCH} events a request, {CONNECTIONS} connections | events/s, median | ratio, median |\n|---|---|---|"
    );
    for (what, own, other) in [
        ("acknowledged through the stream", &acknowledged, &bare),
        ("`XADD` of the same bytes, pipelined", &bare, &bare),
        ("stored by one worker", &stored, &directly),
        ("acknowledged and stored, `direct`", &directly, &directly),
    ] {
        println!(
            "| {what} | {:.0} | {:.2} |",
            median(own.clone()),
            ratio(own, other)
        );
    }
}

/// Starts a worker, and ends it when nothing is left to be stored; events a second in between.
async fn drain(server: &Server, redis: &Redis, events: f64) -> f64 {
    let mut database = PgConnection::connect(&server.database_url)
        .await
        .expect("PostgreSQL answers");
    let before = rows(&mut database).await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let worker = program(&server.database_url)
        .args(["worker", "--metrics-listen", &metrics])
        .envs([("TIDEWATER_INGEST", "stream"), ("REDIS_URL", &redis.url)])
        .spawn();
    let mut worker = worker.expect("the program starts");
    // Its start is not what is measured.
    let mut begun = None;
    loop {
        let stored = rows(&mut database).await - before;
        if stored > 0.0 && begun.is_none() {
            begun = Some((Instant::now(), stored));
        }
        if stored >= events {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (begun, already) = begun.expect("something was stored");
    let rate = (events - already) / begun.elapsed().as_secs_f64();
    worker.kill().await.expect("the worker was running");
    rate
}

/// How many events are stored.
async fn rows(database: &mut PgConnection) -> f64 {
    sqlx::query_scalar("SELECT coalesce(sum(events), 0)::double precision FROM traffic_minute")
        .fetch_one(database)
        .await
        .expect("the rollup is there")
}

/// A Redis that has on its disk what it answers for, where PostgreSQL has its data.
struct Redis {
    url: String,
    #[expect(dead_code, reason = "ends with it")]
    child: Child,
    #[expect(dead_code, reason = "ends with it")]
    data: tempfile::TempDir,
}

impl Redis {
    async fn start() -> Self {
        let data = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let port = free_port();
        let start = |program: &str| {
            let mut command = Command::new(program);
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args([
                    "--save",
                    "",
                    "--appendonly",
                    "yes",
                    "--appendfsync",
                    "always",
                ])
                .arg("--dir")
                .arg(data.path())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            command.spawn()
        };
        let child = start("redis-server").or_else(|_| start("valkey-server"));
        let redis = Self {
            url: format!("redis://127.0.0.1:{port}"),
            child: child.expect("there is a Redis, for the services use it"),
            data,
        };
        while redis.connect().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        redis
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url.as_str())?;
        client.get_multiplexed_async_connection().await
    }

    /// Appends a round's bodies as they are, as many at a time as there were connections; events
    /// a second.
    async fn append(&self, round: &Round) -> f64 {
        let mut connection = self.connect().await.expect("Redis answers");
        let begun = Instant::now();
        for bodies in round.bodies().chunks(CONNECTIONS) {
            let mut pipeline = redis::pipe();
            for body in bodies {
                let append = pipeline.cmd("XADD").arg("bare").arg("*").arg("events");
                append.arg(&body[..]).ignore();
            }
            let done: redis::RedisResult<()> = pipeline.query_async(&mut connection).await;
            done.expect("Redis appends");
        }
        let rate = f64::from(round.events()) / begun.elapsed().as_secs_f64();
        let deleted: redis::RedisResult<()> = redis::cmd("DEL")
            .arg("bare")
            .query_async(&mut connection)
            .await;
        deleted.expect("Redis deletes");
        rate
    }
}
