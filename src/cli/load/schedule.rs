//! When requests are due: times that follow from rate, duration and shape alone, never from
//! answers.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// How many times as many events come in a spike, and for which part of the time.
const SPIKE: f64 = 5.0;
const SPIKE_FROM: f64 = 0.45;
const SPIKE_TO: f64 = 0.55;
/// How many waves a run has, and how far they rise above the mean.
const WAVES: f64 = 4.0;
const SWELL: f64 = 0.8;

/// How the rate goes over time; its mean is always the rate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Always the same.
    Steady,
    /// From nothing to twice the rate, in a straight line.
    Ramp,
    /// Five times as much in the middle tenth as in the rest.
    Spike,
    /// Four waves between a fifth of the rate and nine fifths.
    Wave,
}

impl Shape {
    /// Which share of all events is due when a share of the time has passed; both from 0 to 1.
    fn due_by(self, time: f64) -> f64 {
        match self {
            Self::Steady => time,
            Self::Ramp => time * time,
            Self::Spike => {
                let in_spike = (time.min(SPIKE_TO) - SPIKE_FROM).max(0.0);
                let whole = 1.0 + (SPIKE - 1.0) * (SPIKE_TO - SPIKE_FROM);
                (time + (SPIKE - 1.0) * in_spike) / whole
            }
            Self::Wave => {
                let turns = std::f64::consts::TAU * WAVES;
                time - SWELL * (turns * time).sin() / turns
            }
        }
    }

    /// When a share of all events is due: the other way round. Never falls, so halving finds it.
    fn time_of(self, share: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if self.due_by(middle) < share {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

/// The requests of a run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Events a second; 0: no due times, as many as the connections allow.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
    /// Events a request.
    pub batch: u32,
    /// How the rate goes.
    pub shape: Shape,
}

impl Schedule {
    /// Whether requests are due at times that do not depend on answers.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rate > 0.0
    }

    /// How many events are due in all.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far from 2^53"
    )]
    pub fn events(&self) -> u64 {
        (self.rate * self.duration.as_secs_f64()).round() as u64
    }

    /// How many events the n-th request has; none after the last.
    #[must_use]
    pub fn size(&self, n: u64) -> u32 {
        if !self.is_open() {
            return self.batch;
        }
        let left = self.events().saturating_sub(n * u64::from(self.batch));
        u32::try_from(left).map_or(self.batch, |left| left.min(self.batch))
    }

    /// When the n-th request is due, from the beginning; nothing in a closed loop.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn due(&self, n: u64) -> Option<Duration> {
        let before = n * u64::from(self.batch);
        self.is_open().then(|| {
            let share = before as f64 / self.events() as f64;
            self.duration.mul_f64(self.shape.time_of(share.min(1.0)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(shape: Shape) -> Schedule {
        Schedule {
            rate: 2_550.0,
            duration: Duration::from_secs(10),
            batch: 100,
            shape,
        }
    }

    /// How many events are due in `[from, to)` seconds.
    fn due_between(schedule: Schedule, from: f64, to: f64) -> u64 {
        (0..300)
            .filter(|n| (from..to).contains(&schedule.due(*n).unwrap().as_secs_f64()))
            .map(|n| u64::from(schedule.size(n)))
            .sum()
    }

    #[test]
    fn every_shape_sends_rate_times_duration_in_order_and_in_time() {
        for shape in Shape::value_variants() {
            let schedule = schedule(*shape);
            let sizes: Vec<u32> = (0..300).map(|n| schedule.size(n)).collect();
            assert_eq!(sizes.iter().sum::<u32>(), 25_500, "{shape:?}");
            assert_eq!(due_between(schedule, 0.0, 10.0), 25_500, "{shape:?}");
            let times: Vec<Duration> = (0..255).map(|n| schedule.due(n).unwrap()).collect();
            assert!(times.is_sorted(), "{shape:?}");
            assert!(times[0] < Duration::from_micros(1), "{shape:?}");
        }
    }

    #[test]
    fn shapes_have_their_shape() {
        let close = |shape, from, to, expected: u64| {
            let due = due_between(schedule(shape), from, to);
            assert!(due.abs_diff(expected) <= 200, "{shape:?}: {due}");
        };
        close(Shape::Steady, 2.0, 3.0, 2_550);
        close(Shape::Ramp, 0.0, 5.0, 25_500 / 4);
        close(Shape::Spike, 4.5, 5.5, 25_500 * 5 / 14);
        close(Shape::Spike, 0.0, 4.5, 25_500 * 9 / 28);
        // From the trough to the crest of the first wave, and the half around the crest.
        close(Shape::Wave, 0.0, 1.25, 25_500 / 8);
        close(Shape::Wave, 0.625, 1.875, 25_500 / 8 + 1_623);
    }

    #[test]
    fn a_last_request_that_is_not_full_is_counted_as_it_is() {
        let schedule = Schedule {
            rate: 30.0,
            ..schedule(Shape::Steady)
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|n| schedule.size(n)),
            [100, 100, 100, 0, 0]
        );
        let odd = Schedule {
            rate: 12.5,
            ..schedule
        };
        assert_eq!([0, 1, 2].map(|n| odd.size(n)), [100, 25, 0]);
    }

    #[test]
    fn without_a_rate_nothing_is_due_and_there_is_no_end() {
        let closed = Schedule {
            rate: 0.0,
            ..schedule(Shape::Steady)
        };
        assert_eq!((closed.due(7), closed.size(1_000_000)), (None, 100));
    }
}
