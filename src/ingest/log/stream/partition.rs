//! The consumer of one partition: reads, stores, acknowledges.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures_util::FutureExt;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamPendingCountReply, StreamReadReply};
use redis::{RedisError, Value};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::keys::{EVENTS, Keys, PACKET};
use super::line::Line;
use super::observer::{is_due, look};
use super::{REDIS_PATIENCE, Settings, packet};
use crate::ingest::writer::{GATHER, Lot, Writer};
use crate::storage::StorageError;
use crate::storage::writes::{StreamEntry, entries};

/// How long a read waits for something to come.
const BLOCK: Duration = Duration::from_millis(500);
/// How many packets are read at once, and how many bytes a transaction gathers.
const COUNT: usize = 8;
const GATHER_BYTES: usize = 8 * 1024 * 1024;
/// How long to wait after a failure: longer each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A packet that no transaction stores though the database works is put aside after so many
/// deliveries.
const DELIVERIES: usize = 10;
/// How often what is left over is looked for.
const UPKEEP: Duration = Duration::from_mins(1);
/// What nobody had for so long, nobody has.
const LEFT_LYING_MILLIS: i64 = 10 * 60 * 1_000;
/// By how much the clocks of Redis and PostgreSQL may differ, and an append be repeated later.
const SKEW_MILLIS: i64 = 60 * 1_000;

/// An entry of the stream that was given to us.
struct Delivered {
    id: String,
    bytes: usize,
    events: usize,
    packet: Vec<u8>,
}

impl From<StreamId> for Delivered {
    fn from(mut entry: StreamId) -> Self {
        let packet = match entry.map.remove(PACKET) {
            Some(Value::BulkString(bytes)) => bytes,
            _ => Vec::new(),
        };
        Self {
            bytes: packet.len(),
            events: entry.get(EVENTS).unwrap_or(0),
            id: entry.id,
            packet,
        }
    }
}

/// What went wrong on the way.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    #[error("the database: {0}")]
    Storage(#[from] StorageError),
}

/// The consumer.
pub(super) struct Partition {
    number: u16,
    keys: Keys,
    /// The name of our process in the group.
    consumer: String,
    claim_idle: Duration,
    line: Line,
    writer: Writer,
    turns: Arc<Semaphore>,
    claimed: Option<Instant>,
    kept: Option<Instant>,
}

impl Partition {
    pub(super) fn new(
        number: u16,
        installation: &str,
        consumer: &str,
        settings: &Settings,
        writer: &Writer,
        turns: &Arc<Semaphore>,
    ) -> Self {
        Self {
            number,
            keys: Keys::new(installation, number),
            consumer: consumer.to_owned(),
            claim_idle: settings.claim_idle,
            line: Line::new(settings.server.clone(), BLOCK + REDIS_PATIENCE),
            writer: writer.clone(),
            turns: Arc::clone(turns),
            claimed: None,
            kept: None,
        }
    }

    /// Consumes until it is told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            match self.turn(&stop).await {
                Ok(()) => pause = PAUSE,
                Err(error) => {
                    tracing::warn!(%error, partition = self.number, "a stream is not read; trying again");
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        let leaving = self
            .keys
            .forget_consumers(&self.consumer, LEFT_LYING_MILLIS);
        if let Err(error) = self.line.ask::<()>(&leaving).await {
            tracing::debug!(%error, "the group was not left");
        }
    }

    async fn turn(&mut self, stop: &CancellationToken) -> Result<(), Trouble> {
        if is_due(self.kept, UPKEEP) {
            self.keep().await?;
            self.kept = Some(Instant::now());
        }
        let claimed = self.claim().await?;
        let found = if claimed.is_empty() {
            self.read(Some(BLOCK)).await?
        } else {
            claimed
        };
        if found.is_empty() {
            return Ok(());
        }
        let turns = Arc::clone(&self.turns);
        let _turn = turns.acquire().await;
        let mut gathered = found;
        let size = |gathered: &[Delivered]| {
            let events: usize = gathered.iter().map(|one| one.events).sum();
            let bytes: usize = gathered.iter().map(|one| one.bytes).sum();
            events < GATHER && bytes < GATHER_BYTES
        };
        while size(&gathered) {
            let more = self.read(None).await?;
            if more.is_empty() {
                break;
            }
            gathered.extend(more);
        }
        self.settle(gathered, stop).await
    }

    /// Reads what nobody was given yet.
    async fn read(&mut self, block: Option<Duration>) -> Result<Vec<Delivered>, Trouble> {
        let millis = block.map(|block| u64::try_from(block.as_millis()).unwrap_or(1));
        let command = self.keys.read(&self.consumer, COUNT, millis);
        let reply: Result<Option<StreamReadReply>, RedisError> = self.line.ask(&command).await;
        let reply = match reply {
            Err(error) if error.code() == Some("NOGROUP") => {
                self.make_group().await?;
                return Ok(Vec::new());
            }
            reply => reply?,
        };
        let streams = reply.map_or_else(Vec::new, |reply| reply.keys);
        let entries = streams.into_iter().flat_map(|stream| stream.ids);
        Ok(entries.map(Delivered::from).collect())
    }

    /// Takes over what others have left lying.
    async fn claim(&mut self) -> Result<Vec<Delivered>, Trouble> {
        if !is_due(self.claimed, self.claim_idle / 4) {
            return Ok(Vec::new());
        }
        let idle = self.claim_idle.as_millis();
        let command = self.keys.claim(&self.consumer, idle, COUNT);
        let reply: Result<StreamAutoClaimReply, RedisError> = self.line.ask(&command).await;
        let claimed = match reply {
            Err(error) if error.code() == Some("NOGROUP") => {
                self.make_group().await?;
                Vec::new()
            }
            reply => reply?.claimed,
        };
        if claimed.is_empty() {
            self.claimed = Some(Instant::now());
        } else {
            let count = claimed.len();
            self.writer
                .metrics
                .stream_redelivered
                .increment(count as u64);
            tracing::info!(count, partition = self.number, "packets taken over");
        }
        Ok(claimed.into_iter().map(Delivered::from).collect())
    }

    async fn make_group(&mut self) -> Result<(), Trouble> {
        match self.line.ask::<()>(&self.keys.make_group()).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            result => Ok(result?),
        }
    }

    /// Stores what was given to us, however long that takes, and acknowledges it.
    async fn settle(
        &mut self,
        delivered: Vec<Delivered>,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut open = BTreeMap::new();
        let mut packets = BTreeSet::new();
        let mut twice = Vec::new();
        for one in delivered {
            match packet::decode(&one.packet) {
                // Its append was repeated: one of the two is enough.
                Ok((id, _)) if !packets.insert(id) => twice.push(one),
                Ok((id, batches)) => {
                    let entry = StreamEntry {
                        stream: self.keys.events.clone(),
                        entry_id: id.to_string(),
                    };
                    let entry = Some(entry);
                    let packet = Vec::new();
                    open.insert(
                        one.id.clone(),
                        (Delivered { packet, ..one }, Lot { batches, entry }),
                    );
                }
                Err(error) => self.bury(&one, &error.to_string()).await?,
            }
        }
        self.acknowledge(&twice).await?;
        let mut pause = PAUSE;
        loop {
            self.store(&mut open).await?;
            if open.is_empty() || stop.is_cancelled() {
                // What is left is claimed by another.
                return Ok(());
            }
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Whoever has it in their hands for long must know that it is still theirs.
            let renewing = self
                .keys
                .renew(&self.consumer, open.keys().map(String::as_str));
            let still: Vec<String> = self.line.ask(&renewing).await?;
            open.retain(|id, _| still.contains(id));
        }
    }

    /// Stores what can be stored now; what is to be tried again stays.
    async fn store(
        &mut self,
        open: &mut BTreeMap<String, (Delivered, Lot)>,
    ) -> Result<(), Trouble> {
        self.pass_over_stored(open).await?;
        if open.is_empty() {
            return Ok(());
        }
        let lots: Vec<&Lot> = open.values().map(|(_, lot)| lot).collect();
        let writer = self.writer.clone();
        let writing = AssertUnwindSafe(writer.write(&lots)).catch_unwind();
        let panicked = |_| {
            let bug = || Err(StorageError::Bug("a writer panicked".to_owned()));
            lots.iter().map(|_| bug()).collect()
        };
        let results = writing.await.unwrap_or_else(panicked);
        let ids: Vec<String> = open.keys().cloned().collect();
        let mut done = Vec::new();
        for (id, result) in ids.into_iter().zip(results) {
            match result {
                Ok(_) => done.extend(open.remove(&id).map(|(one, _)| one)),
                // The database is away, or others were faster.
                Err(
                    StorageError::Unavailable(_)
                    | StorageError::Timeout(_)
                    | StorageError::Retry(_)
                    | StorageError::MissingPartition(_),
                ) => {}
                Err(error) => {
                    let Some((one, _)) = open.remove(&id) else {
                        continue;
                    };
                    let never = matches!(error, StorageError::Rejected(_));
                    if never || self.deliveries(&id).await? >= DELIVERIES {
                        self.bury(&one, &error.to_string()).await?;
                    } else {
                        // It is tried again when it is claimed; what it came with goes on.
                        tracing::error!(%error, entry = id, partition = self.number, "a packet was not stored");
                    }
                }
            }
        }
        self.acknowledge(&done).await
    }

    /// Leaves out what is stored: by a worker that could not say so, or by one that was faster.
    async fn pass_over_stored(
        &mut self,
        open: &mut BTreeMap<String, (Delivered, Lot)>,
    ) -> Result<(), Trouble> {
        let places = open.values().filter_map(|(_, lot)| lot.entry.as_ref());
        let stored = match entries::stored(&self.writer.db, places).await {
            // The transaction will say the same.
            Err(StorageError::Unavailable(_)) => return Ok(()),
            stored => stored?,
        };
        let is_stored = |lot: &Lot| {
            lot.entry
                .as_ref()
                .is_some_and(|entry| stored.contains(entry))
        };
        let mut done = Vec::new();
        for (id, (one, lot)) in std::mem::take(open) {
            if is_stored(&lot) {
                done.push(one);
            } else {
                open.insert(id, (one, lot));
            }
        }
        self.acknowledge(&done).await
    }

    async fn acknowledge(&mut self, done: &[Delivered]) -> Result<(), Trouble> {
        if done.is_empty() {
            return Ok(());
        }
        let entries = done
            .iter()
            .map(|one| (one.id.as_str(), one.bytes, one.events));
        Ok(self.line.ask(&self.keys.done(entries)).await?)
    }

    async fn deliveries(&mut self, id: &str) -> Result<usize, Trouble> {
        let reply: StreamPendingCountReply = self.line.ask(&self.keys.deliveries(id)).await?;
        Ok(reply.ids.first().map_or(0, |entry| entry.times_delivered))
    }

    /// Puts aside what can never be stored.
    async fn bury(&mut self, one: &Delivered, why: &str) -> Result<(), Trouble> {
        tracing::error!(
            why,
            entry = one.id,
            partition = self.number,
            "a packet goes to the dead letters"
        );
        let burying = self.keys.bury(&one.id, one.bytes, one.events, why);
        self.line.ask::<()>(&burying).await?;
        self.writer.metrics.stream_dead.increment(1);
        Ok(())
    }

    /// Sees to what crashes have left: entries that nobody has, consumers that are gone, and rows
    /// whose entries are.
    async fn keep(&mut self) -> Result<(), Trouble> {
        self.make_group().await?;
        let look = look(&mut self.line, &self.keys, self.number).await?;
        let until = format!("{}-0", look.now_millis - LEFT_LYING_MILLIS);
        let adopted: usize = self
            .line
            .ask(&self.keys.adopt(&self.consumer, &until))
            .await?;
        if adopted > 0 {
            tracing::warn!(
                adopted,
                partition = self.number,
                "packets were given to nobody"
            );
        }
        let forgetting = self.keys.forget_consumers("", LEFT_LYING_MILLIS);
        self.line.ask::<()>(&forgetting).await?;
        let oldest = DateTime::from_timestamp_millis(look.first_millis - SKEW_MILLIS);
        let oldest = oldest.unwrap_or_default();
        match entries::forget(&self.writer.db, &self.keys.events, oldest).await {
            Ok(_) | Err(StorageError::Unavailable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
