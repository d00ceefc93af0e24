//! The way of an answer: kept here, kept in Redis, or made, each once for all who wait.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Made, State};
use super::flights::Landed;
use super::key::Key;
use super::looks::Looks;
use super::shared::Shared;
use super::{Answered, Cached, Inner};
use crate::error::Problem;

/// How often and how long one waits for what another process makes.
const POLL: Duration = Duration::from_millis(10);
const MAX_POLL: Duration = Duration::from_millis(80);
const POLLS: u32 = 14;
/// How many flights of others one waits for before one asks alone.
const JOINS: u32 = 3;

/// A question to someone who knows.
pub trait Source: Sync {
    /// What tells it from all others.
    fn key(&self) -> Key;
    /// How old the answer may be.
    fn max_staleness(&self) -> Duration;
    /// Asks.
    fn make(&self) -> impl Future<Output = Result<Made, Problem>> + Send;
}

/// What is known of an entry, for one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    True,
    /// No longer, but it was a while ago that is short enough.
    Stale,
    Nothing,
}

impl Inner {
    /// Answers from what is kept, or else has it made.
    pub(super) async fn answer(&self, source: &impl Source) -> Result<Answered, Problem> {
        let (key, max_staleness) = (source.key(), source.max_staleness());
        if let Some(entry) = self.kept(key) {
            match self.worth(&entry, max_staleness).await {
                Worth::True => return Ok(self.served(&entry, Cached::HitProcess)),
                Worth::Stale => return Ok(self.served(&entry, Cached::Stale)),
                Worth::Nothing => {}
            }
        }
        self.fly(source, true).await
    }

    /// Makes an answer again that is no longer true, whoever may still be served with it.
    pub(super) async fn renew(&self, source: &impl Source) {
        let renewed = self.fly(source, false).await;
        if let Err(problem) = renewed {
            tracing::debug!(code = problem.code.name(), "an answer was not made anew");
        }
    }

    /// Waits for the answer that is being made, or leads.
    async fn fly(&self, source: &impl Source, may_be_stale: bool) -> Result<Answered, Problem> {
        let (key, max_staleness) = (source.key(), source.max_staleness());
        let route = (key, max_staleness.is_zero());
        for _ in 0..JOINS {
            let flight = self.flights.join(route);
            let mut seat = flight.lock().await;
            let Some(landed) = seat.clone() else {
                let led = self.lead(source, may_be_stale).await;
                let landed: Landed = match &led {
                    Ok((entry, _)) => Ok(Arc::clone(entry)),
                    Err(problem) => Err(problem.clone()),
                };
                *seat = Some(landed);
                self.flights.close(route, &flight);
                return led.map(|(entry, cached)| self.served(&entry, cached));
            };
            drop(seat);
            self.metrics.cache_joined.increment(1);
            let entry = landed?;
            // It may have begun before we came.
            match self.worth(&entry, max_staleness).await {
                Worth::True => return Ok(self.served(&entry, Cached::HitProcess)),
                Worth::Stale if may_be_stale => return Ok(self.served(&entry, Cached::Stale)),
                Worth::Stale | Worth::Nothing => {}
            }
        }
        let (entry, cached) = self.lead(source, may_be_stale).await?;
        Ok(self.served(&entry, cached))
    }

    /// Finds an answer in Redis, waits for another process that makes it, or makes it.
    async fn lead(
        &self,
        source: &impl Source,
        may_be_stale: bool,
    ) -> Result<(Arc<Entry>, Cached), Problem> {
        let key = source.key();
        let history = match &self.shared {
            Some(_) => self.history().await,
            None => None,
        };
        let mut claim = None;
        if let Some((shared, (history, era))) = self.shared.as_ref().zip(history) {
            let mut found = shared.find(&history, &key).await;
            let mut pause = POLL;
            for _ in 0..POLLS {
                let Some(there) = found else { break };
                if there.claimed {
                    claim = Some(Claim {
                        shared: Arc::clone(shared),
                        history: history.clone(),
                        key,
                        is_open: true,
                    });
                }
                if let Some(bytes) = there.answer
                    && let Some(hit) = self.believe(source, &bytes, era, may_be_stale).await
                {
                    return Ok(hit);
                }
                if claim.is_some() {
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(MAX_POLL);
                found = shared.find(&history, &key).await;
            }
        }
        let era = self.looks.tail().era();
        let made = source.make().await?;
        let entry = Entry::new(key.tenant, made, era, self.clock.now());
        let entry = self.keep(key, entry);
        self.metrics.cache_miss.increment(1);
        if let Some(claim) = claim {
            claim.put(&entry);
        }
        Ok((entry, Cached::Miss))
    }

    /// What Redis had of an era, if it is good enough.
    async fn believe(
        &self,
        source: &impl Source,
        bytes: &[u8],
        era: u64,
        may_be_stale: bool,
    ) -> Option<(Arc<Entry>, Cached)> {
        let key = source.key();
        let entry = Entry::read(bytes, era, self.clock.now())?;
        if entry.tenant != key.tenant {
            return None;
        }
        let cached = match self.worth(&entry, source.max_staleness()).await {
            Worth::True => Cached::HitShared,
            Worth::Stale if may_be_stale => Cached::Stale,
            Worth::Stale | Worth::Nothing => return None,
        };
        Some((self.keep(key, entry), cached))
    }

    /// Of which history the database is, and which era of this process that is, once it is known.
    async fn history(&self) -> Option<(String, u64)> {
        let known = |looks: &Looks| {
            let tail = looks.tail();
            let history = tail.history()?.to_owned();
            Some((history, tail.era()))
        };
        match known(&self.looks) {
            Some(history) => Some(history),
            None => {
                self.looks.look().await;
                known(&self.looks)
            }
        }
    }

    /// What an entry is worth to one who asks now.
    async fn worth(&self, entry: &Entry, max_staleness: Duration) -> Worth {
        if !max_staleness.is_zero() {
            if self.looks.tail().history().is_none() {
                self.looks.look().await;
            }
            let state = self.state(entry);
            if entry.age() <= max_staleness {
                self.looks.nudge();
                return match state {
                    State::True => Worth::True,
                    State::Fell(_) => Worth::Stale,
                };
            }
            if state != State::True {
                return Worth::Nothing;
            }
        }
        if !self.looks.look().await || self.state(entry) != State::True {
            return Worth::Nothing;
        }
        Worth::True
    }

    /// What the last look tells of an entry.
    pub(super) fn state(&self, entry: &Entry) -> State {
        let state = entry.state(&self.looks.tail(), self.clock.now());
        if state == State::Fell(true) {
            self.metrics.cache_invalidated.increment(1);
        }
        state
    }

    /// Whether what a request was answered is worth the same to one who asks now.
    pub(super) async fn is_true(&self, entry: &Entry, max_staleness: Duration) -> bool {
        self.worth(entry, max_staleness).await == Worth::True
    }

    fn served(&self, entry: &Arc<Entry>, cached: Cached) -> Answered {
        match cached {
            Cached::HitProcess => self.metrics.cache_hit_process.increment(1),
            Cached::HitShared => self.metrics.cache_hit_shared.increment(1),
            Cached::Stale => self.metrics.cache_stale.increment(1),
            Cached::Miss | Cached::Bypass => {}
        }
        Answered {
            entry: Arc::clone(entry),
            cached,
        }
    }
}

/// That we make an answer which others may want, too.
struct Claim {
    shared: Arc<Shared>,
    history: String,
    key: Key,
    is_open: bool,
}

impl Claim {
    /// Keeps the answer for them; nobody waits for that.
    fn put(mut self, entry: &Arc<Entry>) {
        self.is_open = false;
        let (shared, history, key) = (Arc::clone(&self.shared), self.history.clone(), self.key);
        let entry = Arc::clone(entry);
        tokio::spawn(async move { shared.put(&history, &key, entry.write()).await });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        // Who claimed it went away: others may.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (shared, history, key) = (
                Arc::clone(&self.shared),
                std::mem::take(&mut self.history),
                self.key,
            );
            runtime.spawn(async move { shared.put(&history, &key, None).await });
        }
    }
}
