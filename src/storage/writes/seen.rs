//! What a process remembers to be stored, until somebody takes away what is: then all of it is
//! forgotten, and nobody who began before remembers more.

use std::collections::HashSet;
use std::hash::Hash;

/// What is known to be stored.
#[derive(Debug)]
pub(super) struct Seen<T> {
    /// How often something was said, or taken away, that makes it another.
    version: i64,
    known: HashSet<T>,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self {
            version: 0,
            known: HashSet::new(),
        }
    }
}

impl<T: Eq + Hash> Seen<T> {
    /// What is known as of a version; nothing if a later one is known.
    pub(super) fn at(&mut self, version: i64) -> Option<&mut HashSet<T>> {
        if version > self.version {
            self.version = version;
            self.known.clear();
        }
        (version == self.version).then_some(&mut self.known)
    }
}
