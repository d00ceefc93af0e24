//! What the processes of one installation keep together, in Redis.
//!
//! It may be away, slow or full: then it is left out, for a while that grows, and nobody waits for
//! it. Nothing in it is believed that could not be of this database and this build of the program:
//! both are in the names of the keys.

use std::fmt::Display;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use redis::{FromRedisValue, InfoDict, Pipeline, RedisError};
use tokio::sync::Semaphore;
use xxhash_rust::xxh3::Xxh3;

use crate::config::RedisUrl;
use crate::redis_line::{Silence, Spare};
use crate::storage::Db;
use crate::storage::queries::installation::installation;
use crate::telemetry::metrics::Metrics;

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_millis(50);
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

/// The Redis.
pub(super) struct Shared {
    redis: Spare,
    /// How the names of our keys begin, once that is known.
    prefix: OnceLock<String>,
    metrics: Metrics,
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
        Ok(Self {
            redis: Spare::new(url, PATIENCE)?,
            prefix: OnceLock::new(),
            metrics: metrics.clone(),
            has_room: AtomicBool::new(false),
            writes: Arc::new(Semaphore::new(WRITES)),
        })
    }

    /// Looks after the connection, for ever.
    pub(super) async fn run(&self, db: &Db) {
        let mut backoff = BACKOFF;
        loop {
            match self.connect(db).await {
                Ok(()) => {
                    self.metrics.cache_redis_up.set(1.0);
                    tracing::debug!("answers are kept in Redis");
                    let begun = tokio::time::Instant::now();
                    tokio::select! {
                        () = self.redis.failed() => {}
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

    async fn connect(&self, db: &Db) -> Result<(), String> {
        if self.prefix.get().is_none() {
            let name = installation(db.control()).await;
            let name = name.map_err(|error| error.to_string())?;
            let build = tokio::task::spawn_blocking(build).await;
            let build = build.map_err(|error| error.to_string())?;
            self.prefix
                .get_or_init(|| format!("tidewater:{name}:cache:{build}"));
        }
        self.redis.open().await.map_err(|error| error.to_string())
    }

    /// Sends commands of one key's; nothing if Redis is left out or fails.
    async fn ask<T: FromRedisValue>(&self, commands: impl FnOnce(&str) -> Pipeline) -> Option<T> {
        let commands = commands(self.prefix.get()?);
        match self.redis.ask(&commands).await {
            Ok(answer) => return Some(answer),
            Err(Silence::LeftOut) => return None,
            Err(Silence::Refused(error)) => tracing::debug!(%error, "Redis refused"),
            Err(Silence::Failed(why)) => tracing::debug!(why, "Redis is left out for a while"),
        }
        self.metrics.cache_redis_errors.increment(1);
        None
    }

    /// Looks whether it has memory to spare, for ever.
    async fn watch_room(&self) {
        loop {
            // Of a cluster one node would answer for all.
            let has_room = self.redis.is_cluster() || self.has_room().await;
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
        let turn = self.writes.try_acquire();
        let has_room = turn.is_ok() && self.has_room.load(Ordering::Relaxed);
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
    /// not to be done once more; whether it is done. In a Redis Cluster, whose nodes would have to be
    /// asked one by one, what is kept is left to expire.
    pub(super) async fn forget(&self, erasures: i64, once_more: bool) -> bool {
        if self.redis.is_cluster() {
            return true;
        }
        let Some(prefix) = self.prefix.get() else {
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
}

/// One command.
fn pipe(command: &str, arguments: &[&str]) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd(command).arg(arguments);
    pipeline
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
fn build() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(|| {
        let hash = hash_of_program();
        let hash = hash.unwrap_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0);
        format!("{hash:016x}")
    });
    &BUILD
}

fn hash_of_program() -> std::io::Result<u64> {
    let mut program = std::fs::File::open(std::env::current_exe()?)?;
    let (mut hasher, mut buffer) = (Xxh3::new(), vec![0; 256 * 1024]);
    loop {
        match program.read(&mut buffer)? {
            0 => return Ok(hasher.digest()),
            length => hasher.update(&buffer[..length]),
        }
    }
}
