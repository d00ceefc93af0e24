//! Who was erased: whatever is of before that is not stored again, by whichever way it comes, be it
//! a stream, a sender's second attempt, a file or quarantine.
//!
//! What is kept of a person is a keyed hash. Without the key, which is the installation's, it tells
//! nothing; with it, it tells of an id whether it is this one, which is what it is for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, PgPool};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::batch::{Batch, Held};
use crate::domain::event::Event;
use crate::domain::person::named_by;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What is kept of an id.
pub(super) type Subject = [u8; 32];

/// Hashes ids as they are kept.
#[derive(Clone, Default)]
pub(super) struct ErasureKey(Vec<u8>);

impl ErasureKey {
    pub(super) async fn load(pool: &PgPool) -> Result<Self, StorageError> {
        let key = sqlx::query_scalar("SELECT erasure_key FROM installation");
        Ok(Self(key.fetch_one(pool).await?))
    }

    pub(super) fn subject(&self, tenant: TenantId, user: Uuid) -> Subject {
        let mut hash = Sha256::new();
        hash.update(&self.0);
        hash.update(tenant.0.to_be_bytes());
        hash.update(user.as_bytes());
        hash.finalize().into()
    }
}

/// Of which facts of a user nothing may be stored.
#[derive(Clone, Copy, Debug)]
struct Cut {
    until: DateTime<Utc>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Cut {
    fn has(&self, happened: DateTime<Utc>, received: DateTime<Utc>) -> bool {
        (happened <= self.until || received <= self.until)
            && self.from.is_none_or(|from| happened >= from)
            && self.to.is_none_or(|to| happened < to)
    }
}

/// Everybody who was erased, as far as this process has read.
#[derive(Clone, Default)]
pub(super) struct Erased {
    key: ErasureKey,
    /// The last change that is in it.
    number: i64,
    tenants: HashSet<TenantId>,
    users: HashMap<(TenantId, Subject), HashMap<Uuid, Cut>>,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Erased")
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// As the table has it.
type Row = (
    i32,
    Vec<u8>,
    Uuid,
    DateTime<Utc>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    i64,
);

impl Erased {
    /// Reads what is new since `before`.
    pub(super) async fn load(pool: &PgPool, before: Arc<Self>) -> Result<Arc<Self>, StorageError> {
        // What was written with the last change that is known is read twice.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT tenant_id, subject, erasure_id, until, range_from, range_to, number
             FROM erased_user WHERE number >= $1",
        )
        .bind(before.number)
        .fetch_all(pool)
        .await?;
        if rows.is_empty() {
            return Ok(before);
        }
        let mut after = before;
        let erased = Arc::make_mut(&mut after);
        if erased.key.0.is_empty() {
            erased.key = ErasureKey::load(pool).await?;
        }
        for (tenant, subject, erasure, until, from, to, number) in rows {
            let tenant = TenantId(tenant);
            let Ok(subject) = Subject::try_from(subject) else {
                continue;
            };
            erased.number = erased.number.max(number);
            erased.tenants.insert(tenant);
            let cuts = erased.users.entry((tenant, subject)).or_default();
            cuts.insert(erasure, Cut { until, from, to });
        }
        Ok(after)
    }

    /// Whether an event is of before its user was erased, or before one whom it makes its user one
    /// with.
    pub(super) fn has(&self, batch: &Batch, event: &Event) -> bool {
        if !self.tenants.contains(&batch.tenant) {
            return false;
        }
        let other = event.link.as_ref().map(|link| link.user_id);
        let mut users = std::iter::once(event.user.id).chain(other);
        users.any(|user| self.is_cut(batch, user, event.timestamp))
    }

    /// The same of an event that is held.
    pub(super) fn has_held(&self, batch: &Batch, held: &Held) -> bool {
        if !self.tenants.contains(&batch.tenant) {
            return false;
        }
        let users = named_by(batch.tenant, &held.payload);
        let at = batch.received_at;
        users.into_iter().any(|user| self.is_cut(batch, user, at))
    }

    fn is_cut(&self, batch: &Batch, user: Uuid, happened: DateTime<Utc>) -> bool {
        let subject = self.key.subject(batch.tenant, user);
        let cuts = self.users.get(&(batch.tenant, subject));
        cuts.is_some_and(|cuts| {
            let mut cuts = cuts.values();
            cuts.any(|cut| cut.has(happened, batch.received_at))
        })
    }
}
