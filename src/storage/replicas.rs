//! The replicas: which of them has what, and who is asked.
//!
//! [`Replicas::watch`] notes twice a second where the primary's log ends ([`log`]), and asks each
//! replica how far it has replayed. What a replica had then, it has for good; so the staleness of
//! its answers is reckoned from the moment that it had reached, whenever it is asked. A replica
//! that does not answer, was promoted, or has the data of another cluster, timeline or database is
//! asked nothing until it is found well again.

mod log;

use std::fmt;
use std::mem::discriminant;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};
use sea_orm::sqlx::postgres::PgConnectOptions;

use self::log::{Log, Moment, Unfit};
use super::StorageError;
use super::queries::replication::{replayed, written};
use super::server::Server;
use super::snapshot::Snapshot;
use crate::clock::Clock;
use crate::config::Secret;
use crate::telemetry::metrics::{Metrics, ReplicaGauges};

pub use self::log::MAX_STALENESS;

/// How often the servers are asked where they are.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long they may take to tell.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a question waits for a replica's connection before it goes to the primary.
const ACQUIRE: Duration = Duration::from_millis(500);
/// For measuring, and for cancelling.
const CONTROLLERS: u32 = 2;

/// What a replica was found to have.
#[derive(Clone, Copy, Debug)]
struct Fit {
    /// Everything from before this moment.
    moment: Moment,
    /// So much of the log.
    bytes: i64,
}

/// What is known of a replica.
struct Standing {
    /// What it can be asked for; nothing if it is not to be asked.
    fit: Option<Fit>,
    /// Of when it had everything the last time that it was well; at first, when it was first looked
    /// at.
    newest: Instant,
    /// Why it was last said to be asked nothing, if that is what was last said.
    told: Option<Unfit>,
}

/// One replica.
struct Replica {
    /// Where it is, as logs and metrics tell it.
    host: String,
    server: Server,
    standing: Mutex<Standing>,
    gauges: ReplicaGauges,
}

impl Replica {
    async fn open(n: usize, url: &Secret, metrics: &Metrics) -> Result<Self, StorageError> {
        let options: PgConnectOptions = url.reveal().parse()?;
        let host = format!("{}:{}", options.get_host(), options.get_port());
        let seconds = metrics.read_statement_seconds.clone();
        let on_statement = move |elapsed| seconds.record(elapsed);
        let server = Server::open(url.reveal(), CONTROLLERS, on_statement).await?;
        let standing = Standing {
            fit: None,
            newest: Instant::now(),
            told: None,
        };
        Ok(Self {
            gauges: metrics.replica(n, &host),
            host,
            server,
            standing: standing.into(),
        })
    }

    /// What it has, if that is not too old.
    fn fit_within(&self, max_staleness: Duration) -> Option<Fit> {
        let fit = lock(&self.standing).fit?;
        (fit.moment.at.elapsed() <= max_staleness).then_some(fit)
    }

    /// Asks it where it is, and judges it.
    async fn measure(&self, log: &Mutex<Log>) {
        let asked = tokio::time::timeout(PATIENCE, replayed(&self.server.control)).await;
        let found = match asked {
            Ok(Ok(position)) => lock(log).reached(&position).map(|moment| Fit {
                moment,
                bytes: position.bytes,
            }),
            Ok(Err(error)) => Err(Unfit::Away(error.to_string())),
            Err(_) => Err(Unfit::Away("it does not answer".to_owned())),
        };
        self.settle(found);
    }

    fn settle(&self, found: Result<Fit, Unfit>) {
        let is_up = found.as_ref().map_or_else(Unfit::is_standby, |_| true);
        self.gauges.up.set(f64::from(u8::from(is_up)));
        let mut standing = lock(&self.standing);
        let host = &self.host;
        match found {
            Ok(fit) => {
                if standing.told.take().is_some() || standing.fit.is_none() {
                    tracing::info!(host, "a replica may be asked");
                }
                standing.newest = fit.moment.at;
                standing.fit = Some(fit);
            }
            Err(why) => {
                let known = standing.told.as_ref().map(discriminant);
                if known != Some(discriminant(&why)) {
                    tracing::warn!(host, %why, "a replica is asked nothing");
                }
                standing.told = Some(why);
                standing.fit = None;
            }
        }
        let lag = standing.newest.elapsed();
        self.gauges.lag_seconds.set(lag.as_secs_f64());
    }

    /// A snapshot that has at least what the replica was found to have.
    async fn snapshot(&self, fit: Fit, metrics: &Metrics) -> Result<Snapshot, StorageError> {
        let finished = metrics.reports_from_replica.clone();
        let cancelled = metrics.read_statements_cancelled.clone();
        let beginning = self.server.snapshot(finished, cancelled);
        let begun = tokio::time::timeout(ACQUIRE, beginning).await;
        let away = |why: &str| StorageError::Unavailable(why.to_owned());
        let snapshot = begun.map_err(|_| away("a replica does not answer"))??;
        // It may have been promoted since, and behind one name there may be several servers.
        let mark = snapshot.mark();
        if !mark.is_standby || mark.replayed < fit.bytes {
            return Err(away("a replica is not the one that was measured"));
        }
        Ok(snapshot)
    }
}

/// All replicas of a database.
#[derive(Default)]
pub(super) struct Replicas {
    all: Vec<Replica>,
    /// Whose turn it is.
    next: AtomicUsize,
}

impl Replicas {
    /// Prepares their pools; nothing is connected yet.
    pub(super) async fn open(urls: &[Secret], metrics: &Metrics) -> Result<Self, StorageError> {
        let mut all = Vec::new();
        for (url, n) in urls.iter().zip(1..) {
            all.push(Replica::open(n, url, metrics).await?);
        }
        let next = AtomicUsize::default();
        Ok(Self { all, next })
    }

    /// A snapshot of one that has everything from before some moment, which is not older than
    /// `max_staleness`, and that moment. Nothing if there is no such replica.
    pub(super) async fn snapshot(
        &self,
        max_staleness: Duration,
        metrics: &Metrics,
    ) -> Option<(Snapshot, DateTime<Utc>)> {
        if self.all.is_empty() || max_staleness.is_zero() {
            return None;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(turn);
        let mut in_turn = after.iter().chain(before);
        let fresh = in_turn.find_map(|replica| Some((replica, replica.fit_within(max_staleness)?)));
        let Some((replica, fit)) = fresh else {
            metrics.replica_fallbacks_unfit.increment(1);
            return None;
        };
        match replica.snapshot(fit, metrics).await {
            Ok(snapshot) => Some((snapshot, fit.moment.time)),
            Err(error) => {
                tracing::debug!(host = replica.host, %error, "a replica was not asked");
                metrics.replica_fallbacks_lost.increment(1);
                None
            }
        }
    }

    /// Looks after them, for ever; at once done if there are none.
    pub(super) async fn watch(&self, primary: &Server, clock: &Clock) {
        if self.all.is_empty() {
            return;
        }
        let log = &Mutex::new(Log::default());
        // Replicas are judged by what is known of the primary.
        note(primary, clock, log).await;
        let noting = async {
            loop {
                note(primary, clock, log).await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        let measuring = self.all.iter().map(|replica| async move {
            loop {
                replica.measure(log).await;
                tokio::time::sleep(INTERVAL).await;
            }
        });
        join(noting, join_all(measuring)).await;
    }

    /// Ends every connection.
    pub(super) async fn close(&self) {
        for replica in &self.all {
            replica.server.close().await;
        }
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.all.iter().map(|replica| &replica.host);
        out.debug_list().entries(hosts).finish()
    }
}

/// Notes where the primary's log ends, if it can be asked. While it cannot, replicas go on with
/// what they have.
async fn note(primary: &Server, clock: &Clock, log: &Mutex<Log>) {
    let moment = Moment {
        at: Instant::now(),
        time: clock.now(),
    };
    match tokio::time::timeout(PATIENCE, written(&primary.control)).await {
        Ok(Ok(end)) => lock(log).note(end, moment),
        Ok(Err(error)) => tracing::debug!(%error, "the primary's log was not looked at"),
        Err(_) => tracing::debug!("the primary does not tell where its log ends"),
    }
}

/// What is locked is whole between two statements, so whoever panicked has left it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
