//! How much: limits for each key and kind of work, and for each address that shows no key.
//!
//! What is limited by the time is a bucket that fills evenly and holds as much as may be done in its
//! period (GCRA: a bucket is one number, the time at which it would be full). [`bucket`] keeps one in
//! the process. With Redis all processes draw on one there ([`shared`]), a little in advance, so that
//! most requests ask nobody; while it is away each process has one of its own. What a request turned
//! out to cost besides is owed: the next one waits for it.
//!
//! What was told of limits while a request was answered is collected in a [`Meter`], for the headers.

mod bucket;
mod meter;
mod quota;
mod shared;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use redis::RedisError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Identity;
use crate::clock::Clock;
use crate::config::{LimitConfig, RedisUrl};
use crate::domain::network::site;
use crate::error::{Code, Problem};
use crate::storage::Db;
use bucket::{Bucket, Draw};
use shared::Shared;

pub(super) use meter::known;
pub use meter::{Meter, caller, is_known, owe, pay, points_of_rows};
pub use quota::{Kind, Quota};

/// How many buckets are kept, and how long after they were drawn on: longer than any fills.
const BUCKETS: u64 = 200_000;
const KEPT: Duration = Duration::from_hours(2);
/// What part of a limit is drawn in advance: what several processes have drawn and not used is less
/// than a hundredth of it, unless they are more than four.
const ADVANCE: u32 = 400;

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Key(Uuid),
    Address(IpAddr),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(out),
            Self::Address(address) => address.fmt(out),
        }
    }
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of what.
    pub kind: Kind,
    /// How much may be done in its period.
    pub limit: u32,
    /// How much of it may be done now.
    pub remaining: u32,
    /// When all of it may be done again.
    pub full_in: Duration,
    /// The same by the clock.
    pub full_at: DateTime<Utc>,
}

/// The limits.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    all: Quota,
    of_address: Option<u32>,
    buckets: Cache<(Subject, Kind), Arc<Bucket>>,
    open: Mutex<std::collections::HashMap<Uuid, Arc<AtomicU32>>>,
    shared: Option<Shared>,
    clock: Clock,
}

impl fmt::Debug for Limits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    /// The limits that are set, with other processes if there is a Redis.
    ///
    /// # Errors
    /// When the URL of Redis cannot be read.
    pub fn start(
        config: &LimitConfig,
        db: &Db,
        redis: Option<&RedisUrl>,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> Result<Self, RedisError> {
        let shared = redis.map(Shared::new).transpose()?;
        let limits = Self(Arc::new(Inner {
            all: Quota::of_all(config),
            of_address: Some(config.requests_per_minute).filter(|limit| *limit > 0),
            buckets: Cache::builder()
                .max_capacity(BUCKETS)
                .time_to_idle(KEPT)
                .build(),
            open: Mutex::default(),
            shared,
            clock: clock.clone(),
        }));
        if limits.0.shared.is_some() {
            let (inner, db) = (Arc::clone(&limits.0), db.clone());
            let connecting = async move {
                if let Some(shared) = &inner.shared {
                    shared.run(&db).await;
                }
            };
            tokio::spawn(stop.clone().run_until_cancelled_owned(connecting));
        }
        Ok(limits)
    }

    /// How much everybody may do who has no quota of their own.
    #[must_use]
    pub fn of_all(&self) -> &Quota {
        &self.0.all
    }

    /// Takes from what a key may do of a kind; nothing is told where there is no limit.
    ///
    /// # Errors
    /// [`Code::RateLimited`], and when to come back.
    pub async fn take(
        &self,
        identity: &Identity,
        kind: Kind,
        amount: u32,
    ) -> Result<Option<Standing>, Problem> {
        let Some(limit) = identity.quota().over(&self.0.all).limit(kind) else {
            return Ok(None);
        };
        let subject = Subject::Key(identity.key());
        self.draw(subject, kind, limit, amount).await.map(Some)
    }

    /// Has the next question of a key wait for points that the last one turned out to cost.
    pub fn owe(&self, identity: &Identity, points: u32) {
        let subject = Subject::Key(identity.key());
        if let Some(bucket) = self.0.buckets.get(&(subject, Kind::Points)) {
            bucket.owe(points);
        }
    }

    /// Takes a request from what an address may do without a key.
    ///
    /// # Errors
    /// [`Code::RateLimited`], and when to come back.
    pub async fn take_anonymous(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let (Some(address), Some(limit)) = (address, self.0.of_address) else {
            return Ok(());
        };
        let subject = Subject::Address(site(address));
        self.draw(subject, Kind::Requests, limit, 1).await.map(drop)
    }

    /// Gives back what was taken for a request that turned out to have a key.
    fn give_back(&self, address: Option<IpAddr>) {
        if let (Some(address), Some(limit)) = (address, self.0.of_address) {
            let whose = (Subject::Address(site(address)), Kind::Requests);
            let bucket = self.0.buckets.get_with(whose, Arc::default);
            bucket.give_back(1, limit, Kind::Requests.period());
        }
    }

    /// A subscription of a key, until it is dropped.
    ///
    /// # Errors
    /// [`Code::TooManySubscriptions`].
    pub fn open(&self, identity: &Identity) -> Result<Open, Problem> {
        let mut all = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, count| count.load(Ordering::Relaxed) > 0);
        let count = all.entry(identity.key()).or_default();
        let quota = identity.quota().over(&self.0.all);
        let most = quota.open_subscriptions.filter(|most| *most > 0);
        if most.is_some_and(|most| count.load(Ordering::Relaxed) >= most) {
            return Err(Code::TooManySubscriptions.into());
        }
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Open(Arc::clone(count)))
    }

    async fn draw(
        &self,
        subject: Subject,
        kind: Kind,
        limit: u32,
        amount: u32,
    ) -> Result<Standing, Problem> {
        let bucket = self.0.buckets.get_with((subject, kind), Arc::default);
        let drawn = self.drawn(subject, kind, limit, amount, &bucket).await;
        let (remaining, full_in, wait) = match drawn {
            Draw::Taken { remaining, full_in } => (remaining, full_in, None),
            Draw::Refused { wait, full_in } => (0, full_in, Some(wait)),
        };
        let standing = Standing {
            kind,
            limit,
            remaining,
            full_in,
            full_at: self.0.clock.now() + full_in,
        };
        meter::note(standing, &bucket);
        match wait {
            None => Ok(standing),
            Some(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let detail = format!(
                    "The limit of {limit} {} is used up. Come back in {seconds} seconds.",
                    kind.words()
                );
                Err(Problem::with(Code::RateLimited, detail).after(Duration::from_secs(seconds)))
            }
        }
    }

    async fn drawn(
        &self,
        subject: Subject,
        kind: Kind,
        limit: u32,
        amount: u32,
        bucket: &Bucket,
    ) -> Draw {
        let period = kind.period();
        if let Some(shared) = &self.0.shared
            && shared.is_up()
        {
            if let Some(drawn) = bucket.drawn_before(amount, Instant::now()) {
                return drawn;
            }
            // One asks for all who wait.
            let _turn = bucket.turn().await;
            if let Some(drawn) = bucket.drawn_before(amount, Instant::now()) {
                return drawn;
            }
            let owed = bucket.owed();
            let need = amount.saturating_add(owed);
            let want = need.max(limit / ADVANCE);
            let name = format!("{subject}:{}", kind.name());
            if let Some(grant) = shared.ask(&name, (need, want), limit, period).await {
                return bucket.granted(grant, (amount, owed), Instant::now());
            }
        }
        bucket.draw_alone(amount, limit, period, Instant::now())
    }
}

/// A subscription that is open.
#[derive(Debug)]
pub struct Open(Arc<AtomicU32>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
