//! Looks at the streams every second: what lies in them, since when, and what Redis makes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::RedisError;
use tokio::sync::watch;

use super::durability::{self, Found};
use super::keys::Keys;
use super::line::Line;
use super::{MAX_PARTITIONS, Settings};
use crate::storage::Db;
use crate::storage::queries::installation::installation;
use crate::telemetry::metrics::Metrics;

const LOOK: Duration = Duration::from_secs(1);
/// How often streams are looked for that another configuration has left.
const SEARCH: Duration = Duration::from_secs(5);
/// How often Redis is asked what it does with what it is given.
const ASK: Duration = Duration::from_mins(1);
/// How soon it is tried again what did not work.
const RETRY: Duration = Duration::from_millis(100);

/// What is known of the streams.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Names the streams' keys.
    pub(super) installation: Option<Arc<str>>,
    /// Nothing while Redis is away.
    pub(super) found: Option<Found>,
    pub(super) partitions: Vec<PartitionHealth>,
}

/// What lies in a partition: what is acknowledged and not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartitionHealth {
    /// Which.
    pub partition: u16,
    /// Packets of batches.
    pub entries: u64,
    /// The events in them.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long the oldest has been there.
    pub oldest_seconds: f64,
    /// Packets that could not be stored and lie aside.
    pub dead: u64,
}

/// A look at a partition.
pub(super) struct Look {
    pub(super) exists: bool,
    /// When the first entry came, or now if there is none: in milliseconds of Redis' clock.
    pub(super) first_millis: i64,
    /// Redis' clock.
    pub(super) now_millis: i64,
    pub(super) health: PartitionHealth,
}

/// Looks at one partition.
pub(super) async fn look(line: &mut Line, keys: &Keys, partition: u16) -> Result<Look, RedisError> {
    type Answer = (bool, u64, u64, i64, i64, String, i64);
    let answer: Answer = line.ask(&keys.look()).await?;
    let (exists, entries, dead, bytes, events, first, now) = answer;
    let first = first
        .split('-')
        .next()
        .and_then(|millis| millis.parse().ok());
    let first_millis = first.unwrap_or(now);
    let oldest = Duration::from_millis(u64::try_from(now - first_millis).unwrap_or(0));
    let health = PartitionHealth {
        partition,
        entries,
        events: u64::try_from(events).unwrap_or(0),
        bytes: u64::try_from(bytes).unwrap_or(0),
        oldest_seconds: oldest.as_secs_f64(),
        dead,
    };
    Ok(Look {
        exists,
        first_millis,
        now_millis: now,
        health,
    })
}

/// Observes for ever.
pub(super) async fn observe(
    mut line: Line,
    settings: Arc<Settings>,
    db: Db,
    metrics: Metrics,
    state: watch::Sender<State>,
) {
    let name: Arc<str> = loop {
        match installation(db.control()).await {
            Ok(name) => break name.into(),
            Err(error) => tracing::debug!(%error, "which installation this is, is not known yet"),
        }
        tokio::time::sleep(RETRY).await;
    };
    let mut observer = Observer {
        partitions: (0..settings.partitions).collect(),
        settings,
        name: Arc::clone(&name),
        searched: None,
        asked: None,
    };
    state.send_modify(|state| state.installation = Some(name));
    loop {
        match observer.once(&mut line, &state, &metrics).await {
            Ok(()) => tokio::time::sleep(LOOK).await,
            Err(error) => {
                let was_known = state.borrow().found.is_some();
                if was_known {
                    tracing::warn!(%error, "Redis is away: no events are taken");
                }
                // It may come back as another one.
                observer.asked = None;
                state.send_modify(|state| state.found = None);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

struct Observer {
    settings: Arc<Settings>,
    name: Arc<str>,
    partitions: BTreeSet<u16>,
    searched: Option<Instant>,
    asked: Option<Instant>,
}

impl Observer {
    async fn once(
        &mut self,
        line: &mut Line,
        state: &watch::Sender<State>,
        metrics: &Metrics,
    ) -> Result<(), RedisError> {
        if is_due(self.asked, ASK) {
            let found = durability::ask(line, &self.settings).await?;
            if let Some(why) = found.refused {
                tracing::error!("no events are taken, for Redis would lose them: {why}");
            }
            state.send_modify(|state| state.found = Some(found));
            self.asked = Some(Instant::now());
        }
        if is_due(self.searched, SEARCH) {
            for partition in 0..MAX_PARTITIONS {
                let keys = Keys::new(&self.name, partition);
                if !self.partitions.contains(&partition)
                    && look(line, &keys, partition).await?.exists
                {
                    self.partitions.insert(partition);
                }
            }
            self.searched = Some(Instant::now());
        }
        let mut partitions = Vec::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            let keys = Keys::new(&self.name, *partition);
            let look = look(line, &keys, *partition).await?;
            show(metrics, &look.health);
            partitions.push(look.health);
        }
        state.send_modify(|state| state.partitions = partitions);
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "they are shown")]
fn show(metrics: &Metrics, health: &PartitionHealth) {
    let gauges = metrics.stream_partition(health.partition);
    gauges.entries.set(health.entries as f64);
    gauges.events.set(health.events as f64);
    gauges.bytes.set(health.bytes as f64);
    gauges.seconds.set(health.oldest_seconds);
    gauges.dead.set(health.dead as f64);
}

pub(super) fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
