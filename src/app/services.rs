//! What works on a database, for the server and for the commands.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{DRAIN, StartError};
use crate::clock::Clock;
use crate::config::{Config, IngestMode};
use crate::ingest::log::stream::{Consumers, StreamError, Streams};
use crate::ingest::log::{DirectLog, Log, StreamLog};
use crate::ingest::{Ingest, Writer};
use crate::realtime::bus::Bus;
use crate::storage::Db;
use crate::storage::writes::WriteMemory;
use crate::telemetry::metrics::Metrics;

/// What can be done with a database, short of serving: for the server and the commands alike.
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct Services {
    /// The database.
    pub db: Db,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// Takes events.
    pub ingest: Ingest,
    /// Tells what was committed.
    pub bus: Bus,
    /// What the writers remember.
    pub memory: Arc<WriteMemory>,
    /// Ends the writers once all is stored.
    drain: CancellationToken,
    /// Ends what carries the bus.
    stop: CancellationToken,
    writers: JoinSet<()>,
    /// What stores from the streams, where there are some.
    consumers: Option<Consumers>,
}

impl Services {
    /// Wires them. Nothing is connected until it is needed, but for a look at the Redis that is to
    /// keep events.
    ///
    /// # Errors
    /// When a URL cannot be read, or the Redis would lose events.
    pub async fn build(
        url: &str,
        config: &Config,
        mode: IngestMode,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let metrics = Metrics::default();
        let statement_seconds = metrics.read_statement_seconds.clone();
        let db = Db::open(url, move |elapsed| statement_seconds.record(elapsed)).await?;
        let replicas = config.database.replica_urls();
        let db = db.with_replicas(&replicas, &metrics).await;
        let db = db.map_err(StartError::Replicas)?;
        let redis = config.database.redis_url();
        let bus = match &redis {
            Some(url) => Bus::redis(url.first(), db.clone(), metrics.clone(), stop.clone())?,
            None => Bus::local(metrics.clone()),
        };
        let drain = CancellationToken::new();
        let memory: Arc<WriteMemory> = Arc::default();
        let writer = Writer {
            db: db.clone(),
            bus: bus.clone(),
            metrics: metrics.clone(),
            memory: Arc::clone(&memory),
        };
        let mut writers = JoinSet::new();
        let (log, consumers) = match (mode, &redis) {
            (IngestMode::Direct, redis) => {
                let log = DirectLog::start(&writer, &drain, &mut writers);
                let left_over = redis.as_ref().map(|redis| {
                    let ingest = &config.ingest;
                    Consumers::of_left_over(redis, ingest, writer.clone(), &drain, &mut writers)
                });
                (Log::Direct(log), left_over.transpose()?)
            }
            (IngestMode::Stream, Some(redis)) => {
                let ingest = &config.ingest;
                let starting = StreamLog::start(redis, ingest, &writer, &drain, &mut writers);
                let log = Box::pin(starting).await?;
                let consumers = Consumers::new(&log, writer.clone());
                (Log::Stream(log), Some(consumers))
            }
            (IngestMode::Stream, None) => return Err(StreamError::NoRedis.into()),
        };
        let streams = redis.as_ref().map(|url| Streams::new(url, &config.ingest));
        let streams = streams.transpose()?;
        let ingest = Ingest::new(log, writer, clock.clone(), &config.ingest, streams);
        Ok(Self {
            db,
            clock,
            metrics,
            ingest,
            bus,
            memory,
            drain,
            stop,
            writers,
            consumers,
        })
    }

    /// Stores what lies in the streams, if there are some, from the moment that `ready` is
    /// cancelled.
    pub fn consume(&mut self, ready: CancellationToken) {
        if let Some(consumers) = self.consumers.take() {
            let drain = self.drain.clone();
            self.writers.spawn(async move {
                if drain.run_until_cancelled(ready.cancelled()).await.is_some() {
                    consumers.run(drain).await;
                }
            });
        }
    }

    /// Waits until everything taken is stored, and disconnects.
    pub async fn close(self) {
        let Self {
            db,
            bus,
            drain,
            stop,
            mut writers,
            ..
        } = self;
        drain.cancel();
        while writers.join_next().await.is_some() {}
        bus.flush().await;
        stop.cancel();
        if tokio::time::timeout(DRAIN, db.close()).await.is_err() {
            tracing::warn!("some statements did not end in time");
        }
    }
}
