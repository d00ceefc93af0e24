//! Exactly once: the ids that senders have used, as a log in the database and an index of it in
//! memory.
//!
//! A transaction that stores events appends its ids to the log as one row, under the lock of the
//! log's head. Whoever holds that lock and has read the log to its end knows every id of the
//! window, so the ids are looked up in memory alone:
//!
//! - the *open run*, the newest segments of the log, is a map from id to digest ([`memory`]);
//! - a *closed run* is sorted into pages ([`seal`]) and has a filter in memory, which says of most
//!   ids that the run lacks them; where it does not, the page is read ([`log`]).
//!
//! The facts are copied before the lock is taken, so it is held for the end of a transaction only.
//! What another process has stored in between is read under the lock; should one of our ids be
//! among it, the transaction is rolled back and begun again, knowing it.

mod filter;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod seal;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::domain::tenant::TenantId;

/// The bytes of an entry: tenant, id, digest.
pub(super) const ENTRY: usize = 28;
/// The bytes of an entry that name an event: tenant and id.
const KEY: usize = 20;

/// An id and what was stored under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    tenant: TenantId,
    id: Uuid,
    digest: i64,
}

impl Entry {
    pub(super) fn new(tenant: TenantId, id: Uuid, digest: i64) -> Self {
        Self { tenant, id, digest }
    }

    pub(super) fn digest(self) -> i64 {
        self.digest
    }

    fn key(self) -> [u8; KEY] {
        let mut key = [0; KEY];
        key[..4].copy_from_slice(&self.tenant.0.to_be_bytes());
        key[4..].copy_from_slice(self.id.as_bytes());
        key
    }

    fn name(self) -> Name {
        let hash = xxh3_128(&self.key());
        #[allow(clippy::cast_possible_truncation, reason = "its two halves")]
        Name((hash >> 64) as u64, hash as u64)
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key());
        out.extend_from_slice(&self.digest.to_be_bytes());
    }

    /// Reads what [`Entry::write`] wrote, one after the other.
    fn read_all(bytes: &[u8]) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        bytes.chunks_exact(ENTRY).map(|entry| {
            let part = |from: usize, to: usize| &entry[from..to];
            let fits = "a slice of the array's length";
            Self {
                tenant: TenantId(i32::from_be_bytes(part(0, 4).try_into().expect(fits))),
                id: Uuid::from_bytes(part(4, KEY).try_into().expect(fits)),
                digest: i64::from_be_bytes(part(KEY, ENTRY).try_into().expect(fits)),
            }
        })
    }
}

/// Stands for tenant and id: 128 bits of their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name(u64, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let entries = [
            Entry::new(TenantId(1), Uuid::from_u128(7), -5),
            Entry::new(TenantId(i32::MAX), Uuid::max(), i64::MAX),
        ];
        let mut bytes = Vec::new();
        for entry in entries {
            entry.write(&mut bytes);
        }
        assert_eq!(bytes.len(), 2 * ENTRY);
        assert!(Entry::read_all(&bytes).eq(entries));
    }

    #[test]
    fn an_id_of_two_tenants_has_two_names() {
        let name = |tenant| Entry::new(TenantId(tenant), Uuid::nil(), 0).name();
        assert_ne!(name(1), name(2));
        assert_eq!(name(1), name(1));
    }
}
