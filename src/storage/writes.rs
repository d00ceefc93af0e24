//! Storing batches of events: one transaction, exactly once.
//!
//! 1. look the senders' ids up, and reserve those that are free ([`idempotency`]);
//! 2. store the users that are new, and the days that users were there ([`users`], [`user_days`]);
//! 3. store what came with the events: their types, programs, what is quarantined and the
//!    receipts ([`intake`]);
//! 4. `COPY` events, purchases and refunds ([`facts`], [`copy`]);
//! 5. join the ids that turned out to be one user ([`identity`]);
//! 6. lock the end of the idempotency log and claim the ids;
//! 7. mark the hours that change ([`changes`]), add to the rollups and move the watermarks
//!    ([`rollups`]);
//! 8. commit.
//!
//! Whatever is killed in between leaves nothing. Every statement takes its rows in the order of
//! their keys, so that two writers wait for each other but never in a circle. The lock on the log
//! comes last but for the rollups, whose rows all writers share anyway.

pub mod audit;
pub mod bots;
mod changes;
mod classified;
mod copy;
pub mod entries;
mod erased;
pub mod erasures;
pub mod event_schemas;
pub mod exports;
mod facts;
mod idempotency;
mod identity;
mod intake;
pub mod keys;
pub mod privacy_policies;
pub mod products;
pub mod quarantine;
pub mod retention;
pub mod rollups;
mod seen;
pub mod summaries;
pub mod tenants;
mod user_days;
mod users;

use std::collections::BTreeSet;
use std::time::Duration as StdDuration;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use sea_orm::sqlx::{self, Postgres};

use super::partitions::{KnownSpans, Span};
use super::{Db, StorageError};
use crate::domain::batch::Batch;
use crate::domain::event::Event;
use crate::domain::tenant::TenantId;
use classified::{Classified, Sayings};
use idempotency::log::{self, Claim};
use idempotency::memory::{Ids, Verdict};
use idempotency::{Entry, seal};

pub use rollups::SaleDelta;
use user_days::SeenDays;
use users::SeenUsers;

type Transaction = sqlx::Transaction<'static, Postgres>;

/// How often a transaction is begun again because another process was faster with an id.
const ATTEMPTS: usize = 5;

/// An event received this much after it happened is counted as late.
const LATE_AFTER: Duration = Duration::minutes(5);

/// An event to store.
#[derive(Clone, Copy, Debug)]
struct Incoming<'a> {
    batch: &'a Batch,
    event: &'a Event,
    /// As the list of bots says, or someone who knows better.
    bot: bool,
    /// Whether it is of before its user was erased.
    erased: bool,
}

impl Incoming<'_> {
    fn tenant(&self) -> TenantId {
        self.batch.tenant
    }

    fn received_at(&self) -> DateTime<Utc> {
        self.batch.received_at
    }

    fn is_late(&self) -> bool {
        self.batch.received_at - self.event.timestamp > LATE_AFTER
    }

    /// The day in the tenant's time zone.
    fn day(&self) -> NaiveDate {
        self.event
            .timestamp
            .with_timezone(&self.batch.zone)
            .date_naive()
    }

    fn entry(&self) -> Entry {
        Entry::new(self.batch.tenant, self.event.id, self.event.digest)
    }
}

/// Where in a stream a batch lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamEntry {
    /// The stream's key.
    pub stream: String,
    /// Its place in the stream.
    pub entry_id: String,
}

/// A batch to store.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// What to store.
    pub batch: &'a Batch,
    /// Where it lies, if it comes from a stream: it is stored once for each place.
    pub entry: Option<&'a StreamEntry>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, now.
    Accepted,
    /// It was stored before.
    Duplicate,
    /// Another content was stored under its id before, and stays.
    Conflict,
    /// It is of before its user was erased, and is not stored.
    Erased,
}

/// Committed batches.
#[derive(Debug)]
pub struct Stored {
    /// One for each event of each batch, in order.
    pub outcomes: Vec<Outcome>,
    /// The transaction's id: tells whether a later snapshot sees it.
    pub transaction_id: i64,
    /// What was newly sold.
    pub sales: Vec<SaleDelta>,
    /// How many links of two ids were left out because they would have made too large a user.
    pub ids_not_joined: usize,
    /// How often it was begun again because others were faster.
    pub collisions: usize,
    /// How long the commit itself took.
    pub commit: StdDuration,
}

/// What a process remembers between batches; all of it can be rebuilt.
#[derive(Debug, Default)]
pub struct WriteMemory {
    spans: KnownSpans,
    users: SeenUsers,
    days: SeenDays,
    classified: Classified,
    intake: intake::SeenWords,
    ids: Ids,
}

impl WriteMemory {
    fn forget(&self) {
        self.spans.forget();
        self.users.forget();
        self.days.forget();
        self.classified.forget();
        self.intake.forget();
        self.ids.forget();
    }

    /// Sorts what was closed of the idempotency log into pages, and forgets what is past the
    /// window.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn keep_idempotency(&self, db: &Db, window: StdDuration) -> Result<(), StorageError> {
        while seal::seal_one(db.writes(), &self.ids).await? {}
        let forgotten = seal::expire(db.writes(), &self.ids, window).await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "ids left the idempotency window");
        }
        Ok(())
    }
}

/// Stores batches. When it returns, the accepted events are durable; when it fails, none is
/// (or, where the connection broke at the commit, all are, and a resend finds them duplicates).
///
/// # Errors
/// See [`StorageError`]; `Retry` is worth an immediate second call, `Rejected` means that some
/// event of the batches cannot be stored.
pub async fn store(
    db: &Db,
    memory: &WriteMemory,
    work: &[Work<'_>],
) -> Result<Stored, StorageError> {
    let result = store_until_settled(db, memory, work).await;
    if let Err(StorageError::MissingPartition(_) | StorageError::Unavailable(_)) = &result {
        // What is remembered may be wrong, say after a fail-over.
        memory.forget();
    }
    result
}

async fn store_until_settled(
    db: &Db,
    memory: &WriteMemory,
    work: &[Work<'_>],
) -> Result<Stored, StorageError> {
    let mut sayings = memory.classified.now();
    let mut incoming = incoming(&sayings, work);
    memory
        .spans
        .ensure(db.writes(), &spans(work, &incoming))
        .await?;

    // Events whose facts are stored though their ids left the window.
    let mut stored_before = vec![false; incoming.len()];
    for collisions in 0..ATTEMPTS {
        let attempt = attempt(db, memory, work, (&sayings, &incoming), &stored_before).await;
        match attempt {
            Ok(Attempt::Committed(stored)) => {
                return Ok(Stored {
                    collisions,
                    ..stored
                });
            }
            Ok(Attempt::Classified) => {
                memory.classified.load(db.writes()).await?;
                sayings = memory.classified.now();
                incoming = self::incoming(&sayings, work);
            }
            Err(StorageError::Exists(_)) if collisions > 0 => {
                facts::find(db.writes(), &incoming, &mut stored_before).await?;
            }
            // An id was, or may have been, claimed by another process just now.
            Ok(Attempt::Collided) | Err(StorageError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StorageError::Retry(
        "others were faster each time".to_owned(),
    ))
}

/// The events of batches, one after the other, as they are seen by what was said.
fn incoming<'a>(sayings: &Sayings, work: &[Work<'a>]) -> Vec<Incoming<'a>> {
    let of_batch = |Work { batch, .. }: &Work<'a>| {
        let batch: &'a Batch = batch;
        batch.events.iter().map(move |event| Incoming {
            batch,
            event: &event.what,
            bot: sayings.is_bot(batch.tenant, &event.what),
            erased: sayings.erased().has(batch, &event.what),
        })
    };
    work.iter().flat_map(of_batch).collect()
}

fn spans(work: &[Work<'_>], incoming: &[Incoming<'_>]) -> BTreeSet<Span> {
    let mut days = BTreeSet::new();
    let mut spans: BTreeSet<Span> = work
        .iter()
        .map(|Work { batch, .. }| Span::of_receipts(batch.received_at))
        .collect();
    for incoming in incoming {
        days.insert(incoming.event.timestamp.date_naive());
        days.insert(incoming.day());
    }
    spans.extend(days.into_iter().map(Span::of_day));
    spans
}

enum Attempt {
    Committed(Stored),
    /// Another process claimed one of the ids in the meantime.
    Collided,
    /// Something was said of user agents in the meantime.
    Classified,
}

async fn attempt(
    db: &Db,
    memory: &WriteMemory,
    work: &[Work<'_>],
    (sayings, incoming): (&Sayings, &[Incoming<'_>]),
    stored_before: &[bool],
) -> Result<Attempt, StorageError> {
    let version = sayings.version();
    let entries: Vec<Entry> = incoming.iter().map(Incoming::entry).collect();
    let mut connection = db.writes().acquire().await?;
    let (reservation, verdicts) = log::reserve(&mut connection, &memory.ids, &entries).await?;
    drop(connection);
    let outcomes: Vec<Outcome> = entries
        .iter()
        .zip(verdicts)
        .zip(stored_before.iter().zip(incoming))
        .map(
            |((entry, verdict), (stored_before, incoming))| match verdict {
                Verdict::Taken(digest) if digest == entry.digest() => Outcome::Duplicate,
                Verdict::Taken(_) => Outcome::Conflict,
                Verdict::Free if *stored_before => Outcome::Duplicate,
                Verdict::Free if incoming.erased => Outcome::Erased,
                Verdict::Free => Outcome::Accepted,
            },
        )
        .collect();
    let is_accepted = |outcome: &Outcome| *outcome == Outcome::Accepted;
    let accepted: Vec<Incoming<'_>> = incoming
        .iter()
        .zip(&outcomes)
        .filter_map(|(incoming, outcome)| is_accepted(outcome).then_some(*incoming))
        .collect();

    let mut transaction = db.writes().begin().await?;
    if !intake::place(&mut transaction, work).await? {
        let text = "another worker has stored an entry of the stream";
        return Err(StorageError::Retry(text.to_owned()));
    }
    let new_users = memory.users.unseen(version, &accepted);
    users::store(&mut transaction, &new_users).await?;
    let new_days = memory.days.unseen(version, &accepted);
    user_days::store(&mut transaction, &new_days).await?;
    let new_words = memory.intake.unseen(version, &accepted);
    let erased = sayings.erased();
    intake::store(&mut transaction, &new_words, work, &outcomes, erased).await?;
    let categories = facts::categories(&mut transaction, &accepted).await?;
    facts::store(&mut transaction, &accepted, &categories).await?;

    let mut claimed = None;
    let mut sales = Vec::new();
    let mut ids_not_joined = 0;
    if !accepted.is_empty() {
        // A tenant's users are locked from here on, and late for that reason.
        let joined = identity::link(&mut transaction, &identity::said(&accepted)).await?;
        ids_not_joined = joined.refused;
        let entries: Vec<Entry> = accepted.iter().map(Incoming::entry).collect();
        let claim = log::claim(&mut transaction, &memory.ids, &reservation, &entries).await?;
        let Claim::Appended(segment) = claim else {
            transaction.rollback().await?;
            return Ok(Attempt::Collided);
        };
        if segment.classifications != version {
            transaction.rollback().await?;
            return Ok(Attempt::Classified);
        }
        changes::mark(&mut transaction, segment.change, &accepted, &joined.ids).await?;
        sales = rollups::add(&mut transaction, &accepted, &categories).await?;
        claimed = Some((segment, entries));
    } else if work.iter().any(|work| !work.batch.held.is_empty())
        && changes::sayings(&mut transaction).await? != version
    {
        // What is held may name somebody who was erased meanwhile.
        transaction.rollback().await?;
        return Ok(Attempt::Classified);
    }
    let committing = tokio::time::Instant::now();
    transaction.commit().await?;
    let commit = committing.elapsed();

    let mut transaction_id = 0;
    if let Some((segment, entries)) = claimed {
        transaction_id = segment.transaction_id;
        memory.ids.commit(&segment, &entries);
    }
    drop(reservation);
    memory.users.remember(version, &new_users);
    memory.days.remember(version, &new_days);
    memory.intake.remember(version, new_words);
    Ok(Attempt::Committed(Stored {
        outcomes,
        transaction_id,
        sales,
        ids_not_joined,
        collisions: 0,
        commit,
    }))
}
