//! Operations that are open: subscriptions, and what else was asked over a socket or for events. Each
//! key may have a bounded number of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::access::{Access, Identity};
use crate::error::{Code, Problem};

/// How many operations of a key a process keeps open.
const OF_KEY: usize = 256;

type Hash = [u8; 32];

/// Counts open operations.
#[derive(Clone, Debug, Default)]
pub struct Operations(Arc<Mutex<HashMap<Hash, usize>>>);

/// One that is open, until it is dropped.
#[derive(Debug)]
pub(super) struct Operation {
    key: Hash,
    open: Operations,
}

impl Operations {
    /// One more of this key's, or [`Code::TooManyOperations`].
    pub(super) fn open(&self, key: &str) -> Result<Operation, Problem> {
        let key = Sha256::digest(key.as_bytes()).into();
        let mut all = self.lock();
        let open = all.entry(key).or_default();
        if *open >= OF_KEY {
            return Err(Code::TooManyOperations.into());
        }
        *open += 1;
        drop(all);
        Ok(Operation {
            key,
            open: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let mut all = self.open.lock();
        if let Some(open) = all.get_mut(&self.key) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.key);
            }
        }
    }
}

/// Who holds a key now; `was` while the database cannot say. Nobody if the key is no longer good.
pub(super) async fn still(
    access: &Access,
    key: &str,
    was: &Arc<Identity>,
) -> Option<Arc<Identity>> {
    match access.identify(key).await {
        Ok(identity) => Some(identity),
        Err(problem) if matches!(problem.code.status(), 401 | 403) => None,
        Err(_) => Some(Arc::clone(was)),
    }
}
