//! Takes a person out of everything that is kept, step by step.
//!
//! 1. [`begin`] finds all ids of the person and notes them in `erasure`, and for ever a hash of each
//!    in `erased_user`. From its commit on no writer stores a fact of theirs of before: writers learn
//!    of it under the lock that they take last, as they learn of bots.
//! 2. [`facts`] takes out, or makes nameless, what they did: an hour at a time, less if much
//!    happened, each with its rollups and days in one transaction.
//! 3. [`identity`] takes out who they are. It moves the moment up to which all is gone to its own,
//!    and comes to pass only if nothing was stored of them meanwhile: else step 2 is done once more.
//! 4. [`traces`] takes out what follows from facts or tells of them: summaries, quarantine, files of
//!    exports, names of programs, the planner's statistics.
//!
//! Each step may be done again: whoever is killed leaves a row that says how far it came.

pub mod facts;
pub mod identity;
mod receipt;
pub mod traces;

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, ConnectOptions, PgConnection};
use uuid::Uuid;

use super::erased::ErasureKey;
use super::{Transaction, changes};
use crate::domain::calendar::TimeRange;
use crate::domain::person::Person;
use crate::domain::tenant::TenantId;
use crate::storage::{Db, StorageError};

pub use receipt::{Counts, Receipt, receipt, receipts};

/// What becomes of what a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It goes, and the sums that it is in are made anew.
    Delete,
    /// It stays, without anything that leads back.
    Anonymise,
}

impl Mode {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Anonymise => "anonymise",
        }
    }

    fn of(name: &str) -> Self {
        if name == Self::Anonymise.name() {
            Self::Anonymise
        } else {
            Self::Delete
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct NewErasure {
    /// Names it.
    pub id: Uuid,
    /// Whose user.
    pub tenant: TenantId,
    /// Any id of the person.
    pub user_id: Uuid,
    /// What the request calls them, if it does.
    pub word: Option<String>,
    /// How.
    pub mode: Mode,
    /// Of which facts; nothing: of all, and of the person themselves.
    pub range: Option<TimeRange>,
    /// Who asks.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// An erasure that is not done.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Names it.
    pub id: Uuid,
    /// Whom.
    pub person: Person,
    /// How.
    pub mode: Mode,
    /// Of which facts.
    pub range: Option<TimeRange>,
    /// How many steps are done.
    pub step: i16,
    /// What takes the place of the person's ids.
    new_id: Uuid,
    /// What takes the place of other ids is hashed with it.
    salt: Vec<u8>,
}

/// Whose turn it is to erase: one at a time. It ends when this is dropped.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code, reason = "its session holds the lock")] PgConnection);

impl Turn {
    /// Takes it, unless another has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn take(db: &Db) -> Result<Option<Self>, StorageError> {
        let mut connection = db.writes().connect_options().connect().await?;
        let taken: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('tidewater erasures'))")
                .fetch_one(&mut connection)
                .await?;
        Ok(taken.then_some(Self(connection)))
    }
}

/// Which ids and words a person has.
///
/// # Errors
/// When the database cannot be reached.
pub async fn person(
    db: &Db,
    tenant: TenantId,
    user_id: Uuid,
    word: Option<&str>,
) -> Result<Person, StorageError> {
    let mut connection = db.writes().acquire().await?;
    person_in(&mut connection, tenant, user_id, word).await
}

async fn person_in(
    connection: &mut PgConnection,
    tenant: TenantId,
    user_id: Uuid,
    word: Option<&str>,
) -> Result<Person, StorageError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "WITH whose AS (
             SELECT coalesce((SELECT canonical_id FROM user_alias
                              WHERE tenant_id = $1 AND user_id = $2), $2) AS id)
         SELECT id FROM whose
         UNION ALL
         SELECT user_id FROM user_alias JOIN whose ON canonical_id = whose.id
         WHERE tenant_id = $1",
    )
    .bind(tenant.0)
    .bind(user_id)
    .fetch_all(&mut *connection)
    .await?;
    let rows: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        r#"SELECT external_id, username, email FROM "user"
           WHERE tenant_id = $1 AND user_id = ANY($2)"#,
    )
    .bind(tenant.0)
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    let told = rows
        .into_iter()
        .flat_map(|(id, name, email)| [Some(id), name, email]);
    let mut words: Vec<String> = told.flatten().chain(word.map(str::to_owned)).collect();
    words.sort_unstable();
    words.dedup();
    Ok(Person { tenant, ids, words })
}

/// Notes a request: from now on nothing of before is stored of this person.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn begin(db: &Db, new: &NewErasure) -> Result<(), StorageError> {
    let (tenant, range) = (new.tenant, new.range);
    let word = new.word.as_deref();
    let before = person(db, tenant, new.user_id, word).await?;
    let counts = traces::count(db, &before, range).await?;
    let key = ErasureKey::load(db.writes()).await?;
    let mut transaction = db.writes().begin().await?;
    lock_identities(&mut transaction, tenant).await?;
    let person = person_in(&mut transaction, tenant, new.user_id, word).await?;
    let change = changes::tell_writers(&mut transaction).await?;
    let canonical = person.ids.first().copied().unwrap_or(new.user_id);
    sqlx::query(
        "INSERT INTO erasure (erasure_id, tenant_id, mode, range_from, range_to, requested_at,
                              requested_by, subject, user_ids, words, new_id, salt, counts,
                              erased_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, gen_random_uuid(),
                 sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), $11, $6)",
    )
    .bind(new.id)
    .bind(tenant.0)
    .bind(new.mode.name())
    .bind(range.map(|range| range.from))
    .bind(range.map(|range| range.to))
    .bind(new.at)
    .bind(&new.by)
    .bind(key.subject(tenant, canonical).as_slice())
    .bind(&person.ids)
    .bind(&person.words)
    .bind(Counts::before(counts))
    .execute(&mut *transaction)
    .await?;
    let subjects: Vec<Vec<u8>> = person
        .ids
        .iter()
        .map(|id| key.subject(tenant, *id).to_vec())
        .collect();
    sqlx::query(
        "INSERT INTO erased_user (tenant_id, subject, erasure_id, until, range_from, range_to,
                                  number)
         SELECT $1, unnest($2::bytea[]), $3, $4, $5, $6, $7",
    )
    .bind(tenant.0)
    .bind(subjects)
    .bind(new.id)
    .bind(new.at)
    .bind(range.map(|range| range.from))
    .bind(range.map(|range| range.to))
    .bind(change)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Whoever changes the users of a tenant holds this until the transaction ends.
async fn lock_identities(
    transaction: &mut Transaction,
    tenant: TenantId,
) -> Result<(), StorageError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidewater identity'), $1)")
        .bind(tenant.0)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// As the table has it.
type Row = (
    Uuid,
    i32,
    String,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    Vec<Uuid>,
    Vec<String>,
    Uuid,
    Vec<u8>,
    i16,
);

/// Those that are not done, the oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn open(db: &Db) -> Result<Vec<Erasure>, StorageError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT erasure_id, tenant_id, mode, range_from, range_to, user_ids, words, new_id, salt,
                step
         FROM erasure WHERE finished_at IS NULL ORDER BY requested_at",
    )
    .fetch_all(db.writes())
    .await?;
    let erasure = |(id, tenant, mode, from, to, ids, words, new_id, salt, step): Row| Erasure {
        id,
        person: Person {
            tenant: TenantId(tenant),
            ids,
            words,
        },
        mode: Mode::of(&mode),
        range: Option::zip(from, to).map(|(from, to)| TimeRange { from, to }),
        step,
        new_id,
        salt,
    };
    Ok(rows.into_iter().map(erasure).collect())
}

/// Notes how many steps are done.
///
/// # Errors
/// When the database cannot be reached.
pub async fn advance(db: &Db, erasure: &mut Erasure, step: i16) -> Result<(), StorageError> {
    sqlx::query("UPDATE erasure SET step = $2, waits_for = NULL WHERE erasure_id = $1")
        .bind(erasure.id)
        .bind(step)
        .execute(db.writes())
        .await?;
    erasure.step = step;
    Ok(())
}

/// Notes what keeps it from going on.
///
/// # Errors
/// When the database cannot be reached.
pub async fn waits(db: &Db, id: Uuid, what: &str) -> Result<(), StorageError> {
    sqlx::query("UPDATE erasure SET waits_for = $2 WHERE erasure_id = $1")
        .bind(id)
        .bind(what)
        .execute(db.writes())
        .await?;
    Ok(())
}

/// Notes out of how many dead letters the person was taken.
///
/// # Errors
/// When the database cannot be reached.
pub async fn note_dead(db: &Db, id: Uuid, letters: u64) -> Result<(), StorageError> {
    sqlx::query("UPDATE erasure SET counts = counts || $2 WHERE erasure_id = $1")
        .bind(id)
        .bind(Counts::dead(letters))
        .execute(db.writes())
        .await?;
    Ok(())
}

/// Counts what is left, forgets whom it was about, and has every process forget its answers.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn finish(db: &Db, erasure: &Erasure, at: DateTime<Utc>) -> Result<(), StorageError> {
    let after = traces::count(db, &erasure.person, erasure.range).await?;
    let mut transaction = db.writes().begin().await?;
    sqlx::query("UPDATE idempotency_head SET erasures = erasures + 1")
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE erasure
         SET finished_at = $2, counts = $3 || counts, user_ids = NULL, words = NULL,
             new_id = NULL, salt = NULL, agents = '{}', months = '{}', waits_for = NULL
         WHERE erasure_id = $1",
    )
    .bind(erasure.id)
    .bind(at)
    .bind(Counts::after(after))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
