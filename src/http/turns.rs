//! Turns: how many streams are open at a time, of all and of one tenant or one address.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Code, Problem};

/// Gives turns, a bounded number at a time.
#[derive(Clone, Debug)]
pub(super) struct Turns<K> {
    free: Arc<Semaphore>,
    taken_by: Arc<Mutex<HashMap<K, usize>>>,
    most_of_one: usize,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<K: Eq + Hash> {
    whose: K,
    taken_by: Arc<Mutex<HashMap<K, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// So many at a time, and so many of one.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            taken_by: Arc::default(),
            most_of_one,
        }
    }

    /// A turn, or [`Code::Overloaded`] at once.
    pub(super) fn take(&self, whose: K) -> Result<Turn<K>, Problem> {
        let place = Arc::clone(&self.free).try_acquire_owned();
        let place = place.map_err(|_| Code::Overloaded)?;
        let mut taken_by = lock(&self.taken_by);
        let taken = taken_by.entry(whose).or_default();
        if *taken == self.most_of_one {
            return Err(Code::Overloaded.into());
        }
        *taken += 1;
        Ok(Turn {
            whose,
            taken_by: Arc::clone(&self.taken_by),
            _place: place,
        })
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut taken_by = lock(&self.taken_by);
        if let Some(taken) = taken_by.get_mut(&self.whose) {
            *taken -= 1;
            if *taken == 0 {
                taken_by.remove(&self.whose);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
