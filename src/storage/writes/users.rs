//! Stores the users of a batch, skipping those that this process knows to be stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sea_orm::sqlx;
use uuid::Uuid;

use super::seen::Seen;
use super::{Incoming, Transaction};
use crate::domain::event::{Link, UserRef};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// How many users a process remembers (16 bytes and some each) before it starts anew.
const MEMORY: usize = 500_000;

/// The users that are stored, as far as this process has seen.
#[derive(Debug, Default)]
pub(super) struct SeenUsers(Mutex<Seen<Uuid>>);

/// Users to store, by key; of several events of one user, the later one's traits count.
pub(super) type NewUsers = BTreeMap<(TenantId, Uuid), UserRef>;

impl SeenUsers {
    /// The users of a batch that are not known to be stored, or of whom it tells something new.
    pub(super) fn unseen(&self, version: i64, batch: &[Incoming<'_>]) -> NewUsers {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.at(version);
        let is_seen = |id: &Uuid| seen.as_ref().is_some_and(|seen| seen.contains(id));
        let mut users = NewUsers::new();
        for incoming in batch {
            if let Some(link) = &incoming.event.link
                && !is_seen(&link.user_id)
            {
                users
                    .entry((incoming.tenant(), link.user_id))
                    .or_insert_with(|| other(link));
            }
            let user = &incoming.event.user;
            let has_traits = user.username.is_some() || user.email.is_some();
            if is_seen(&user.id) && !has_traits {
                continue;
            }
            users
                .entry((incoming.tenant(), user.id))
                .and_modify(|known| {
                    known.username = user.username.clone().or(known.username.take());
                    known.email = user.email.clone().or(known.email.take());
                })
                .or_insert_with(|| user.clone());
        }
        users
    }

    /// Remembers users that are committed.
    pub(super) fn remember(&self, version: i64, users: &NewUsers) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.at(version) else {
            return;
        };
        if seen.len() + users.len() > MEMORY {
            seen.clear();
        }
        seen.extend(users.keys().map(|(_, id)| *id));
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

/// The other id of a link as a user: it may have done nothing else.
fn other(link: &Link) -> UserRef {
    UserRef {
        id: link.user_id,
        external_id: link.external_id.clone(),
        anonymous: link.anonymous,
        username: None,
        email: None,
    }
}

/// Inserts users and adds what is newly known of those that are there.
pub(super) async fn store(
    transaction: &mut Transaction,
    users: &NewUsers,
) -> Result<(), StorageError> {
    if users.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&UserRef) -> Option<String>| users.values().map(value).collect();
    let some_traits = users
        .values()
        .any(|user| user.username.is_some() || user.email.is_some());
    let tenants: Vec<i32> = users.keys().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<Uuid> = users.keys().map(|(_, id)| *id).collect();
    let external_ids: Vec<Option<String>> = column(|user| Some(user.external_id.clone()));
    let anonymous: Vec<bool> = users.values().map(|user| user.anonymous).collect();
    let usernames: Vec<Option<String>> = column(|user| user.username.clone());
    let emails: Vec<Option<String>> = column(|user| user.email.clone());
    sqlx::query(
        r#"INSERT INTO "user" AS known (tenant_id, user_id, external_id, anonymous, username, email)
           SELECT * FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::boolean[], $5::text[], $6::text[])
           ON CONFLICT (tenant_id, user_id) DO UPDATE
           SET username = coalesce(excluded.username, known.username),
               email = coalesce(excluded.email, known.email)
           WHERE excluded.username IS NOT NULL OR excluded.email IS NOT NULL"#,
    )
    .bind(&tenants)
    .bind(&ids)
    .bind(external_ids)
    .bind(anonymous)
    .bind(&usernames)
    .bind(&emails)
    .execute(&mut **transaction)
    .await?;
    if some_traits {
        // What is said of one of a user's ids is said of the user.
        sqlx::query(
            r#"UPDATE "user" AS known
               SET username = coalesce(sent.username, known.username),
                   email = coalesce(sent.email, known.email)
               FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::text[])
                        AS sent (tenant_id, user_id, username, email)
               JOIN user_alias USING (tenant_id, user_id)
               WHERE (sent.username IS NOT NULL OR sent.email IS NOT NULL)
                     AND known.tenant_id = sent.tenant_id
                     AND known.user_id = user_alias.canonical_id"#,
        )
        .bind(tenants)
        .bind(ids)
        .bind(usernames)
        .bind(emails)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
