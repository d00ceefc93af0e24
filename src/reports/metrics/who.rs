//! Who is who: sets of users' numbers know nothing of ids that turned out to be somebody else's.
//! Which those are is kept here, and brought up to date with each question that needs it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::domain::summary::visits::Who;
use crate::domain::tenant::TenantId;
use crate::storage::queries::summaries::{Alias, Known, aliases, known};
use crate::storage::{Snapshot, StorageError};

/// Of how many tenants it is kept.
const TENANTS: usize = 64;

/// What is known of each tenant.
#[derive(Debug, Default)]
pub(in crate::reports) struct WhoIsWho(Mutex<HashMap<TenantId, Arc<Aliases>>>);

/// The numbered users of a tenant that are others.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    known: Known,
    aliased: RoaringBitmap,
    canonical: HashMap<u32, Who>,
    /// When each became somebody else's; for each change its numbers.
    changes: Vec<(i64, u32)>,
}

/// Users, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    pub(super) numbers: RoaringBitmap,
    /// Those who have no number.
    pub(super) ids: HashSet<Uuid>,
}

impl Users {
    pub(super) fn add(&mut self, other: &Self) {
        self.numbers |= &other.numbers;
        self.ids.extend(&other.ids);
    }

    pub(super) fn without(&mut self, other: &Self) {
        self.numbers -= &other.numbers;
        self.ids.retain(|id| !other.ids.contains(id));
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.numbers &= &other.numbers;
        self.ids.retain(|id| other.ids.contains(id));
    }

    pub(super) fn count(&self) -> i128 {
        i128::from(self.numbers.len()) + self.ids.len() as i128
    }
}

impl WhoIsWho {
    /// What a snapshot knows of a tenant's users, or more: another question may have seen a later
    /// one. Then some facts of this one are told by what was learnt since of who did them. But for
    /// numbers that it has not: its facts have ids there.
    pub(super) async fn of(
        &self,
        snapshot: &Snapshot,
        tenant: TenantId,
    ) -> Result<Arc<Aliases>, StorageError> {
        let before = self.lock().get(&tenant).cloned().unwrap_or_default();
        let now = known(&**snapshot, tenant).await?;
        if now.number < before.known.number {
            let all = aliases(&**snapshot, tenant, Known::default()).await?;
            let mut then = Aliases::default();
            then.learn(now, all);
            return Ok(Arc::new(then));
        }
        if now.change <= before.known.change && now.number == before.known.number {
            return Ok(before);
        }
        let news = aliases(&**snapshot, tenant, before.known).await?;
        let mut after = before;
        Arc::make_mut(&mut after).learn(now, news);
        let mut all = self.lock();
        if all.len() >= TENANTS {
            all.clear();
        }
        all.insert(tenant, Arc::clone(&after));
        Ok(after)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Aliases>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aliases {
    fn learn(&mut self, now: Known, news: Vec<Alias>) {
        let number = |number: i32| u32::try_from(number).unwrap_or_default();
        for alias in news {
            let own = number(alias.number);
            let canonical = match alias.canonical {
                Some(canonical) => Who::Number(number(canonical)),
                None => Who::Id(alias.canonical_id),
            };
            self.changes.push((alias.change, own));
            if canonical == Who::Number(own) {
                self.aliased.remove(own);
                self.canonical.remove(&own);
            } else {
                self.aliased.insert(own);
                self.canonical.insert(own, canonical);
            }
        }
        self.changes.sort_unstable();
        self.changes.dedup();
        self.known.change = self.known.change.max(now.change);
        self.known.number = self.known.number.max(now.number);
    }

    /// Puts in each one's place who they are.
    pub(super) fn resolve(&self, users: &mut Users) {
        for number in &users.numbers & &self.aliased {
            users.numbers.remove(number);
            match self.canonical[&number] {
                Who::Number(canonical) => {
                    users.numbers.insert(canonical);
                }
                Who::Id(id) => {
                    users.ids.insert(id);
                }
            }
        }
    }

    /// Who a number is.
    pub(super) fn who(&self, number: u32) -> Who {
        *self.canonical.get(&number).unwrap_or(&Who::Number(number))
    }

    /// Who became somebody else's after a change, the last one first.
    pub(super) fn since(&self, change: i64) -> impl Iterator<Item = (i64, u32)> {
        let later = self.changes.iter().rev().copied();
        later.take_while(move |(at, _)| *at > change)
    }
}
