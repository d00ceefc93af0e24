//! Takes people out of the streams: waits until what lay there is stored, or left out, and goes
//! through the dead letters.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use redis::streams::StreamRangeReply;
use tokio::time::Instant;

use super::keys::{EVENTS, Keys, PACKET};
use super::line::Line;
use super::observer::look;
use super::packet::{Packet, decode, encode};
use super::{MAX_PARTITIONS, REDIS_PATIENCE, Settings, StreamError};
use crate::config::{IngestConfig, RedisUrl};
use crate::domain::batch::Batch;
use crate::domain::event::Event;
use crate::storage::queries::installation::installation;
use crate::storage::writes::erasures::Erasure;
use crate::storage::{Db, StorageError};

/// How long the workers have to store what lies in the streams, before it is tried again later.
const DRAIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);
/// How many dead letters are read at once.
const PAGE: usize = 20;

/// Where events lie that are not stored.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Streams {
    settings: Arc<Settings>,
}

fn away(error: &RedisError) -> StorageError {
    StorageError::Unavailable(format!("the Redis of the streams: {error}"))
}

impl Streams {
    /// The streams of this Redis; it is asked when it is needed.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub(crate) fn new(redis: &RedisUrl, config: &IngestConfig) -> Result<Self, StreamError> {
        let settings = Arc::new(Settings::left_over(redis, config)?);
        Ok(Self { settings })
    }

    /// Waits until nothing of before lies in the streams, which no writer stores of this person any
    /// more, and takes the person out of the dead letters; says of how many.
    ///
    /// # Errors
    /// When Redis or the database is away, or the workers did not get through in time.
    pub async fn take_out(&self, db: &Db, erasure: &Erasure) -> Result<u64, StorageError> {
        let name = installation(db.control()).await?;
        let mut line = Line::new(self.settings.server.clone(), REDIS_PATIENCE);
        let drained = drained(&mut line, &name).await;
        if !drained.map_err(|error| away(&error))? {
            let text = "what lies in the streams is not stored yet: is a worker running?";
            return Err(StorageError::Retry(text.to_owned()));
        }
        let mut taken = 0;
        for partition in 0..MAX_PARTITIONS {
            let keys = Keys::new(&name, partition);
            let letters = dead(&mut line, &keys, partition, erasure).await;
            taken += letters.map_err(|error| away(&error))?;
        }
        Ok(taken)
    }
}

/// Whether all that lies there now is gone before the time is up.
async fn drained(line: &mut Line, name: &str) -> Result<bool, RedisError> {
    let until = Instant::now() + DRAIN;
    for partition in 0..MAX_PARTITIONS {
        let keys = Keys::new(name, partition);
        let first = look(line, &keys, partition).await?;
        let now = first.now_millis;
        let mut seen = first;
        while seen.health.entries > 0 && seen.first_millis <= now {
            if Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
            seen = look(line, &keys, partition).await?;
        }
    }
    Ok(true)
}

/// Goes through the dead letters of a partition.
async fn dead(
    line: &mut Line,
    keys: &Keys,
    partition: u16,
    erasure: &Erasure,
) -> Result<u64, RedisError> {
    if look(line, keys, partition).await?.health.dead == 0 {
        return Ok(0);
    }
    let (mut taken, mut from) = (0, "-".to_owned());
    loop {
        let mut command = redis::cmd("XRANGE");
        command.arg(&keys.dead).arg(&from).arg("+");
        let page: StreamRangeReply = line.ask(command.arg("COUNT").arg(PAGE)).await?;
        let Some(last) = page.ids.last() else {
            return Ok(taken);
        };
        from = format!("({}", last.id);
        for letter in &page.ids {
            let bytes: Vec<u8> = letter.get(PACKET).unwrap_or_default();
            let Some(rest) = without(&bytes, erasure) else {
                continue;
            };
            taken += 1;
            if let Some((packet, events)) = rest {
                // Where this is cut off, both lie there, and are stored once: they have one id.
                let why: String = letter.get("why").unwrap_or_default();
                let mut add = redis::cmd("XADD");
                add.arg(&keys.dead).arg("*").arg(PACKET).arg(packet);
                add.arg(EVENTS).arg(events).arg("why").arg(why);
                let _: String = line.ask(&add).await?;
            }
            let mut command = redis::cmd("XDEL");
            let _: i64 = line.ask(command.arg(&keys.dead).arg(&letter.id)).await?;
        }
    }
}

/// A packet without the person, and how many events are in it; nothing inside if nothing is left of
/// it. Nothing at all if the person is not in it.
#[allow(clippy::option_option, reason = "each says something else")]
fn without(bytes: &[u8], erasure: &Erasure) -> Option<Option<(Vec<u8>, usize)>> {
    let Ok((id, mut batches)) = decode(bytes) else {
        // Nobody can store what nobody can read.
        let text = String::from_utf8_lossy(bytes);
        return erasure.person.is_named_by(&text).then_some(None);
    };
    let mut is_in = false;
    for batch in &mut batches {
        if batch.tenant == erasure.person.tenant {
            is_in |= take_out(batch, erasure);
        }
    }
    if !is_in {
        return None;
    }
    let mut packet = Packet::new(id);
    for batch in &batches {
        if !batch.events.is_empty() || !batch.held.is_empty() {
            let encoded = encode(batch).ok()?;
            packet.push(&encoded, batch.events.len());
        }
    }
    let events = packet.events();
    let has_held = batches.iter().any(|batch| !batch.held.is_empty());
    Some((events > 0 || has_held).then(|| (packet.seal(), events)))
}

/// Takes the person out of a batch; whether they were in it.
fn take_out(batch: &mut Batch, erasure: &Erasure) -> bool {
    let person = &erasure.person;
    let is_theirs = |event: &Event| {
        let other = event.link.as_ref().map(|link| link.user_id);
        let in_range = erasure
            .range
            .is_none_or(|range| range.from <= event.timestamp && event.timestamp < range.to);
        let mut users = std::iter::once(event.user.id).chain(other);
        in_range && users.any(|user| person.ids.contains(&user))
    };
    let before = batch.events.len() + batch.held.len();
    batch.events.retain(|event| !is_theirs(&event.what));
    batch
        .held
        .retain(|held| !person.is_named_by(&held.what.payload));
    before > batch.events.len() + batch.held.len()
}
