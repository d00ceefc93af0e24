//! One at a time: who asks what is being asked already waits for that answer.
//!
//! Who comes first leads: the others wait for the seat. If the one who leads goes away, what they
//! asked ends with them, and the next takes the seat and asks anew. So nothing is asked that nobody
//! waits for, and nobody loses an answer by another's going.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::entry::Entry;
use super::key::Key;
use crate::error::Problem;

/// How many flights there may be before those that are over are swept out.
const SWEEP: usize = 256;

/// What became of a flight.
pub(super) type Landed = Result<Arc<Entry>, Problem>;

/// One of them: nothing until it has landed. Whoever holds the lock leads.
pub(super) type Flight = tokio::sync::Mutex<Option<Landed>>;

/// A question, and whether only the primary may answer it.
type Route = (Key, bool);

/// Those under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Route, Weak<Flight>>>);

impl Flights {
    /// The flight under way, or a new one.
    pub(super) fn join(&self, route: Route) -> Arc<Flight> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&route).and_then(Weak::upgrade) {
            return flight;
        }
        if flights.len() >= SWEEP {
            flights.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight: Arc<Flight> = Arc::default();
        flights.insert(route, Arc::downgrade(&flight));
        flight
    }

    /// Nobody joins this one any more.
    pub(super) fn close(&self, route: Route, flight: &Arc<Flight>) {
        let mut flights = self.lock();
        let is_it = |known: &Weak<Flight>| known.as_ptr() == Arc::as_ptr(flight);
        if flights.get(&route).is_some_and(is_it) {
            flights.remove(&route);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Route, Weak<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
