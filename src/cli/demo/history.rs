//! The demo shop's recent past: the simulation of [`super::traffic`] run over the last seven days.
//!
//! Each UTC day is a simulation of its own that depends on the seed and the day alone, so that a
//! day's events, ids included, are the same whenever it is told: loading the demo twice, or on
//! two days in a row, tells the shared days again and the server counts them once.

use super::catalogue::Catalogue;
use super::event::Event;
use super::traffic::Traffic;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

/// Whole days told before today.
const DAYS: i32 = 7;
/// Mean sessions a minute: some three thousand events a day.
const SESSIONS_PER_MINUTE: f64 = 0.66;
/// How far one call moves the simulation. What is told depends on it, hence not on the caller.
const STRIDE: TimeDelta = TimeDelta::minutes(5);
/// Strides in a day.
const STRIDES: i32 = 24 * 12;

/// The events of the seven days before today and of today up to `now`, in time order.
pub(crate) fn history(
    seed: u64,
    catalogue: &Catalogue,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Event> {
    let today = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    (0..=DAYS)
        .rev()
        .flat_map(move |ago| day(seed, catalogue, today - TimeDelta::days(1) * ago))
        .take_while(move |event| event.timestamp <= now)
}

/// One day from midnight to midnight; who is in the shop at the end is sent home.
fn day(seed: u64, catalogue: &Catalogue, midnight: DateTime<Utc>) -> impl Iterator<Item = Event> {
    let mut traffic = Traffic::new(seed, catalogue, midnight);
    (1..=STRIDES)
        .flat_map(move |stride| traffic.due(midnight + STRIDE * stride, SESSIONS_PER_MINUTE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn told(at: &str) -> Vec<Event> {
        let catalogue = Catalogue::new(42);
        history(42, &catalogue, at.parse().unwrap()).collect()
    }

    #[test]
    fn the_history_is_the_same_when_told_twice() {
        assert_eq!(told("2026-03-10T18:00:00Z"), told("2026-03-10T18:00:00Z"));
    }

    #[test]
    fn a_later_telling_repeats_the_days_it_shares_with_an_earlier_one() {
        let morning = told("2026-03-10T08:00:00Z");
        let evening = told("2026-03-10T20:00:00Z");
        assert_eq!(morning, evening[..morning.len()]);

        let day_after = told("2026-03-11T08:00:00Z");
        let start = day_after[0].timestamp;
        let shared: Vec<Event> = evening
            .into_iter()
            .filter(|event| event.timestamp >= start)
            .collect();
        assert_eq!(shared, day_after[..shared.len()]);
    }

    #[test]
    fn the_history_is_some_thousands_of_events_in_time_order_and_ends_now() {
        for now in [
            "2026-03-10T00:00:01Z",
            "2026-03-10T12:00:00Z",
            "2026-03-10T23:59:59Z",
        ] {
            let events = told(now);
            let now: DateTime<Utc> = now.parse().unwrap();
            assert!((20_000..30_000).contains(&events.len()), "{}", events.len());
            assert!(events.is_sorted_by_key(|event| event.timestamp));
            assert!(events[0].timestamp > now - TimeDelta::days(9));
            assert!(events.iter().all(|event| event.timestamp <= now));
            let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
            assert_eq!(ids.len(), events.len());
        }
    }
}
