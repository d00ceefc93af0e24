//! What a server lets be asked, as it was set: introspection, suggestions, batches, documents.

use super::persisted::Manifest;
use crate::access::Identity;
use crate::config::GraphqlConfig;

/// The rules of a server.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether the schema may be asked for.
    pub introspection: bool,
    /// Whether errors name what may have been meant.
    pub suggestions: bool,
    /// How many requests a batch may have; 0: there are none.
    pub batch: usize,
    /// The documents that are known from the start.
    pub documents: Manifest,
    /// Whether those are all that may run, whichever key asks.
    persisted_only: bool,
}

impl Rules {
    /// As they are set.
    #[must_use]
    pub fn new(config: &GraphqlConfig, documents: Manifest) -> Self {
        Self {
            introspection: config.introspection(),
            suggestions: config.suggestions(),
            batch: config.batch.into(),
            documents,
            persisted_only: config.persisted_only,
        }
    }

    /// Whether this key may run listed documents alone.
    pub(super) fn is_bound(&self, identity: &Identity) -> bool {
        self.persisted_only || identity.is_persisted_only()
    }
}
