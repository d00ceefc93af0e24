//! Takes people out of everything that is kept: what is stored, what lies in streams, what is held.
//!
//! A request is a row ([`crate::storage::writes::erasures`]); whoever has the turn works on it, step
//! by step, and each step may be done again. So it outlives the process, and the answer may come
//! before it is done.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::log::stream::Streams;
use super::new_id;
use crate::clock::Clock;
use crate::domain::audit::{Action, Actor};
use crate::domain::calendar::TimeRange;
use crate::domain::event::user_id;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::writes::audit::{Entry, note};
use crate::storage::writes::erasures::{self, Erasure, NewErasure, Turn, facts, identity, traces};
use crate::storage::writes::summaries::{Owner, owners};
use crate::storage::{Db, StorageError};

pub use crate::storage::writes::erasures::{Counts, Mode, Receipt};

/// How often the facts are looked through before others have their turn: the person may be at it.
const PASSES: usize = 20;
/// How long writers have between two pieces.
const BREATH: Duration = Duration::from_millis(50);
/// How long an answer waits for the end, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// The step at which the streams are looked through.
const STREAMS: i16 = 3;
/// How many erasures a list shows.
const LISTED: u32 = 100;
/// How long an id may be that a sender gives a user.
const MAX_ID: usize = 256;

/// Whom a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The person of this id, as records have it.
    Id(Uuid),
    /// The one whom senders call so (`userId`).
    User(String),
    /// The visitor whom senders call so (`anonymousId`).
    Visitor(String),
}

impl Subject {
    /// The one that is named; exactly one is.
    ///
    /// # Errors
    /// [`Code::InvalidErasure`].
    pub fn of(
        id: Option<Uuid>,
        user: Option<String>,
        visitor: Option<String>,
    ) -> Result<Self, Problem> {
        let subject = match (id, user, visitor) {
            (Some(id), None, None) => Self::Id(id),
            (None, Some(user), None) => Self::User(user),
            (None, None, Some(visitor)) => Self::Visitor(visitor),
            _ => {
                let detail = "Give one of `id`, `userId` and `anonymousId`.";
                return Err(Problem::with(Code::InvalidErasure, detail));
            }
        };
        if let Self::User(text) | Self::Visitor(text) = &subject
            && (text.is_empty() || text.len() > MAX_ID || text.contains('\0'))
        {
            let detail = format!("An id has 1 to {MAX_ID} bytes and no NUL character.");
            return Err(Problem::with(Code::InvalidErasure, detail));
        }
        Ok(subject)
    }

    /// One of the person's ids, and what senders call them.
    #[must_use]
    pub fn known_as(&self, tenant: TenantId) -> (Uuid, Option<String>) {
        match self {
            Self::Id(id) => (*id, None),
            Self::User(text) => (user_id(tenant, text, false), Some(text.clone())),
            Self::Visitor(text) => (user_id(tenant, text, true), Some(text.clone())),
        }
    }
}

/// A request to take a person out.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose user.
    pub tenant: TenantId,
    /// Whom.
    pub subject: Subject,
    /// How.
    pub mode: Mode,
    /// Of which facts; nothing: of all, and of the person themselves.
    pub range: Option<TimeRange>,
    /// Who asks.
    pub actor: Actor,
}

/// What keeps an erasure from going on, in words fit for clients.
fn waits_for(erasure: &Erasure) -> &'static str {
    if erasure.step == STREAMS {
        "What lies in the streams is not stored, or their Redis does not answer."
    } else {
        "The database did not get through with it; the log knows more."
    }
}

/// Takes people out.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Erasures {
    db: Db,
    clock: Clock,
    streams: Option<Streams>,
}

impl Erasures {
    /// Over this database, and the streams in which events may lie.
    pub(super) fn new(db: Db, clock: Clock, streams: Option<Streams>) -> Self {
        Self { db, clock, streams }
    }

    /// Notes a request: from now on nothing of before is stored of this person.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn request(&self, request: Request) -> Result<Uuid, Problem> {
        let at = self.clock.now();
        let (user_id, word) = request.subject.known_as(request.tenant);
        let new = NewErasure {
            id: new_id(at),
            tenant: request.tenant,
            user_id,
            word,
            mode: request.mode,
            range: request.range,
            by: request.actor.to_string(),
            at,
        };
        let entry = Entry {
            at,
            tenant: Some(request.tenant),
            actor: &request.actor,
            action: Action::UserErased,
            subject: new.id.to_string(),
            details: json!({"mode": request.mode.name(), "ofRange": request.range.is_some()}),
        };
        note(self.db.control(), entry).await?;
        erasures::begin(&self.db, &new).await?;
        Ok(new.id)
    }

    /// What is known of an erasure, once it is done or some time has passed.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn settled(&self, tenant: TenantId, id: Uuid) -> Result<Receipt, Problem> {
        let until = Instant::now() + PATIENCE;
        loop {
            let receipt = self.receipt(tenant, id).await?;
            let receipt = receipt.ok_or(Code::Internal)?;
            if receipt.finished_at.is_some() || Instant::now() > until {
                return Ok(receipt);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is known of an erasure.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn receipt(&self, tenant: TenantId, id: Uuid) -> Result<Option<Receipt>, Problem> {
        Ok(erasures::receipt(&self.db, tenant, id).await?)
    }

    /// The newest erasures of a tenant.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn receipts(&self, tenant: TenantId) -> Result<Vec<Receipt>, Problem> {
        Ok(erasures::receipts(&self.db, tenant, LISTED).await?)
    }

    /// Works on what is not done, if it is this process's turn; says how many are done now.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn work(&self) -> Result<u64, StorageError> {
        let open = erasures::open(&self.db).await?;
        if open.is_empty() {
            return Ok(0);
        }
        let Some(_turn) = Turn::take(&self.db).await? else {
            return Ok(0);
        };
        let mut done = 0;
        // Somebody may have worked on them just before.
        for mut erasure in erasures::open(&self.db).await? {
            match Box::pin(self.go_on(&mut erasure)).await {
                Ok(()) => done += 1,
                Err(error) => {
                    let id = erasure.id;
                    tracing::warn!(%id, %error, "an erasure is not done; it goes on later");
                    let what = waits_for(&erasure);
                    erasures::waits(&self.db, id, what).await?;
                }
            }
        }
        Ok(done)
    }

    /// Does what is left of an erasure.
    async fn go_on(&self, erasure: &mut Erasure) -> Result<(), StorageError> {
        let (db, tenant) = (&self.db, erasure.person.tenant);
        let owner = owners(db).await?.into_iter();
        let owner = owner.into_iter().find(|owner| owner.tenant == tenant);
        let owner = owner.ok_or_else(|| StorageError::Bug("a tenant has no zone".to_owned()))?;
        if erasure.step < 1 {
            self.take_out_person(owner, erasure).await?;
            erasures::advance(db, erasure, 1).await?;
        }
        if erasure.step < 2 {
            traces::summaries(db, tenant).await?;
            erasures::advance(db, erasure, 2).await?;
        }
        if erasure.step < 3 {
            traces::quarantine(db, erasure).await?;
            traces::exports(db, erasure).await?;
            erasures::advance(db, erasure, 3).await?;
        }
        if erasure.step < 4 {
            if let Some(streams) = &self.streams {
                let taken = streams.take_out(db, erasure).await?;
                erasures::note_dead(db, erasure.id, taken).await?;
            }
            erasures::advance(db, erasure, 4).await?;
        }
        // What lay in a stream may have been held meanwhile.
        traces::quarantine(db, erasure).await?;
        traces::user_agents(db, erasure).await?;
        traces::statistics(db, erasure).await?;
        erasures::finish(db, erasure, self.clock.now()).await?;
        tracing::info!(id = %erasure.id, tenant = tenant.0, "a person was erased");
        Ok(())
    }

    /// Facts, then who did them, as soon as nobody stores more.
    async fn take_out_person(
        &self,
        owner: Owner,
        erasure: &mut Erasure,
    ) -> Result<(), StorageError> {
        let db = &self.db;
        for _ in 0..PASSES {
            let (hours, change) = facts::hours(db, erasure).await?;
            let is_clear = hours.is_empty();
            for hour in hours {
                facts::take_out(db, owner, erasure, hour).await?;
                // Writers that waited begin again.
                tokio::time::sleep(BREATH).await;
            }
            if is_clear && identity::take_out(db, erasure, change, self.clock.now()).await? {
                return Ok(());
            }
        }
        let text = "the person did something each time that was looked";
        Err(StorageError::Retry(text.to_owned()))
    }
}
