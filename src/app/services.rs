//! What works on a database, for the server and for the commands.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{DRAIN, StartError};
use crate::clock::Clock;
use crate::config::Secret;
use crate::ingest::Ingest;
use crate::ingest::log::DirectLog;
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
}

impl Services {
    /// Wires them; nothing is connected until it is needed.
    ///
    /// # Errors
    /// When a URL cannot be read.
    pub async fn build(
        url: &str,
        redis_url: Option<&Secret>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let metrics = Metrics::default();
        let statement_seconds = metrics.read_statement_seconds.clone();
        let db = Db::open(url, move |elapsed| statement_seconds.record(elapsed)).await?;
        let bus = match redis_url {
            Some(url) => Bus::redis(url.reveal(), db.clone(), metrics.clone(), stop.clone())?,
            None => Bus::local(metrics.clone()),
        };
        let drain = CancellationToken::new();
        let memory = Arc::default();
        let (log, writers) = DirectLog::start(&db, &bus, &metrics, &memory, &drain);
        let ingest = Ingest::new(db.clone(), log, clock.clone(), metrics.clone());
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
        })
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
