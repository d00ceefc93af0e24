//! Which question: a tenant, and a hash of all that it asks.

use std::fmt::{self, Debug, Write};

use xxhash_rust::xxh3::Xxh3;

use crate::domain::tenant::TenantId;

/// A question, or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose.
    pub(super) tenant: TenantId,
    hash: u128,
}

impl Key {
    /// The key of a question of this kind. All its fields must show in its `Debug`, which names
    /// and quotes them: so two questions never look alike, and a new field is never forgotten.
    #[must_use]
    pub fn of(tenant: TenantId, kind: &str, question: &impl Debug) -> Self {
        let mut hasher = Hasher(Xxh3::new());
        write!(hasher, "{kind}\n{}\n{question:?}", tenant.0).expect("hashing cannot fail");
        Self {
            tenant,
            hash: hasher.0.digest128(),
        }
    }
}

/// The name of it in Redis.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{:032x}", self.tenant.0, self.hash)
    }
}

struct Hasher(Xxh3);

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_differ_have_different_keys() {
        let key = |tenant, kind, texts: &[&str]| Key::of(TenantId(tenant), kind, &texts);
        let one = key(1, "sales", &["a", "b"]);
        assert_eq!(one, key(1, "sales", &["a", "b"]));
        for other in [
            key(2, "sales", &["a", "b"]),
            key(1, "traffic", &["a", "b"]),
            key(1, "sales", &["a\", \"b"]),
            key(1, "sales", &["a", "b", ""]),
        ] {
            assert_ne!(one, other);
        }
    }
}
