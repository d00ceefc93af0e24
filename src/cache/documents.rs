//! Documents that clients ask by their hash: automatic persisted queries.

use std::sync::Arc;

use super::{Cache, Key};

/// How many bytes of documents this process keeps.
const BYTES: u64 = 4 * 1024 * 1024;
/// How large a document may be that is kept.
const LARGEST: usize = 64 * 1024;
/// What the map takes for each, about.
const OVERHEAD: usize = 200;

/// The documents of a process.
pub(super) struct Documents(moka::sync::Cache<Key, Arc<str>>);

impl Default for Documents {
    fn default() -> Self {
        let weigher =
            |_: &Key, text: &Arc<str>| u32::try_from(text.len() + OVERHEAD).unwrap_or(u32::MAX);
        let documents = moka::sync::Cache::builder();
        Self(documents.max_capacity(BYTES).weigher(weigher).build())
    }
}

impl Documents {
    /// Forgets them: one may name a person.
    pub(super) fn forget(&self) {
        self.0.invalidate_all();
    }
}

impl Cache {
    /// The document of this key, if somebody sent it.
    pub async fn document(&self, key: Key) -> Option<Arc<str>> {
        let inner = self.0.as_ref()?;
        if let Some(text) = inner.documents.0.get(&key) {
            return Some(text);
        }
        let text = inner.shared.as_ref()?.document(&key).await?;
        let text: Arc<str> = text.into();
        inner.documents.0.insert(key, Arc::clone(&text));
        Some(text)
    }

    /// Keeps a document, unless it is too large.
    pub async fn keep_document(&self, key: Key, text: &str) {
        let Some(inner) = &self.0 else { return };
        if text.len() > LARGEST || inner.documents.0.contains_key(&key) {
            return;
        }
        inner.documents.0.insert(key, text.into());
        if let Some(shared) = &inner.shared {
            shared.put_document(&key, text).await;
        }
    }
}
