//! The buckets that all processes draw on, in Redis: one script, one round trip.
//!
//! A bucket is a key that holds when it will be full, in microseconds by the clock of Redis, and goes
//! when it is. Redis may be away or slow: then it is left out for a while.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::RedisError;

use crate::config::RedisUrl;
use crate::redis_line::{Silence, Spare};
use crate::storage::Db;
use crate::storage::queries::installation::installation;

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_millis(250);
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

/// The Redis.
pub(super) struct Shared {
    redis: Spare,
    /// How the names of our keys begin, once that is known.
    prefix: OnceLock<String>,
}

impl Shared {
    /// Connects once it runs.
    pub(super) fn new(url: &RedisUrl) -> Result<Self, RedisError> {
        Ok(Self {
            redis: Spare::new(url, PATIENCE)?,
            prefix: OnceLock::new(),
        })
    }

    /// Looks after the connection, for ever.
    pub(super) async fn run(&self, db: &Db) {
        loop {
            match self.connect(db).await {
                Ok(()) => {
                    self.redis.failed().await;
                    tracing::debug!("each process limits by itself for a while");
                }
                Err(why) => tracing::debug!(why, "each process limits by itself"),
            }
            tokio::time::sleep(LEFT_OUT).await;
        }
    }

    async fn connect(&self, db: &Db) -> Result<(), String> {
        if self.prefix.get().is_none() {
            let name = installation(db.control()).await;
            let name = name.map_err(|error| error.to_string())?;
            self.prefix
                .get_or_init(|| format!("tidewater:{name}:limit"));
        }
        self.redis.open().await.map_err(|error| error.to_string())
    }

    /// Whether it can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.redis.is_up()
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
        let prefix = self.prefix.get()?;
        let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        let mut commands = redis::pipe();
        let call = commands.cmd("EVAL").arg(DRAW).arg(1);
        call.arg(format!("{prefix}:{{{bucket}}}"))
            .arg(need)
            .arg(want)
            .arg(limit)
            .arg(micros);
        let began = Instant::now();
        let answer: Result<([i64; 4],), Silence> = self.redis.ask(&commands).await;
        let why = match answer {
            Ok(([granted, remaining, until_there, full_in],)) => {
                let micros =
                    |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                return Some(Grant {
                    granted: u32::try_from(granted).unwrap_or(u32::MAX),
                    remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
                    wait: (until_there >= 0).then(|| micros(until_there)),
                    full_in: micros(full_in),
                });
            }
            Err(Silence::LeftOut) => return None,
            Err(Silence::Refused(error)) => error.to_string(),
            Err(Silence::Failed(why)) => why,
        };
        tracing::debug!(why, took = ?began.elapsed(), "limits are not shared for a while");
        None
    }
}
