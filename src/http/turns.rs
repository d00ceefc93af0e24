//! Turns: how many streams are open at a time, of all and of one tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};

/// Gives turns, a bounded number at a time.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    taken_by: Arc<Mutex<HashMap<TenantId, usize>>>,
    most_of_tenant: usize,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    tenant: TenantId,
    taken_by: Arc<Mutex<HashMap<TenantId, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at a time, and so many of one tenant.
    pub(super) fn new(most: usize, most_of_tenant: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            taken_by: Arc::default(),
            most_of_tenant,
        }
    }

    /// A turn, or [`Code::Overloaded`] at once.
    pub(super) fn take(&self, tenant: TenantId) -> Result<Turn, Problem> {
        let place = Arc::clone(&self.free).try_acquire_owned();
        let place = place.map_err(|_| Code::Overloaded)?;
        let mut taken_by = lock(&self.taken_by);
        let taken = taken_by.entry(tenant).or_default();
        if *taken == self.most_of_tenant {
            return Err(Code::Overloaded.into());
        }
        *taken += 1;
        Ok(Turn {
            tenant,
            taken_by: Arc::clone(&self.taken_by),
            _place: place,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken_by = lock(&self.taken_by);
        if let Some(taken) = taken_by.get_mut(&self.tenant) {
            *taken -= 1;
            if *taken == 0 {
                taken_by.remove(&self.tenant);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
