//! Operations that are open: subscriptions, and what else was asked over a socket or for events. Each
//! key may have a bounded number of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::access::{Access, Credentials, Identity};
use crate::error::{Code, Problem};

/// How many operations of a key a process keeps open.
const OF_KEY: usize = 256;

/// Counts open operations.
#[derive(Clone, Debug, Default)]
pub struct Operations(Arc<Mutex<HashMap<Uuid, usize>>>);

/// One that is open, until it is dropped.
#[derive(Debug)]
pub(super) struct Operation {
    key: Uuid,
    open: Operations,
}

impl Operations {
    /// One more of this key's, or [`Code::TooManyOperations`].
    pub(super) fn open(&self, identity: &Identity) -> Result<Operation, Problem> {
        let key = identity.key();
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
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

/// Who holds a key now; `was` while the database cannot say. Why not, if the key is no longer good, or
/// not for the same.
pub(super) async fn still(
    access: &Access,
    shown: &Credentials,
    was: &Arc<Identity>,
) -> Result<Arc<Identity>, Code> {
    match access.identify(shown).await {
        Ok(identity) if was.is_as_able_as(&identity) => Ok(identity),
        // What was begun was begun with what the key could do then.
        Ok(_) => Err(Code::RevokedKey),
        Err(problem) if problem.code.status() < 500 => Err(problem.code),
        Err(_) => Ok(Arc::clone(was)),
    }
}
