//! The buckets that all processes draw on, in Redis: one script, one round trip.
//!
//! A bucket is a key that holds when it will be full, in microseconds by the clock of Redis, and goes
//! when it is. Redis may be away or slow: then it is left out for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, RedisError};

use crate::config::RedisUrl;
use crate::storage::Db;
use crate::storage::queries::installation::installation;

/// How long Redis may take to answer, and to let us in.
const PATIENCE: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(1);
/// How long it is left out when it failed.
const LEFT_OUT: Duration = Duration::from_secs(1);

/// Draws on a bucket: what was granted, what is left, how long until what was wanted is there, and
/// until the bucket is full.
const DRAW: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local need, want, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local period = tonumber(ARGV[4])
    local each = period / limit
    local full = tonumber(redis.call('GET', KEYS[1]) or 0)
    if full < now then full = now end
    local room = math.floor((now + period - full) / each + 0.000001)
    local least = math.min(need, limit)
    if room < least then
        return {0, 0, math.ceil(full + least * each - period - now), math.ceil(full - now)}
    end
    local granted = math.max(need, math.min(want, room))
    full = full + granted * each
    redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil((full - now) / 1000))
    room = math.max(0, math.floor((now + period - full) / each + 0.000001))
    return {granted, room, -1, math.ceil(full - now)}";

/// What a bucket gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) granted: u32,
    /// What is left in it.
    pub(super) remaining: u32,
    /// How long until what was needed is there, if it is not.
    pub(super) wait: Option<Duration>,
    /// How long until it is full.
    pub(super) full_in: Duration,
}

enum Server {
    Single(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

#[derive(Clone)]
struct Line {
    connection: Connection,
    prefix: String,
}

/// The Redis.
pub(super) struct Shared {
    server: Server,
    /// Nothing while it is left out.
    line: Mutex<Option<Line>>,
    failed: tokio::sync::Notify,
}

impl Shared {
    /// Connects once it runs.
    pub(super) fn new(url: &RedisUrl) -> Result<Self, RedisError> {
        let server = match url.cluster() {
            Some(nodes) => Server::Cluster(Box::new(ClusterClient::new(nodes)?)),
            None => Server::Single(Box::new(redis::Client::open(url.first())?)),
        };
        Ok(Self {
            server,
            line: Mutex::default(),
            failed: tokio::sync::Notify::new(),
        })
    }

    /// Looks after the connection, for ever.
    pub(super) async fn run(&self, db: &Db) {
        loop {
            match tokio::time::timeout(2 * CONNECT, self.connect(db)).await {
                Ok(Ok(line)) => {
                    *self.lock() = Some(line);
                    self.failed.notified().await;
                    tracing::debug!("each process limits by itself for a while");
                }
                Ok(Err(why)) => tracing::debug!(why, "each process limits by itself"),
                Err(_) => {
                    tracing::debug!("Redis does not let us in; each process limits by itself");
                }
            }
            tokio::time::sleep(LEFT_OUT).await;
        }
    }

    async fn connect(&self, db: &Db) -> Result<Line, String> {
        let name = installation(db.control())
            .await
            .map_err(|error| error.to_string())?;
        let opening = async {
            Ok::<_, RedisError>(match &self.server {
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
            })
        };
        Ok(Line {
            connection: opening.await.map_err(|error| error.to_string())?,
            prefix: format!("tidewater:{name}:limit"),
        })
    }

    /// Whether it can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.lock().is_some()
    }

    /// Draws on a bucket: as much as is needed, or as is wanted in advance. Nothing if Redis does not
    /// answer.
    pub(super) async fn ask(
        &self,
        bucket: &str,
        (need, want): (u32, u32),
        limit: u32,
        period: Duration,
    ) -> Option<Grant> {
        let Line { connection, prefix } = self.lock().clone()?;
        let mut call = redis::cmd("EVAL");
        call.arg(DRAW).arg(1).arg(format!("{prefix}:{{{bucket}}}"));
        let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        call.arg(need).arg(want).arg(limit).arg(micros);
        let asking = async {
            match connection {
                Connection::Single(mut line) => call.query_async(&mut line).await,
                Connection::Cluster(mut line) => call.query_async(&mut line).await,
            }
        };
        let began = Instant::now();
        let answer: Result<Result<[i64; 4], RedisError>, _> =
            tokio::time::timeout(PATIENCE, asking).await;
        let why = match answer {
            Ok(Ok([granted, remaining, until_there, full_in])) => {
                let micros =
                    |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                return Some(Grant {
                    granted: u32::try_from(granted).unwrap_or(u32::MAX),
                    remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
                    wait: (until_there >= 0).then(|| micros(until_there)),
                    full_in: micros(full_in),
                });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer in time".to_owned(),
        };
        tracing::debug!(why, took = ?began.elapsed(), "limits are not shared for a while");
        // Of several that fail at once, the first says so.
        if self.lock().take().is_some() {
            self.failed.notify_one();
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
