//! Stores who was there on which day, skipping what this process knows to be stored. Distinct
//! users do not add up; these rows are what they are counted over.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use sea_orm::sqlx;
use uuid::Uuid;

use super::{Incoming, Transaction};
use crate::domain::event::OrderKind;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// How many users a process remembers before it starts anew.
const MEMORY: usize = 500_000;

/// Did something.
const SEEN: i16 = 1;
/// Viewed a page.
const VIEWED: i16 = 2;
/// Bought.
const BOUGHT: i16 = 4;
/// Did something as a bot, which the others leave out.
const BOT: i16 = 128;

/// The latest day of each user and what is stored of it, as far as this process has seen.
#[derive(Debug, Default)]
pub(super) struct SeenDays(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// How often something had been said of user agents: each time, days are changed that are
    /// stored.
    version: i64,
    days: HashMap<Uuid, (NaiveDate, i16)>,
}

impl Seen {
    /// What is known as of a version; nothing if another one is known.
    fn at(&mut self, version: i64) -> Option<&mut HashMap<Uuid, (NaiveDate, i16)>> {
        if version > self.version {
            self.version = version;
            self.days.clear();
        }
        (version == self.version).then_some(&mut self.days)
    }
}

/// Days to store, by key.
pub(super) type NewDays = BTreeMap<(TenantId, NaiveDate, Uuid), i16>;

fn activity(incoming: &Incoming<'_>) -> i16 {
    let event = incoming.event;
    if incoming.bot {
        return BOT;
    }
    let bought = matches!(&event.order, Some(order) if order.kind == OrderKind::Purchase);
    let viewed = event.page_url.is_some();
    SEEN | if viewed { VIEWED } else { 0 } | if bought { BOUGHT } else { 0 }
}

impl SeenDays {
    /// What of a batch is not known to be stored.
    pub(super) fn unseen(&self, version: i64, batch: &[Incoming<'_>]) -> NewDays {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.at(version);
        let mut days = NewDays::new();
        for incoming in batch {
            let (day, activity) = (incoming.day(), activity(incoming));
            let user = incoming.event.user.id;
            let known = seen.as_ref().and_then(|seen| seen.get(&user));
            let is_known = known.is_some_and(|(known_day, known)| {
                *known_day == day && known & activity == activity
            });
            if !is_known {
                *days.entry((incoming.tenant(), day, user)).or_default() |= activity;
            }
        }
        days
    }

    /// Remembers days that are committed.
    pub(super) fn remember(&self, version: i64, days: &NewDays) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.at(version) else {
            return;
        };
        if seen.len() + days.len() > MEMORY {
            seen.clear();
        }
        for ((_, day, user), activity) in days {
            let (known_day, known) = seen.entry(*user).or_insert((*day, 0));
            if day > known_day {
                (*known_day, *known) = (*day, *activity);
            } else if day == known_day {
                *known |= activity;
            }
        }
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

/// Adds what users did to their days.
pub(super) async fn store(
    transaction: &mut Transaction,
    days: &NewDays,
) -> Result<(), StorageError> {
    if days.is_empty() {
        return Ok(());
    }
    let tenants: Vec<i32> = days.keys().map(|(tenant, ..)| tenant.0).collect();
    let dates: Vec<NaiveDate> = days.keys().map(|(_, day, _)| *day).collect();
    let users: Vec<Uuid> = days.keys().map(|(.., user)| *user).collect();
    let activities: Vec<i16> = days.values().copied().collect();
    sqlx::query(
        "INSERT INTO user_day AS known (tenant_id, day, user_id, activity)
         SELECT * FROM unnest($1::integer[], $2::date[], $3::uuid[], $4::smallint[])
         ON CONFLICT (tenant_id, day, user_id) DO UPDATE
         SET activity = known.activity | excluded.activity
         WHERE known.activity & excluded.activity <> excluded.activity",
    )
    .bind(tenants)
    .bind(dates)
    .bind(users)
    .bind(activities)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
