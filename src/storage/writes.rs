//! Storing a batch of events: one transaction, exactly once.
//!
//! 1. hold the idempotency period (`FOR SHARE`), so that ids are claimed in one partition only;
//! 2. claim the senders' ids: what was claimed before is a duplicate or a conflict ([`claims`]);
//! 3. store the users that are new ([`users`]);
//! 4. `COPY` events, pageviews and purchases ([`facts`], [`copy`]);
//! 5. add to the rollups ([`rollups`]);
//! 6. commit.
//!
//! Whatever is killed in between leaves nothing. Every statement takes its rows in the order of
//! their keys, so that two writers wait for each other but never in a circle.

mod claims;
mod copy;
mod facts;
mod identity;
pub mod keys;
pub mod products;
mod rollups;
pub mod tenants;
mod users;

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use sea_orm::sqlx::{self, Postgres};

use super::partitions::{KnownSpans, Span, open_period};
use super::{Db, StorageError};
use crate::domain::event::Event;
use crate::domain::tenant::TenantId;

pub use rollups::SaleDelta;
pub use users::SeenUsers;

type Transaction = sqlx::Transaction<'static, Postgres>;

/// An event received this much after it happened is counted as late.
const LATE_AFTER: Duration = Duration::minutes(5);

/// An event to store.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Whose event.
    pub tenant: TenantId,
    /// What happened.
    pub event: &'a Event,
    /// When the server took it.
    pub received_at: DateTime<Utc>,
}

impl Incoming<'_> {
    fn is_late(&self) -> bool {
        self.received_at - self.event.timestamp > LATE_AFTER
    }
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
}

/// A committed batch.
#[derive(Debug)]
pub struct Stored {
    /// One for each incoming event, in order.
    pub outcomes: Vec<Outcome>,
    /// The transaction's id: tells whether a later snapshot sees it.
    pub transaction_id: i64,
    /// What was newly sold.
    pub sales: Vec<SaleDelta>,
}

/// What a process remembers between batches; all of it can be rebuilt.
#[derive(Debug, Default)]
pub struct WriteMemory {
    /// The spans of time that have partitions.
    pub spans: KnownSpans,
    /// The users that are stored.
    pub users: SeenUsers,
}

impl WriteMemory {
    fn forget(&self) {
        self.spans.forget();
        self.users.forget();
    }
}

/// Stores a batch. When it returns, the accepted events are durable; when it fails, none is
/// (or, where the connection broke at the commit, all are, and a resend finds them duplicates).
///
/// # Errors
/// See [`StorageError`]; `Retry` is worth an immediate second call, `Rejected` means that some
/// event of the batch cannot be stored.
pub async fn store(
    db: &Db,
    memory: &WriteMemory,
    batch: &[Incoming<'_>],
) -> Result<Stored, StorageError> {
    let spans: BTreeSet<Span> = batch
        .iter()
        .map(|incoming| Span::of(incoming.event.timestamp))
        .collect();
    let result = async {
        memory.spans.ensure(db.writes(), &spans).await?;
        store_in_transaction(db, memory, batch).await
    };
    let result = result.await;
    if let Err(StorageError::MissingPartition(_) | StorageError::Unavailable(_)) = &result {
        // What is remembered may be wrong, say after a fail-over.
        memory.forget();
    }
    result
}

async fn store_in_transaction(
    db: &Db,
    memory: &WriteMemory,
    batch: &[Incoming<'_>],
) -> Result<Stored, StorageError> {
    let (mut transaction, period) = begin(db).await?;
    let outcomes = claims::claim(&mut transaction, &period, batch).await?;
    let accepted: Vec<Incoming<'_>> = batch
        .iter()
        .zip(&outcomes)
        .filter_map(|(incoming, outcome)| (*outcome == Outcome::Accepted).then_some(*incoming))
        .collect();
    let mut sales = Vec::new();
    if accepted.is_empty() {
        transaction.rollback().await?;
    } else {
        let new_users = memory.users.unseen(&accepted);
        users::store(&mut transaction, &new_users).await?;
        let categories = facts::categories(&mut transaction, &accepted).await?;
        facts::store(&mut transaction, &accepted, &categories).await?;
        sales = rollups::add(&mut transaction, &accepted, &categories).await?;
        transaction.commit().await?;
        memory.users.remember(&new_users);
    }
    Ok(Stored {
        outcomes,
        transaction_id: period.transaction_id,
        sales,
    })
}

/// The period that a transaction claims ids in.
#[derive(Debug)]
struct Period {
    opened_on: chrono::NaiveDate,
    transaction_id: i64,
}

/// Begins a transaction that holds the current idempotency period, opening it if need be.
async fn begin(db: &Db) -> Result<(Transaction, Period), StorageError> {
    loop {
        let mut transaction = db.writes().begin().await?;
        let (opened_on, is_current, transaction_id) = sqlx::query_as(
            "SELECT opened_on,
                    opened_on >= date_trunc('month', now() AT TIME ZONE 'utc')::date AS is_current,
                    pg_current_xact_id()::text::bigint AS transaction_id
             FROM idempotency_period
             FOR SHARE",
        )
        .fetch_one(&mut *transaction)
        .await?;
        if is_current {
            return Ok((
                transaction,
                Period {
                    opened_on,
                    transaction_id,
                },
            ));
        }
        transaction.rollback().await?;
        open_period(db.writes()).await?;
    }
}
