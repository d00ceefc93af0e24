//! Carries what was committed to whoever watches: within the process always, between the
//! processes of one installation through Redis where there is one.
//!
//! Nothing here can hold up a commit: every queue is bounded, and where a message is lost its
//! receivers are told of the gap and read the database anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::storage::Db;
use crate::storage::queries::installation::installation;
use crate::storage::writes::SaleDelta;
use crate::telemetry::metrics::Metrics;

const QUEUE: usize = 1_024;
const RECONNECT: Duration = Duration::from_millis(500);
/// How often, and how many times, a flush looks whether it is done.
const FLUSH_LOOK: Duration = Duration::from_millis(20);
const FLUSH_LOOKS: u32 = 50;

/// What a transaction newly sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Which transaction: tells whether a snapshot has it already.
    pub transaction_id: i64,
    /// What it sold.
    pub sales: Vec<SaleDelta>,
}

/// What a receiver hears.
#[derive(Clone, Debug)]
pub enum Signal {
    /// This was committed.
    Committed(Arc<Committed>),
    /// Something was committed that cannot be told: read anew.
    Gap,
}

#[derive(Serialize, Deserialize)]
struct Message {
    /// Which process sent it: its own messages come back to a process, which knows them.
    origin: Uuid,
    /// Nothing for a gap.
    committed: Option<Committed>,
}

/// The bus.
#[derive(Clone)]
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct Bus {
    local: broadcast::Sender<Signal>,
    remote: Option<Remote>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Remote {
    outbox: mpsc::Sender<Arc<Committed>>,
    lost: Arc<AtomicBool>,
}

/// Hears everything from its making on.
#[derive(Debug)]
pub struct Receiver(broadcast::Receiver<Signal>);

impl Receiver {
    /// The next signal; nothing once the bus is gone.
    pub async fn next(&mut self) -> Option<Signal> {
        match self.0.recv().await {
            Ok(signal) => Some(signal),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Signal::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Bus {
    /// A bus within this process alone.
    #[must_use]
    pub fn local(metrics: Metrics) -> Self {
        Self {
            local: broadcast::Sender::new(QUEUE),
            remote: None,
            metrics,
        }
    }

    /// A bus between all processes on one database that share a Redis; it works within this one
    /// while Redis is away. Ends with `stop`.
    ///
    /// # Errors
    /// When the URL is not one of a Redis.
    pub fn redis(
        url: &str,
        db: Db,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Result<Self, redis::RedisError> {
        let client = redis::Client::open(url)?;
        let (outbox, messages) = mpsc::channel(QUEUE);
        let remote = Remote {
            outbox,
            lost: Arc::default(),
        };
        let bus = Self {
            local: broadcast::Sender::new(QUEUE),
            remote: Some(remote.clone()),
            metrics,
        };
        let local = bus.local.clone();
        let carrying = async move {
            let channel = channel(&db).await;
            let line = Line {
                client,
                channel,
                origin: Uuid::new_v4(),
            };
            tokio::join!(line.send(messages, remote.lost), line.receive(local));
        };
        tokio::spawn(stop.run_until_cancelled_owned(carrying));
        Ok(bus)
    }

    /// Tells everyone what was committed; never waits.
    pub fn publish(&self, committed: Committed) {
        let committed = Arc::new(committed);
        // Without receivers there is nothing to do.
        let _ = self.local.send(Signal::Committed(Arc::clone(&committed)));
        if let Some(remote) = &self.remote
            && remote.outbox.try_send(committed).is_err()
        {
            self.metrics.bus_gaps.increment(1);
            remote.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Tells everyone that something may have been committed that cannot be told.
    pub fn gap(&self) {
        self.metrics.bus_gaps.increment(1);
        let _ = self.local.send(Signal::Gap);
        if let Some(remote) = &self.remote {
            remote.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Waits, for a while, until what was published is on its way to the other processes.
    pub async fn flush(&self) {
        let Some(remote) = &self.remote else { return };
        let is_empty = || {
            let outbox = &remote.outbox;
            outbox.capacity() == outbox.max_capacity() && !remote.lost.load(Ordering::Relaxed)
        };
        for _ in 0..FLUSH_LOOKS {
            if is_empty() {
                return;
            }
            tokio::time::sleep(FLUSH_LOOK).await;
        }
        tracing::warn!("other processes may not have heard of the last sales");
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver {
        Receiver(self.local.subscribe())
    }
}

/// The channel of this database's processes, as soon as the database tells.
async fn channel(db: &Db) -> String {
    loop {
        match installation(db.control()).await {
            Ok(name) => return format!("tidewater:{name}:committed"),
            Err(error) => tracing::debug!(%error, "which installation this is, is not known yet"),
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// The line to the other processes.
struct Line {
    client: redis::Client,
    channel: String,
    /// Which process this is.
    origin: Uuid,
}

impl Line {
    /// Sends what this process commits; where some was lost, says so.
    async fn send(&self, mut outbox: mpsc::Receiver<Arc<Committed>>, lost: Arc<AtomicBool>) {
        let mut connection = None;
        loop {
            // A gap is told soon, also when nothing more is sold.
            let next = tokio::time::timeout(RECONNECT, outbox.recv()).await;
            let committed = match next {
                Ok(Some(committed)) => Some((*committed).clone()),
                Ok(None) => return,
                Err(_) => None,
            };
            let is_gap = lost.swap(false, Ordering::Relaxed);
            if committed.is_none() && !is_gap {
                continue;
            }
            let message = Message {
                origin: self.origin,
                committed: committed.filter(|_| !is_gap),
            };
            let text = serde_json::to_string(&message).expect("plain values serialise");
            if let Err(error) = self.publish(&mut connection, &text).await {
                tracing::warn!(%error, "Redis is away; other processes will read anew");
                lost.store(true, Ordering::Relaxed);
                connection = None;
                tokio::time::sleep(RECONNECT).await;
            }
        }
    }

    async fn publish(
        &self,
        connection: &mut Option<ConnectionManager>,
        text: &str,
    ) -> Result<(), redis::RedisError> {
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let config = ConnectionManagerConfig::new().set_number_of_retries(1);
                let made = ConnectionManager::new_with_config(self.client.clone(), config).await?;
                connection.insert(made)
            }
        };
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.channel).arg(text);
        publish.exec_async(connection).await
    }

    /// Hears what other processes commit; after every break there may be a gap.
    async fn receive(&self, local: broadcast::Sender<Signal>) {
        loop {
            if let Err(error) = self.receive_until_broken(&local).await {
                tracing::warn!(%error, "not listening to other processes; trying again");
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn receive_until_broken(
        &self,
        local: &broadcast::Sender<Signal>,
    ) -> Result<(), redis::RedisError> {
        let mut connection = self.client.get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        let _ = local.send(Signal::Gap);
        let mut messages = connection.on_message();
        while let Some(message) = messages.next().await {
            match serde_json::from_slice::<Message>(message.get_payload_bytes()) {
                Ok(message) if message.origin == self.origin => {}
                Ok(message) => {
                    let committed = message.committed.map(Arc::new);
                    let _ = local.send(committed.map_or(Signal::Gap, Signal::Committed));
                }
                Err(error) => {
                    tracing::warn!(%error, "a message of another version; reading anew");
                    let _ = local.send(Signal::Gap);
                }
            }
        }
        Ok(())
    }
}
