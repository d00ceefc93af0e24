//! What the processes of one installation keep together, in Redis.
//!
//! It may be away, slow or full: then it is left out, for a while that grows, and nobody waits for
//! it. Nothing in it is believed that could not be of this database and this build of the program:
//! both are in the names of the keys.

use std::fmt::Display;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, InfoDict, Pipeline, RedisError};
use tokio::sync::{Notify, Semaphore};
use xxhash_rust::xxh3::Xxh3;

use crate::config::RedisUrl;
use crate::storage::Db;
use crate::storage::queries::installation::installation;
use crate::telemetry::metrics::Metrics;

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long it may take to let us in.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it is left out when it failed, at first and at most.
const BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(8);
/// How long an answer is kept.
const KEPT: Duration = Duration::from_mins(10);
/// How long a document is kept after it was last sent.
const DOCUMENT_KEPT: Duration = Duration::from_hours(24);
/// How large what is kept may be.
const MAX_VALUE: usize = 1024 * 1024;
/// How long who said that they make an answer are believed.
const CLAIMED: Duration = Duration::from_secs(2);
/// How often it is asked how much memory it uses, and how much of what it may use is too much: the
/// rest is for events.
const ROOM_ASKED: Duration = Duration::from_secs(5);
const ROOM_PART: u64 = 2;
/// How many names are looked at in one step.
const SCANNED: &str = "500";
/// How many writes may be under way; what is more is not written.
const WRITES: usize = 32;

/// Where it is.
enum Server {
    Single(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
}

/// The connection.
#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A connection, and how the names of our keys begin.
#[derive(Clone)]
struct Line {
    connection: Connection,
    prefix: Arc<str>,
}

/// The Redis.
pub(super) struct Shared {
    server: Server,
    metrics: Metrics,
    /// Nothing while it is left out.
    line: Mutex<Option<Line>>,
    failed: Notify,
    /// Whether it has memory to spare.
    has_room: AtomicBool,
    writes: Arc<Semaphore>,
}

/// What was found of a question.
pub(super) struct Found {
    /// An answer.
    pub(super) answer: Option<Vec<u8>>,
    /// Whether nobody else makes one, so that we may.
    pub(super) claimed: bool,
}

impl Shared {
    /// Connects once it runs.
    pub(super) fn new(url: &RedisUrl, metrics: &Metrics) -> Result<Self, RedisError> {
        let server = match url.cluster() {
            Some(nodes) => Server::Cluster(Box::new(ClusterClient::new(nodes)?)),
            None => Server::Single(Box::new(redis::Client::open(url.first())?)),
        };
        Ok(Self {
            server,
            metrics: metrics.clone(),
            line: Mutex::default(),
            failed: Notify::new(),
            has_room: AtomicBool::new(false),
            writes: Arc::new(Semaphore::new(WRITES)),
        })
    }

    /// Looks after the connection, for ever.
    pub(super) async fn run(&self, db: &Db) {
        let mut backoff = BACKOFF;
        let mut prefix = None;
        loop {
            match self.connect(db, &mut prefix).await {
                Ok(line) => {
                    *self.lock() = Some(line);
                    self.metrics.cache_redis_up.set(1.0);
                    tracing::debug!("answers are kept in Redis");
                    let begun = tokio::time::Instant::now();
                    tokio::select! {
                        () = self.failed.notified() => {}
                        () = self.watch_room() => {}
                    }
                    self.metrics.cache_redis_up.set(0.0);
                    if begun.elapsed() > MAX_BACKOFF {
                        backoff = BACKOFF;
                    }
                }
                Err(why) => tracing::debug!(why, "answers are not kept in Redis"),
            }
            tokio::time::sleep(backoff).await;
            backoff = (2 * backoff).min(MAX_BACKOFF);
        }
    }

    async fn connect(&self, db: &Db, prefix: &mut Option<Arc<str>>) -> Result<Line, String> {
        let prefix = match prefix {
            Some(prefix) => prefix,
            None => {
                let name = installation(db.control()).await;
                let name = name.map_err(|error| error.to_string())?;
                let build = tokio::task::spawn_blocking(build).await;
                let build = build.map_err(|error| error.to_string())?;
                prefix.insert(format!("tidewater:{name}:cache:{build}").into())
            }
        };
        let opening = async {
            let mut connection = match &self.server {
                Server::Single(client) => {
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(Some(CONNECT))
                        .set_response_timeout(Some(PATIENCE));
                    let opening = client.get_multiplexed_async_connection_with_config(&config);
                    Connection::Single(opening.await?)
                }
                Server::Cluster(client) => {
                    let config = ClusterConfig::new()
                        .set_connection_timeout(CONNECT)
                        .set_response_timeout(PATIENCE);
                    let opening = client.get_async_connection_with_config(config);
                    Connection::Cluster(opening.await?)
                }
            };
            // One that does not answer in time is of no use.
            let _: (String,) = connection.ask(redis::pipe().cmd("PING")).await?;
            Ok::<_, RedisError>(connection)
        };
        let connection = tokio::time::timeout(2 * CONNECT, opening).await;
        let connection = connection.map_err(|_| "connecting took too long".to_owned())?;
        Ok(Line {
            connection: connection.map_err(|error| error.to_string())?,
            prefix: Arc::clone(prefix),
        })
    }

    /// Sends commands of one key's; nothing if Redis is left out or fails.
    async fn ask<T: FromRedisValue>(&self, commands: impl FnOnce(&str) -> Pipeline) -> Option<T> {
        let Line {
            mut connection,
            prefix,
        } = self.lock().clone()?;
        let pipeline = commands(&prefix);
        let answer = tokio::time::timeout(PATIENCE, connection.ask(&pipeline)).await;
        let why = match answer {
            Ok(Ok(answer)) => return Some(answer),
            // It answers, but not so: as when its memory is full.
            Ok(Err(error)) if !error.is_io_error() && !error.is_unrecoverable_error() => {
                tracing::debug!(%error, "Redis refused");
                self.metrics.cache_redis_errors.increment(1);
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer in time".to_owned(),
        };
        tracing::debug!(why, "Redis is left out for a while");
        self.metrics.cache_redis_errors.increment(1);
        // Of several that fail at once, the first says so.
        if self.lock().take().is_some() {
            self.failed.notify_one();
        }
        None
    }

    /// Looks whether it has memory to spare, for ever.
    async fn watch_room(&self) {
        loop {
            let has_room = match &self.server {
                Server::Single(_) => self.has_room().await,
                // One of its nodes would answer for all.
                Server::Cluster(_) => true,
            };
            self.has_room.store(has_room, Ordering::Relaxed);
            tokio::time::sleep(ROOM_ASKED).await;
        }
    }

    /// Whether it uses so little of the memory that it may use that answers find room beside events.
    async fn has_room(&self) -> bool {
        let asking = self.ask(|_| {
            let mut pipeline = redis::pipe();
            pipeline.cmd("INFO").arg("memory");
            pipeline
        });
        let Some((memory,)) = asking.await as Option<(InfoDict,)> else {
            return false;
        };
        let used: u64 = memory.get("used_memory").unwrap_or(0);
        match memory.get::<u64>("maxmemory") {
            None | Some(0) => true,
            Some(most) => used < most / ROOM_PART,
        }
    }

    /// An answer that somebody made; without one, whether it is ours to make. Nothing if Redis does
    /// not tell.
    pub(super) async fn find(&self, history: &str, key: &impl Display) -> Option<Found> {
        let found: Option<(Option<Vec<u8>>, Option<String>)> = self
            .ask(|prefix| {
                let [answer, claim] = names(prefix, history, key);
                let mut pipeline = redis::pipe();
                pipeline.cmd("GET").arg(answer);
                let millis = u64::try_from(CLAIMED.as_millis()).unwrap_or(u64::MAX);
                let claiming = pipeline.cmd("SET").arg(claim).arg("").arg("NX");
                claiming.arg("PX").arg(millis);
                pipeline
            })
            .await;
        found.map(|(answer, claimed)| Found {
            answer,
            claimed: claimed.is_some(),
        })
    }

    /// Keeps an answer, if there is one, and lets others make the next.
    pub(super) async fn put(&self, history: &str, key: &impl Display, answer: Option<Vec<u8>>) {
        let Ok(_turn) = self.writes.try_acquire() else {
            return;
        };
        let has_room = self.has_room.load(Ordering::Relaxed);
        let answer = answer.filter(|answer| has_room && answer.len() <= MAX_VALUE);
        let _: Option<()> = self
            .ask(|prefix| {
                let [name, claim] = names(prefix, history, key);
                let mut pipeline = redis::pipe();
                if let Some(answer) = answer {
                    let setting = pipeline.cmd("SET").arg(name).arg(answer);
                    setting.arg("EX").arg(KEPT.as_secs()).ignore();
                }
                pipeline.cmd("DEL").arg(claim).ignore();
                pipeline
            })
            .await;
    }

    /// A document that was sent by its hash.
    pub(super) async fn document(&self, key: &impl Display) -> Option<String> {
        let (document,): (Option<String>,) = self
            .ask(|prefix| {
                let mut pipeline = redis::pipe();
                let getting = pipeline
                    .cmd("GETEX")
                    .arg(format!("{prefix}:document:{key}"));
                getting.arg("EX").arg(DOCUMENT_KEPT.as_secs());
                pipeline
            })
            .await?;
        document
    }

    /// Keeps one.
    pub(super) async fn put_document(&self, key: &impl Display, document: &str) {
        if !self.has_room.load(Ordering::Relaxed) {
            return;
        }
        let _: Option<()> = self
            .ask(|prefix| {
                let mut pipeline = redis::pipe();
                let name = format!("{prefix}:document:{key}");
                let setting = pipeline.cmd("SET").arg(name).arg(document);
                setting.arg("EX").arg(DOCUMENT_KEPT.as_secs()).ignore();
                pipeline
            })
            .await;
    }

    /// Deletes all that is kept, of every build, unless that was done after so many erasures and is
    /// not to be done once more; whether it is done. In a Redis Cluster, whose nodes would have to be asked one by one, what is kept is
    /// left to expire.
    pub(super) async fn forget(&self, erasures: i64, once_more: bool) -> bool {
        if matches!(self.server, Server::Cluster(_)) {
            return true;
        }
        let Some(prefix) = self.lock().as_ref().map(|line| Arc::clone(&line.prefix)) else {
            return false;
        };
        let Some((ours, _)) = prefix.rsplit_once(':') else {
            return true;
        };
        let mark = format!("{}-erasures", ours.trim_end_matches(':'));
        let done: Option<(Option<i64>,)> = self.ask(|_| pipe("GET", &[&mark])).await;
        match done {
            Some((Some(done),)) if done == erasures && !once_more => return true,
            Some(_) => {}
            None => return false,
        }
        let mut cursor = 0_u64;
        loop {
            let page: Option<((u64, Vec<String>),)> = self
                .ask(|_| {
                    let cursor = cursor.to_string();
                    let all = "tidewater:*:cache:*";
                    pipe("SCAN", &[&cursor, "MATCH", all, "COUNT", SCANNED])
                })
                .await;
            let Some(((next, names),)) = page else {
                return false;
            };
            for name in names.iter().filter(|name| name.starts_with(ours)) {
                let gone: Option<(i64,)> = self.ask(|_| pipe("UNLINK", &[name])).await;
                if gone.is_none() {
                    return false;
                }
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let noted: Option<(String,)> = self
            .ask(|_| pipe("SET", &[&mark, &erasures.to_string()]))
            .await;
        noted.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One command.
fn pipe(command: &str, arguments: &[&str]) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd(command).arg(arguments);
    pipeline
}

impl Connection {
    async fn ask<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, RedisError> {
        match self {
            Self::Single(connection) => one(connection, commands).await,
            Self::Cluster(connection) => one(connection, commands).await,
        }
    }
}

async fn one<T: FromRedisValue>(
    connection: &mut impl ConnectionLike,
    commands: &Pipeline,
) -> Result<T, RedisError> {
    commands.query_async(connection).await
}

/// What an answer and the claim to make it are called. The braces keep both on one node of a
/// cluster, and answers anywhere.
fn names(prefix: &str, history: &str, key: &impl Display) -> [String; 2] {
    let answer = format!("{prefix}:{history}:{{{key}}}");
    let claim = format!("{answer}:claim");
    [answer, claim]
}

/// Which build of the program this is: another may ask, or write, in other words. A program that
/// cannot read itself stands alone.
fn build() -> String {
    let read = || {
        let mut program = std::fs::File::open(std::env::current_exe()?)?;
        let (mut hasher, mut buffer) = (Xxh3::new(), vec![0; 256 * 1024]);
        loop {
            match program.read(&mut buffer)? {
                0 => return Ok::<_, std::io::Error>(hasher.digest()),
                length => hasher.update(&buffer[..length]),
            }
        }
    };
    let hash = read().unwrap_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0);
    format!("{hash:016x}")
}
