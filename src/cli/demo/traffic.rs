//! The demo shop's visitors: a simulation that is told the time and answers with the events that
//! are due.
//!
//! Sessions arrive as a non-homogeneous Poisson process, drawn by thinning (Lewis & Shedler,
//! 1979), with the rate `λ(t) = r · d(h) · w(k)` at hour `h` (fractional, UTC) of weekday `k`:
//!
//! * `r` is the mean rate in sessions a minute;
//! * `d(h) = 1 + 0.55 cos(2π(h − 19)/24) + 0.15 cos(4π(h − 20)/24)`, whose mean over a day is 1:
//!   a quiet night, a shoulder in the morning, a peak at about 19:30;
//! * `w(k)` is [`WEEK`], whose mean over a week is 1: weekends are busier.
//!
//! A session is a small state machine. Each [`Step`] emits one event and then leads to another
//! step a few seconds later or out of the shop; the probabilities are in [`Traffic::after`].
//!
//! Pure: the same seed, opening time and calls give the same events, ids included.

mod session;

use super::catalogue::Catalogue;
use super::event::{Event, Visitor};
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use session::{Session, Step};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;
use std::time::Duration;

/// `w(k)`, Monday first.
const WEEK: [f64; 7] = [0.95, 0.90, 0.92, 0.95, 1.00, 1.10, 1.18];
/// No `d(h) · w(k)` is above this: thinning draws candidates at this multiple of the mean rate.
const CEILING: f64 = (1.0 + 0.55 + 0.15) * 1.18;
/// The demo shows a shop; it is no load generator.
const HIGHEST_RATE: f64 = 6_000.0;
/// Sessions in flight beyond this are turned away at the door.
const MOST_IN_FLIGHT: usize = 10_000;
/// After an absence longer than this (a laptop that slept) the shop was shut in the meantime.
const LONGEST_GAP: TimeDelta = TimeDelta::minutes(10);
/// Returning users, the most loyal first.
const USERS: u32 = 3_000;

/// Where shoppers live, with weights.
const REGIONS: [(&str, u32); 14] = [
    ("US", 30),
    ("GB", 14),
    ("DE", 12),
    ("FR", 8),
    ("CA", 7),
    ("NL", 5),
    ("SE", 4),
    ("AU", 4),
    ("NO", 3),
    ("JP", 3),
    ("ES", 3),
    ("IT", 3),
    ("IE", 2),
    ("DK", 2),
];
/// Channel, weight, how ready its visitors are to buy, and its campaigns.
const CHANNELS: [(&str, u32, f64, &[&str]); 5] = [
    ("direct", 28, 1.1, &[]),
    ("search", 34, 1.0, &[]),
    ("social", 15, 0.6, &[]),
    (
        "email",
        12,
        1.5,
        &["weekly-letter", "back-in-stock", "welcome-series"],
    ),
    ("ads", 11, 0.8, &["trail-season", "cosy-home", "first-cup"]),
];

/// `d(h) · w(k)`: how busy the shop is at this moment, against its mean.
pub(crate) fn rhythm(at: DateTime<Utc>) -> f64 {
    let hour = f64::from(at.num_seconds_from_midnight()) / 3_600.0;
    let daily = 1.0
        + 0.55 * (TAU * (hour - 19.0) / 24.0).cos()
        + 0.15 * (2.0 * TAU * (hour - 20.0) / 24.0).cos();
    let day = usize::try_from(at.weekday().num_days_from_monday()).expect("a weekday is below 7");
    daily * WEEK[day]
}

/// Somebody who comes back.
struct Shopper {
    user: String,
    region: &'static str,
    department: usize,
}

/// The shop floor: who is in it, and the randomness of what they do.
pub(crate) struct Traffic<'a> {
    catalogue: &'a Catalogue,
    rng: StdRng,
    clock: DateTime<Utc>,
    arrivals: u64,
    in_flight: BinaryHeap<Reverse<Session>>,
    shoppers: Vec<Shopper>,
    loyalty: WeightedIndex<f64>,
    regions: WeightedIndex<u32>,
    channels: WeightedIndex<u32>,
}

impl<'a> Traffic<'a> {
    /// Opens the shop at a time. The returning users depend on the seed alone; what happens, and
    /// every event id, on the seed and the opening time, so that no two runs share ids.
    pub(crate) fn new(seed: u64, catalogue: &'a Catalogue, opens: DateTime<Utc>) -> Self {
        let regions = WeightedIndex::new(REGIONS.map(|(_, weight)| weight))
            .expect("the regions' weights are positive");
        let channels = WeightedIndex::new(CHANNELS.map(|(_, weight, _, _)| weight))
            .expect("the channels' weights are positive");
        // Zipf with exponent 0.8: a few come daily, most are seen once in weeks.
        let loyalty = WeightedIndex::new((1..=USERS).map(|rank| f64::from(rank).powf(-0.8)))
            .expect("every user's loyalty is positive");
        let mut rng = StdRng::seed_from_u64(seed);
        let shoppers = (1..=USERS)
            .map(|rank| Shopper {
                user: format!("user-{rank:04}"),
                region: REGIONS[regions.sample(&mut rng)].0,
                department: rng.random_range(0..catalogue.departments()),
            })
            .collect();
        let opening = opens.timestamp_millis().cast_unsigned();
        // The odd factor (2⁶⁴/φ) spreads neighbouring times over the whole of the seed.
        let rng = StdRng::seed_from_u64(seed ^ opening.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            catalogue,
            rng,
            clock: opens,
            arrivals: 0,
            in_flight: BinaryHeap::new(),
            shoppers,
            loyalty,
            regions,
            channels,
        }
    }

    /// The events after the last call's time and up to `now`, in time order, with sessions
    /// arriving at a mean of `sessions_per_minute` (up to 6,000). After more than ten minutes
    /// without a call there are none: the shop was shut, and those who were in it have left.
    pub(crate) fn due(&mut self, now: DateTime<Utc>, sessions_per_minute: f64) -> Vec<Event> {
        if now - self.clock > LONGEST_GAP {
            self.in_flight.clear();
            self.clock = now;
            return Vec::new();
        }
        self.admit(now, sessions_per_minute.min(HIGHEST_RATE) / 60.0);
        self.clock = self.clock.max(now);

        let mut events = Vec::new();
        while self
            .in_flight
            .peek()
            .is_some_and(|Reverse(next)| next.at <= now)
        {
            let Some(Reverse(mut session)) = self.in_flight.pop() else {
                break;
            };
            events.push(self.event(&session));
            if let Some(step) = self.after(&mut session) {
                session.step = step;
                session.at += self.think();
                self.in_flight.push(Reverse(session));
            }
        }
        events
    }

    /// Thinning: candidates at the ceiling's rate, each kept with the odds of its moment.
    fn admit(&mut self, until: DateTime<Utc>, mean_per_second: f64) {
        let ceiling = mean_per_second * CEILING;
        let mut at = self.clock;
        loop {
            let gap = -(1.0 - self.rng.random::<f64>()).ln() / ceiling;
            // A rate of nothing makes a gap that no duration holds: nobody comes.
            let next = Duration::try_from_secs_f64(gap)
                .ok()
                .and_then(|gap| at.checked_add_signed(TimeDelta::from_std(gap).ok()?));
            match next {
                Some(next) if next <= until => at = next,
                _ => return,
            }
            let kept = self.rng.random::<f64>() * CEILING < rhythm(at);
            if kept && self.in_flight.len() < MOST_IN_FLIGHT {
                let session = self.arrive(at);
                self.in_flight.push(Reverse(session));
            }
        }
    }

    fn arrive(&mut self, at: DateTime<Utc>) -> Session {
        let roll: f64 = self.rng.random();
        let newcomer = self.uuid();
        let (visitor, region, department) = if roll < 0.45 {
            let shopper = &self.shoppers[self.loyalty.sample(&mut self.rng)];
            (
                Visitor::User(shopper.user.clone()),
                shopper.region,
                shopper.department,
            )
        } else {
            let region = REGIONS[self.regions.sample(&mut self.rng)].0;
            let department = self.rng.random_range(0..self.catalogue.departments());
            // Who will sign up goes by the new account's id from the first page on, so that the
            // funnel from landing to purchase stays one person's.
            let visitor = if roll < 0.50 {
                Visitor::User(format!("user-{}", newcomer.simple()))
            } else {
                Visitor::Anonymous(newcomer.to_string())
            };
            (visitor, region, department)
        };
        let channel = self.channels.sample(&mut self.rng);
        let (_, _, _, campaigns) = CHANNELS[channel];
        let campaign = campaigns.choose(&mut self.rng).copied();
        let product = self.catalogue.draw_from(department, &mut self.rng);
        let step = match self.rng.random_range(0..100) {
            0..45 => Step::Home,
            45..75 => Step::CategoryPage(product),
            _ => Step::ProductPage(product),
        };
        self.arrivals += 1;
        Session {
            at,
            arrival: self.arrivals,
            step,
            id: self.uuid(),
            visitor,
            will_sign_up: (0.45..0.50).contains(&roll),
            region,
            channel,
            campaign,
            department,
            basket: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};
    use uuid::Uuid;

    const MONDAY: &str = "2026-03-02T00:00:00Z";

    /// The events of so many days from a Monday on, at three sessions a minute.
    fn days(days: i32, seed: u64) -> Vec<Event> {
        let catalogue = Catalogue::new(seed);
        let opens: DateTime<Utc> = MONDAY.parse().unwrap();
        let mut traffic = Traffic::new(seed, &catalogue, opens);
        (1..=days * 24 * 12)
            .flat_map(|tick| traffic.due(opens + TimeDelta::minutes(5) * tick, 3.0))
            .collect()
    }

    fn count(events: &[Event], of: impl Fn(&Event) -> bool) -> u32 {
        u32::try_from(events.iter().filter(|event| of(event)).count()).unwrap()
    }

    #[test]
    fn every_event_is_one_the_api_takes() {
        let known = Catalogue::new(3);
        let prices: HashMap<&str, i64> = known
            .products()
            .iter()
            .map(|product| (product.id.as_str(), product.price))
            .collect();
        let mut types = HashSet::new();
        for event in days(2, 3) {
            let event = serde_json::to_value(event).unwrap();
            let kind = event["type"].as_str().unwrap();
            types.insert(kind.to_owned());
            assert!(
                Uuid::parse_str(event["eventId"].as_str().unwrap()).is_ok(),
                "{event}"
            );
            let at = event["timestamp"].as_str().unwrap();
            assert!(at.len() == 24 && at.ends_with('Z'), "{event}");
            assert!(
                event["userId"].is_string() != event["anonymousId"].is_string(),
                "{event}"
            );
            assert!(
                event["sessionId"].is_string() && event["properties"].is_object(),
                "{event}"
            );
            assert_eq!(event["region"].as_str().unwrap().len(), 2);
            let bought_attention = ["email", "ads"].contains(&event["channel"].as_str().unwrap());
            assert_eq!(event["campaign"].is_string(), bought_attention, "{event}");
            assert_eq!(event["url"].is_string(), kind == "pageview", "{event}");
            assert_eq!(event["lines"].is_array(), kind == "purchase", "{event}");
            assert_eq!(event["currency"] == "USD", kind == "purchase", "{event}");
            assert_eq!(
                event["properties"]["username"].is_string(),
                kind == "sign_up",
                "{event}"
            );
            if kind == "product_view" || kind == "add_to_cart" {
                assert!(prices.contains_key(event["properties"]["productId"].as_str().unwrap()));
            }
            if kind == "purchase" {
                let lines = event["lines"].as_array().unwrap();
                assert!((1..=4).contains(&lines.len()), "{event}");
                for line in lines {
                    let quantity = line["quantity"].as_i64().unwrap();
                    assert!((1..=3).contains(&quantity), "{event}");
                    let price = prices[line["productId"].as_str().unwrap()];
                    assert_eq!(
                        line["amount"],
                        super::super::catalogue::decimal(price * quantity)
                    );
                }
            }
        }
        assert_eq!(types.len(), 7);
    }

    #[test]
    fn about_four_sessions_in_a_hundred_buy() {
        for seed in [1, 2, 3] {
            let events = days(7, seed);
            let sessions = events
                .iter()
                .map(|event| event.session_id)
                .collect::<HashSet<_>>();
            let sessions = u32::try_from(sessions.len()).unwrap();
            let purchases = count(&events, |event| event.revenue().is_some());
            let conversion = f64::from(purchases) / f64::from(sessions);
            assert!(
                (0.03..0.05).contains(&conversion),
                "{purchases} of {sessions}"
            );
        }
    }

    #[test]
    fn evenings_are_busier_than_mornings_before_dawn_and_sundays_than_tuesdays() {
        let events = days(7, 5);
        let at_hour = |hour| count(&events, |event| event.timestamp.hour() == hour);
        assert!(
            at_hour(19) > 3 * at_hour(5),
            "{} {}",
            at_hour(19),
            at_hour(5)
        );
        let on_day = |day| count(&events, |event| event.timestamp.day() == day);
        assert!(on_day(8) > on_day(3), "{} {}", on_day(8), on_day(3));
    }

    #[test]
    fn the_rhythm_has_mean_one_and_stays_below_the_ceiling() {
        let monday: DateTime<Utc> = MONDAY.parse().unwrap();
        let week: Vec<f64> = (0..7 * 24 * 60)
            .map(|minute| rhythm(monday + TimeDelta::minutes(minute)))
            .collect();
        let mean = week.iter().sum::<f64>() / (7.0 * 24.0 * 60.0);
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert!(week.iter().all(|level| (0.2..CEILING).contains(level)));
    }

    #[test]
    fn events_come_in_time_order_with_ids_of_their_own_and_the_same_for_the_same_seed() {
        let events = days(1, 9);
        assert!(events.is_sorted_by_key(|event| event.timestamp));
        let ids: HashSet<Uuid> = events.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), events.len());
        assert_eq!(events, days(1, 9));
    }

    #[test]
    fn a_shop_without_visitors_and_one_that_was_shut_have_nothing_to_tell() {
        let catalogue = Catalogue::new(1);
        let opens: DateTime<Utc> = MONDAY.parse().unwrap();
        let mut traffic = Traffic::new(1, &catalogue, opens);
        for rate in [0.0, -1.0, f64::NAN, 1e-300] {
            assert!(traffic.due(opens + TimeDelta::minutes(1), rate).is_empty());
        }
        let monday_noon = opens + TimeDelta::hours(12);
        assert!(traffic.due(monday_noon, 100.0).is_empty());
        let events = traffic.due(monday_noon + TimeDelta::minutes(1), 100.0);
        assert!(!events.is_empty() && events.iter().all(|event| event.timestamp > monday_noon));
    }
}
