//! What this process knows of what changed: for each tenant the hours that did, and in which change
//! each did last.
//!
//! What it does not know it takes for changed: what was before its floor, and all of a tenant's
//! hours where they are too many to be told apart.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::dependency::DependsOn;
use crate::domain::tenant::TenantId;
use crate::storage::queries::changes::Look;

/// How many changes back is known at first.
pub(super) const BACK: i64 = 100_000;
/// How many hours one look may bring; if there are more, nothing is known of what was before it.
pub(super) const MAX_FOUND: u32 = 50_000;
/// How many hours of one tenant are told apart.
const MAX_OF_TENANT: usize = 50_000;
/// How many hours of all tenants.
const MAX_OF_ALL: usize = 400_000;

/// The changes.
#[derive(Debug)]
pub(super) struct Tail {
    /// Of which history, as the database tells; nothing before the first look.
    history: Option<String>,
    /// The same, counted.
    era: u64,
    /// What changed before is not known.
    floor: i64,
    /// Everything up to here is known.
    position: i64,
    /// When the last look began.
    looked: Instant,
    tenants: HashMap<TenantId, Hours>,
    /// How many hours there are in all.
    known: usize,
}

/// The hours of a tenant.
#[derive(Debug)]
struct Hours {
    latest: HashMap<i32, i64>,
    in_order: BTreeSet<(i64, i32)>,
    /// Every hour is taken for changed in this one.
    all: i64,
}

impl Default for Hours {
    fn default() -> Self {
        Self {
            latest: HashMap::new(),
            in_order: BTreeSet::new(),
            all: i64::MIN,
        }
    }
}

impl Tail {
    /// Knows nothing.
    pub(super) fn new() -> Self {
        Self {
            history: None,
            era: 0,
            floor: i64::MAX,
            position: 0,
            looked: Instant::now(),
            tenants: HashMap::new(),
            known: 0,
        }
    }

    pub(super) fn era(&self) -> u64 {
        self.era
    }

    pub(super) fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    pub(super) fn looked(&self) -> Instant {
        self.looked
    }

    /// Takes in what a look found that began then.
    pub(super) fn take(&mut self, look: Look, began: Instant) {
        let oldest = (look.last - BACK).max(0);
        let is_first = self.history.is_none();
        if is_first {
            self.floor = oldest;
        } else if self.history.as_ref() != Some(&look.history) || look.last < self.position {
            // What was found is of after a number of another history.
            self.era += 1;
            self.forget(look.last);
        } else if oldest > self.position {
            self.floor = oldest;
        }
        self.history = Some(look.history);
        self.looked = began;
        self.position = look.last;
        if look.changed.len() >= MAX_FOUND as usize {
            self.forget(look.last);
            return;
        }
        for change in look.changed {
            self.note(change.tenant, change.hour.0, change.number);
        }
        if self.known > MAX_OF_ALL {
            self.forget(look.last);
        }
    }

    fn forget(&mut self, floor: i64) {
        self.floor = floor;
        self.tenants.clear();
        self.known = 0;
    }

    fn note(&mut self, tenant: TenantId, hour: i32, number: i64) {
        let hours = self.tenants.entry(tenant).or_default();
        match hours.latest.insert(hour, number) {
            Some(before) => {
                hours.in_order.remove(&(before, hour));
            }
            None => self.known += 1,
        }
        hours.in_order.insert((number, hour));
        if hours.latest.len() > MAX_OF_TENANT {
            self.known -= hours.latest.len();
            let last = hours.in_order.last().map_or(number, |(last, _)| *last);
            *hours = Hours {
                all: last,
                ..Hours::default()
            };
        }
    }

    /// Whether it is known that nothing of this has changed after a number, up to the last look.
    pub(super) fn is_unchanged(
        &self,
        era: u64,
        tenant: TenantId,
        depends_on: &DependsOn,
        number: i64,
    ) -> bool {
        if era != self.era || number < self.floor {
            return false;
        }
        let Some(hours) = self.tenants.get(&tenant) else {
            return true;
        };
        if hours.all > number {
            return false;
        }
        let mut newer = hours.in_order.range((number + 1, i32::MIN)..);
        !newer.any(|(_, hour)| depends_on.has(*hour))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{Hour, TimeRange};
    use crate::storage::queries::changes::Change;

    const TENANT: TenantId = TenantId(1);

    fn look(last: i64, changed: &[(i32, i64)]) -> Look {
        let change = |&(hour, number): &(i32, i64)| Change {
            tenant: TENANT,
            hour: Hour(hour),
            number,
        };
        Look {
            history: "one".to_owned(),
            last,
            changed: changed.iter().map(change).collect(),
        }
    }

    /// The facts of some hours since 1970.
    fn hours(from: i64, to: i64) -> DependsOn {
        let at = |hour| chrono::DateTime::from_timestamp(hour * 3_600, 0).unwrap();
        DependsOn::range(TimeRange::new(at(from), at(to)).unwrap())
    }

    fn tail(looks: impl IntoIterator<Item = Look>) -> Tail {
        let mut tail = Tail::new();
        for look in looks {
            tail.take(look, Instant::now());
        }
        tail
    }

    #[test]
    fn what_is_not_known_is_taken_for_changed() {
        let all = DependsOn::everything();
        let is_unchanged =
            |tail: &Tail, number| tail.is_unchanged(tail.era(), TENANT, &all, number);
        assert!(!is_unchanged(&Tail::new(), 5));
        let tail = |looks: Vec<Look>| super::tests::tail(looks);
        assert!(is_unchanged(&tail(vec![look(5, &[])]), 0));
        let far = tail(vec![look(BACK + 5, &[])]);
        assert!(is_unchanged(&far, 5) && !is_unchanged(&far, 4));
        // A look that came too late to know all that was between.
        let late = tail(vec![look(5, &[]), look(BACK + 50, &[])]);
        assert!(is_unchanged(&late, 50) && !is_unchanged(&late, 49));
        // More than is looked at.
        let many: Vec<(i32, i64)> = (0..50_000).map(|hour| (hour, 6)).collect();
        let many = tail(vec![look(5, &[]), look(7, &many)]);
        assert!(is_unchanged(&many, 7) && !is_unchanged(&many, 6));
    }

    #[test]
    fn another_history_makes_all_before_unknown() {
        let mut other = look(9, &[(3, 9)]);
        other.history = "other".to_owned();
        let back = look(4, &[]);
        for second in [other, back] {
            let last = second.last;
            let mut tail = tail([look(5, &[])]);
            let era = tail.era();
            assert!(tail.is_unchanged(era, TENANT, &hours(0, 9), 5));
            tail.take(second, Instant::now());
            assert!(!tail.is_unchanged(era, TENANT, &hours(0, 9), 50));
            assert!(!tail.is_unchanged(tail.era(), TENANT, &hours(0, 9), last - 1));
            assert!(tail.is_unchanged(tail.era(), TENANT, &hours(0, 9), last));
        }
    }

    #[test]
    fn too_many_hours_of_a_tenant_are_all_changed() {
        let page = |from: i32, number: i64| {
            let changed: Vec<(i32, i64)> = (from..from + 40_000).map(|n| (n, number)).collect();
            look(number, &changed)
        };
        let tail = tail([
            look(0, &[]),
            page(0, 1),
            page(40_000, 2),
            look(3, &[(7, 3)]),
        ]);
        let is_unchanged = |tenant, number| {
            let somewhere = hours(700_000, 700_001);
            tail.is_unchanged(tail.era(), TenantId(tenant), &somewhere, number)
        };
        assert!(!is_unchanged(1, 1) && is_unchanged(1, 2));
        assert!(is_unchanged(2, 0));
    }

    proptest! {
        /// Against a list of all that ever changed.
        #[test]
        fn what_it_says_is_what_happened(
            looks in prop::collection::vec(prop::collection::vec((0..30_i32, 0..3_usize), 0..6), 1..12),
            from in 0..30_i64, length in 1..10_i64, number in 0..40_i64,
        ) {
            let (mut last, mut happened, mut tail) = (0, Vec::new(), tail([look(0, &[])]));
            for changes in looks {
                let mut found: HashMap<i32, i64> = HashMap::new();
                for (hour, more) in changes {
                    last += i64::try_from(more).unwrap();
                    happened.push((hour, last));
                    found.insert(hour, last);
                }
                let found: Vec<(i32, i64)> = found.into_iter().collect();
                tail.take(look(last, &found), Instant::now());
            }
            let within = |hour: i32| (from..from + length).contains(&i64::from(hour));
            let changed = happened.iter().any(|(hour, at)| within(*hour) && *at > number);
            let unchanged = tail.is_unchanged(0, TENANT, &hours(from, from + length), number);
            prop_assert_eq!(unchanged, !changed);
        }
    }
}
