//! What this process knows of the log: the open run as a map, closed runs as filters, and the ids
//! that its own transactions are about to claim.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::filter::Filter;
use super::log::Segment;
use super::{Entry, Name};

/// Ids by run; lookups take the first run that has the id.
#[derive(Debug, Default)]
pub(in crate::storage) struct Ids {
    known: Mutex<Known>,
    /// Told whenever a reservation ends.
    ended: Notify,
}

/// A name is a hash: it needs no other.
#[derive(Debug, Default)]
pub(super) struct FirstHalf(u64);

impl Hasher for FirstHalf {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, half: u64) {
        // The first half is written first; the second changes nothing.
        if self.0 == 0 {
            self.0 = half;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) type Digests = HashMap<Name, i64, BuildHasherDefault<FirstHalf>>;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether the log was read at all.
    pub(super) loaded: bool,
    /// How often all was forgotten.
    pub(super) epoch: u64,
    /// How often a map was given up for a filter.
    sealings: u64,
    /// The newest segment that was read.
    pub(super) seq: i64,
    /// The run that was open then.
    pub(super) run: i32,
    /// Runs that are not sealed, by number; the open one among them.
    pub(super) unsealed: BTreeMap<i32, Digests>,
    /// Runs that are.
    pub(super) sealed: BTreeMap<i32, Sealed>,
    /// Claimed by transactions of this process that have not ended.
    in_flight: HashSet<Name, BuildHasherDefault<FirstHalf>>,
}

/// A run that is sealed. After a fail-over another one may have its number, but not its time.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) closed_at: DateTime<Utc>,
    filter: Arc<Filter>,
}

impl Known {
    /// Adds a segment of the log.
    pub(super) fn absorb(&mut self, seq: i64, run: i32, entries: impl Iterator<Item = Entry>) {
        self.seq = self.seq.max(seq);
        if self.sealed.contains_key(&run) {
            return;
        }
        let digests = self.unsealed.entry(run).or_default();
        for entry in entries {
            digests.entry(entry.name()).or_insert(entry.digest);
        }
    }

    /// Keeps a filter in the place of a run's map.
    pub(super) fn seal(&mut self, run: i32, closed_at: DateTime<Utc>, filter: Filter) {
        let filter = Arc::new(filter);
        self.unsealed.remove(&run);
        self.sealed.insert(run, Sealed { closed_at, filter });
        self.sealings += 1;
    }

    fn digest(&self, name: Name) -> Option<i64> {
        let found = |digests: &Digests| digests.get(&name).copied();
        self.unsealed.values().rev().find_map(found)
    }
}

/// What memory says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Verdict {
    /// Nobody has it: it is reserved for the transaction that asked.
    Free,
    /// It is taken, with this digest.
    Taken(i64),
}

/// Ids that a transaction is about to claim; until it is dropped no other transaction of this
/// process gets them.
#[derive(Debug)]
pub(in crate::storage) struct Reservation<'a> {
    ids: &'a Ids,
    names: Vec<Name>,
    /// What had been sealed when they were free.
    sealings: u64,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut known = self.ids.lock();
        for name in &self.names {
            known.in_flight.remove(name);
        }
        drop(known);
        self.ids.ended.notify_waiters();
    }
}

/// An id that a sealed run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspicion {
    /// Which of the entries that were asked for.
    pub(super) entry: usize,
    pub(super) run: i32,
}

/// What pages say of entries.
#[derive(Debug, Default)]
pub(super) struct Paged {
    /// The digests that were found, by the place of their entry.
    pub(super) digests: HashMap<usize, i64>,
    /// What had been sealed when it was decided which pages to read.
    pub(super) sealings: u64,
}

enum Try<'a> {
    Reserved((Reservation<'a>, Vec<Verdict>)),
    InFlight,
    Stale,
}

impl Ids {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what cannot be told from what another database would say, for when this one turned
    /// out to be another. Filters are large and never change: those that are still true are kept
    /// when the log is read again, and until then they only suspect too much.
    pub(in crate::storage) fn forget(&self) {
        let mut known = self.lock();
        *known = Known {
            in_flight: std::mem::take(&mut known.in_flight),
            sealed: std::mem::take(&mut known.sealed),
            epoch: known.epoch + 1,
            sealings: known.sealings,
            ..Known::default()
        };
    }

    /// Where a look into pages is needed: the ids that no unsealed run has, but a filter knows. And
    /// what was sealed by then.
    pub(super) fn suspicions(&self, entries: &[Entry]) -> (Vec<Suspicion>, u64) {
        let (filters, open, sealings) = {
            let known = self.lock();
            let filter = |(run, sealed): (&i32, &Sealed)| (*run, Arc::clone(&sealed.filter));
            let filters: Vec<(i32, Arc<Filter>)> = known.sealed.iter().map(filter).collect();
            let names = entries.iter().map(|entry| entry.name()).enumerate();
            let is_open = |(_, name): &(usize, Name)| known.digest(*name).is_none();
            let open: Vec<(usize, Name)> = if filters.is_empty() {
                Vec::new()
            } else {
                names.filter(is_open).collect()
            };
            (filters, open, known.sealings)
        };
        // A filter has some megabytes: all ids with one, then all with the next, keeps it at hand.
        let mut all = Vec::new();
        for (run, filter) in filters {
            let suspected = open.iter().filter(|(_, name)| filter.may_have(*name));
            all.extend(suspected.map(|&(entry, _)| Suspicion { entry, run }));
        }
        (all, sealings)
    }

    /// Reserves what is free; of several events with one id the first gets it. Waits while another
    /// transaction of this process is claiming one of the ids, for what becomes of it decides.
    /// Nothing if something was sealed since the pages were read: they are to be read again.
    pub(super) async fn reserve(
        &self,
        entries: &[Entry],
        paged: &Paged,
    ) -> Option<(Reservation<'_>, Vec<Verdict>)> {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            match self.try_reserve(entries, paged) {
                Try::Reserved(reserved) => return Some(reserved),
                Try::Stale => return None,
                Try::InFlight => ended.await,
            }
        }
    }

    fn try_reserve(&self, entries: &[Entry], paged: &Paged) -> Try<'_> {
        let mut known = self.lock();
        if known.sealings != paged.sealings {
            return Try::Stale;
        }
        let names: Vec<Name> = entries.iter().map(|entry| entry.name()).collect();
        if !known.in_flight.is_empty() && names.iter().any(|name| known.in_flight.contains(name)) {
            return Try::InFlight;
        }
        let mut own =
            Digests::with_capacity_and_hasher(entries.len(), BuildHasherDefault::default());
        let mut verdicts = Vec::with_capacity(entries.len());
        for (n, (entry, name)) in entries.iter().zip(names).enumerate() {
            let taken = known
                .digest(name)
                .or_else(|| paged.digests.get(&n).copied());
            let verdict = match taken.or_else(|| own.get(&name).copied()) {
                Some(digest) => Verdict::Taken(digest),
                None => {
                    own.insert(name, entry.digest);
                    Verdict::Free
                }
            };
            verdicts.push(verdict);
        }
        known.in_flight.extend(own.keys());
        let reservation = Reservation {
            ids: self,
            names: own.into_keys().collect(),
            sealings: known.sealings,
        };
        Try::Reserved((reservation, verdicts))
    }

    /// Whether a segment that others have appended holds an id that is reserved here, or may have:
    /// what was sealed since is in no map.
    pub(super) fn collides(&self, reservation: &Reservation<'_>) -> bool {
        let known = self.lock();
        let is_known = |name: &Name| known.digest(*name).is_some();
        known.sealings != reservation.sealings || reservation.names.iter().any(is_known)
    }

    /// Takes in what a transaction of this process has committed.
    pub(in crate::storage) fn commit(&self, segment: &Segment, entries: &[Entry]) {
        let mut known = self.lock();
        // What was appended in between, or forgotten, is read from the log.
        if known.loaded && known.seq + 1 == segment.seq {
            known.absorb(segment.seq, segment.run, entries.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tenant::TenantId;
    use futures_util::FutureExt;
    use uuid::Uuid;

    fn entry(id: u128, digest: i64) -> Entry {
        Entry::new(TenantId(1), Uuid::from_u128(id), digest)
    }

    fn segment(seq: i64) -> Segment {
        Segment {
            seq,
            run: 0,
            transaction_id: 0,
            classifications: 0,
            change: 0,
        }
    }

    async fn reserve<'a>(ids: &'a Ids, entries: &[Entry]) -> (Reservation<'a>, Vec<Verdict>) {
        ids.reserve(entries, &Paged::default()).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_of_one_id_gets_it_within_a_batch_and_after_it() {
        let ids = Ids::default();
        let (_, verdicts) = reserve(&ids, &[entry(1, 10), entry(1, 11), entry(2, 20)]).await;
        assert_eq!(verdicts, [Verdict::Free, Verdict::Taken(10), Verdict::Free]);
        ids.lock().loaded = true;
        ids.commit(&segment(1), &[entry(1, 10), entry(2, 20)]);
        let (_, verdicts) = reserve(&ids, &[entry(2, 21), entry(3, 30)]).await;
        assert_eq!(verdicts, [Verdict::Taken(20), Verdict::Free]);
    }

    #[tokio::test]
    async fn who_asks_for_an_id_that_is_being_claimed_waits_for_what_becomes_of_it() {
        let ids = Ids::default();
        let (first, _) = reserve(&ids, &[entry(1, 10)]).await;
        let same = [entry(1, 10), entry(2, 20)];
        let mut second = Box::pin(reserve(&ids, &same));
        assert!((&mut second).now_or_never().is_none());
        // Another id is free meanwhile.
        assert!(reserve(&ids, &[entry(3, 30)]).now_or_never().is_some());
        ids.lock().loaded = true;
        ids.commit(&segment(1), &[entry(1, 10)]);
        drop(first);
        assert_eq!(second.await.1, [Verdict::Taken(10), Verdict::Free]);
    }

    #[tokio::test]
    async fn what_was_rolled_back_is_free_again() {
        let ids = Ids::default();
        drop(reserve(&ids, &[entry(1, 10)]).await);
        assert_eq!(reserve(&ids, &[entry(1, 11)]).await.1, [Verdict::Free]);
    }

    #[test]
    fn a_filter_suspects_what_its_run_has_and_hardly_anything_else() {
        let ids = Ids::default();
        let inside: Vec<Entry> = (0..10_000).map(|id| entry(id, 0)).collect();
        let filter = Filter::of(inside.iter().map(|entry| entry.name())).unwrap();
        ids.lock().seal(4, DateTime::UNIX_EPOCH, filter);
        assert_eq!(ids.suspicions(&inside).0.len(), inside.len());
        let outside: Vec<Entry> = (10_000..110_000).map(|id| entry(id, 0)).collect();
        assert!(ids.suspicions(&outside).0.len() < 20);
    }

    #[tokio::test]
    async fn what_is_sealed_while_ids_are_reserved_may_have_them() {
        let ids = Ids::default();
        let (reservation, _) = reserve(&ids, &[entry(1, 10)]).await;
        assert!(!ids.collides(&reservation));
        let filter = Filter::of([entry(1, 11).name()].into_iter()).unwrap();
        ids.lock().seal(0, DateTime::UNIX_EPOCH, filter);
        assert!(ids.collides(&reservation));
    }
}
