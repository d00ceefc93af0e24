//! A bucket of this process: what is left of what was drawn in advance from the one in Redis; and one
//! of its own, for as long as there is no other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Grant;

/// How long what was drawn in advance may be used: somebody else may want it.
const ADVANCE_KEPT: Duration = Duration::from_secs(1);
/// How long at most nobody is asked after a refusal: others may use less than was thought.
const REFUSED: Duration = Duration::from_millis(200);

/// What came of drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Draw {
    Taken { remaining: u32, full_in: Duration },
    Refused { wait: Duration, full_in: Duration },
}

/// A bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    state: Mutex<State>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// When the bucket of this process is full.
    full_at: Option<Instant>,
    /// What is owed.
    owed: u32,
    /// What was drawn in advance and not used, and until when it may be.
    advance: u32,
    advance_until: Option<Instant>,
    /// What was left in Redis then, and when that would be full.
    left: u32,
    left_full_at: Option<Instant>,
    /// What was refused, and until when that is known: how much, and when it is there.
    refused: Option<(u32, Instant, Instant)>,
}

/// How long a bucket takes to fill by so much.
fn fill_time(amount: u32, limit: u32, period: Duration) -> Duration {
    period.mul_f64(f64::from(amount) / f64::from(limit.max(1)))
}

/// How much fills a bucket in so long.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and the limit"
)]
fn filled_in(time: Duration, limit: u32, period: Duration) -> u32 {
    let part = time.as_secs_f64() / period.as_secs_f64();
    // What is a billionth short of a whole one is whole.
    (part * f64::from(limit) + 1e-6).min(f64::from(limit)) as u32
}

impl Bucket {
    /// The turn to ask Redis.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking.lock().await
    }

    /// Has the next one wait for this as well.
    pub(super) fn owe(&self, amount: u32) {
        let mut state = self.lock();
        state.owed = state.owed.saturating_add(amount);
    }

    /// What is owed.
    pub(super) fn owed(&self) -> u32 {
        self.lock().owed
    }

    /// Takes back what was drawn a moment ago.
    pub(super) fn give_back(&self, amount: u32, limit: u32, period: Duration) {
        let mut state = self.lock();
        if state.advance_until.is_some() {
            state.advance = state.advance.saturating_add(amount);
        } else {
            let earlier = |at: Instant| at.checked_sub(fill_time(amount, limit, period));
            state.full_at = state.full_at.and_then(earlier);
        }
    }

    /// Draws on what was drawn in advance; nothing if that is not known to suffice, or not to.
    pub(super) fn drawn_before(&self, amount: u32, now: Instant) -> Option<Draw> {
        let mut state = self.lock();
        let full_in = |state: &State| {
            let at = state.left_full_at.unwrap_or(now);
            at.saturating_duration_since(now)
        };
        if let Some((refused, known_until, there_at)) = state.refused
            && amount >= refused
            && now < known_until
        {
            return Some(Draw::Refused {
                wait: there_at.saturating_duration_since(now),
                full_in: full_in(&state),
            });
        }
        if state.advance_until.is_none_or(|until| until <= now) {
            state.advance = 0;
        }
        let need = amount.saturating_add(state.owed);
        if state.advance < need {
            return None;
        }
        state.advance -= need;
        state.owed = 0;
        Some(Draw::Taken {
            remaining: state.left.saturating_add(state.advance),
            full_in: full_in(&state),
        })
    }

    /// Takes what Redis granted.
    pub(super) fn granted(&self, grant: Grant, (amount, owed): (u32, u32), now: Instant) -> Draw {
        let mut state = self.lock();
        state.left = grant.remaining;
        state.left_full_at = Some(now + grant.full_in);
        // Should there be no Redis next time, it goes on from there.
        state.full_at = state.left_full_at;
        if let Some(wait) = grant.wait {
            state.refused = Some((amount, now + wait.min(REFUSED), now + wait));
            return Draw::Refused {
                wait,
                full_in: grant.full_in,
            };
        }
        state.refused = None;
        state.owed = state.owed.saturating_sub(owed);
        let spare = grant.granted.saturating_sub(amount.saturating_add(owed));
        state.advance = state.advance.saturating_add(spare);
        state.advance_until = Some(now + ADVANCE_KEPT);
        Draw::Taken {
            remaining: state.left.saturating_add(state.advance),
            full_in: grant.full_in,
        }
    }

    /// Draws on the bucket of this process.
    pub(super) fn draw_alone(
        &self,
        amount: u32,
        limit: u32,
        period: Duration,
        now: Instant,
    ) -> Draw {
        let mut state = self.lock();
        let full_at = state.full_at.filter(|at| *at > now).unwrap_or(now);
        let full_at = full_at + fill_time(state.owed, limit, period);
        state.owed = 0;
        state.full_at = Some(full_at);
        let full_in = full_at - now;
        let empty = period.saturating_sub(full_in);
        // What is more than a bucket holds passes when it is full.
        let need = amount.min(limit);
        if full_in > period || filled_in(empty, limit, period) < need {
            let there = full_in + fill_time(need, limit, period);
            return Draw::Refused {
                wait: there.saturating_sub(period),
                full_in,
            };
        }
        let full_at = full_at + fill_time(amount, limit, period);
        state.full_at = Some(full_at);
        let full_in = full_at - now;
        Draw::Taken {
            remaining: filled_in(period.saturating_sub(full_in), limit, period),
            full_in,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// How many of so many at once pass.
    fn passing(bucket: &Bucket, limit: u32, tries: u32, now: Instant) -> usize {
        let draws = (0..tries).map(|_| bucket.draw_alone(1, limit, MINUTE, now));
        draws
            .filter(|draw| matches!(draw, Draw::Taken { .. }))
            .count()
    }

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_what_fills_it() {
        let (bucket, begun) = (Bucket::default(), Instant::now());
        assert_eq!(passing(&bucket, 60, 100, begun), 60);
        assert_eq!(passing(&bucket, 60, 100, begun + Duration::from_secs(1)), 1);
        assert_eq!(
            passing(&bucket, 60, 100, begun + Duration::from_secs(11)),
            10
        );
        assert_eq!(
            passing(&bucket, 60, 100, begun + Duration::from_mins(5)),
            60
        );
    }

    #[test]
    fn a_refusal_says_when_it_is_there() {
        let (bucket, begun) = (Bucket::default(), Instant::now());
        bucket.draw_alone(60, 60, MINUTE, begun);
        let Draw::Refused { wait, .. } = bucket.draw_alone(10, 60, MINUTE, begun) else {
            panic!("there is nothing left");
        };
        assert!((wait.as_secs_f64() - 10.0).abs() < 0.5, "{wait:?}");
        let drawn = bucket.draw_alone(10, 60, MINUTE, begun + wait);
        assert!(
            matches!(drawn, Draw::Taken { remaining: 0, .. }),
            "{drawn:?}"
        );
    }

    #[test]
    fn what_is_more_than_a_bucket_passes_when_it_is_full_and_is_waited_for() {
        let (bucket, begun) = (Bucket::default(), Instant::now());
        let large = bucket.draw_alone(120, 60, MINUTE, begun);
        assert!(matches!(large, Draw::Taken { .. }), "{large:?}");
        let minute = begun + MINUTE;
        assert_eq!(passing(&bucket, 60, 1, minute), 0);
        assert_eq!(passing(&bucket, 60, 100, minute + MINUTE), 60);
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let (bucket, begun) = (Bucket::default(), Instant::now());
        bucket.owe(50);
        assert_eq!(passing(&bucket, 60, 100, begun), 10);
    }
}
