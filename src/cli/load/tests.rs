//! What is sent is good, the same for the same seed, and counted right.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::dice::Dice;
use super::event::{Content, Format, Ids, Mix, Origin, Sums};
use super::feed::Plan;
use super::feed::{Prepared, Press};
use super::schedule::{Schedule, Shape};
use super::*;
use crate::domain::event::{Event, PAGEVIEW, PURCHASE};
use crate::domain::money::Currency;
use crate::domain::tenant::{Sender, TenantId};
use crate::ingest::parse::parse_batch;
use crate::ingest::rules::Verdict;
use crate::ingest::{Judged, judge};

const CONTENT: Content = Content {
    users: 500,
    products: 40,
    mix: Mix {
        pageviews: 70,
        other: 25,
        purchases: 5,
    },
    ids: Ids::V4,
    format: Format::Native,
    late: 0.0,
    history: None,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn started_at() -> DateTime<Utc> {
    at("2026-03-01T12:00:00Z")
}

/// A thousand events a second for a hundred seconds.
fn plan(content: Content, duplicates: f64) -> Plan {
    let schedule = Schedule {
        rate: 1_000.0,
        duration: Duration::from_secs(100),
        batch: 1_000,
        shape: Shape::Steady,
    };
    Plan {
        content,
        schedule,
        duplicates,
        gzip: false,
        seed: 1,
        started_at: started_at(),
    }
}

/// A run of them.
fn feed(content: Content, duplicates: f64) -> Feed {
    Feed::new(plan(content, duplicates))
}

/// Its first requests, each acknowledged before the next is written.
fn requests(feed: &Feed, n: usize) -> Vec<Prepared> {
    let (mut press, clock) = (Press::new(feed), Clock::System);
    let next = || {
        let prepared = press.next(feed, &clock)?;
        lock(&feed.memory).acknowledged(&prepared);
        Some(prepared)
    };
    std::iter::from_fn(next).take(n).collect()
}

/// The events of a body, each of which must be good.
fn judged(body: &[u8]) -> Vec<Event> {
    let received_at = at("2026-03-01T12:10:00Z");
    let drafts = parse_batch(body).unwrap().drafts.into_iter();
    let sender = Sender {
        tenant: TenantId(1),
        zone: chrono_tz::UTC,
        currency: Currency::from_code("USD").unwrap(),
    };
    let judged = drafts.map(|draft| {
        let judged = judge(draft, &sender, received_at, Uuid::nil, |_| Verdict::Pass);
        let Judged::Good(event) = judged else {
            panic!("{judged:?}");
        };
        event
    });
    judged.collect()
}

/// What events add up to, each counted once.
fn sums(events: &[Event]) -> Sums {
    let mut seen = HashSet::new();
    let mut sums = Sums::default();
    for event in events.iter().filter(|event| seen.insert(event.id)) {
        sums.events += 1;
        sums.pageviews += i64::from(event.event_type.as_str() == PAGEVIEW);
        if let Some(order) = &event.order {
            sums.orders += 1;
            let units: i32 = order.lines.iter().map(|line| line.quantity).sum();
            sums.units += i64::from(units);
            sums.revenue += order
                .lines
                .iter()
                .map(|line| i128::from(line.amount))
                .sum::<i128>();
        }
    }
    sums
}

#[test]
fn every_event_is_good_and_requests_know_what_they_add() {
    for ids in [Ids::V4, Ids::V7] {
        let feed = feed(Content { ids, ..CONTENT }, 0.0);
        let mut all = Vec::new();
        for prepared in requests(&feed, 8) {
            let events = judged(&prepared.body);
            assert_eq!((events.len(), prepared.events), (1_000, 1_000));
            assert_eq!(sums(&events), prepared.sums);
            all.extend(events);
        }
        let distinct: HashSet<Uuid> = all.iter().map(|event| event.id).collect();
        assert_eq!(distinct.len(), 8_000);
        let version = if ids == Ids::V4 { 4 } else { 7 };
        assert!(
            all.iter()
                .all(|event| event.id.get_version_num() == version)
        );

        let share = |kind| {
            let of_kind = all.iter().filter(|event| event.event_type.as_str() == kind);
            of_kind.count()
        };
        assert!(
            (5_400..5_800).contains(&share(PAGEVIEW)),
            "{}",
            share(PAGEVIEW)
        );
        assert!((320..480).contains(&share(PURCHASE)), "{}", share(PURCHASE));
        let lines: HashSet<usize> = all
            .iter()
            .filter_map(|event| Some(event.order.as_ref()?.lines.len()))
            .collect();
        assert_eq!(lines, HashSet::from([1, 2, 3, 4]));
        let users: HashSet<Uuid> = all.iter().map(|event| event.user.id).collect();
        assert_eq!(users.len(), 500);
    }
}

#[test]
fn one_seed_and_beginning_send_the_same_and_others_share_no_id() {
    let bodies = |seed, begun: &str| -> Vec<_> {
        let feed = Feed::new(Plan {
            seed,
            started_at: at(begun),
            ..plan(CONTENT, 0.01)
        });
        requests(&feed, 5)
            .into_iter()
            .map(|prepared| prepared.body)
            .collect()
    };
    let first = bodies(1, "2026-03-01T12:00:00Z");
    assert_eq!(bodies(1, "2026-03-01T12:00:00Z"), first);
    let ids = |bodies: &[bytes::Bytes]| -> HashSet<Uuid> {
        let events = bodies.iter().flat_map(|body| judged(body));
        events.map(|event| event.id).collect()
    };
    for other in [
        bodies(2, "2026-03-01T12:00:00Z"),
        bodies(1, "2026-03-01T12:00:01Z"),
    ] {
        assert!(ids(&first).is_disjoint(&ids(&other)));
    }
}

#[test]
fn the_share_that_was_asked_for_is_sent_again_as_it_was_and_from_the_whole_past() {
    let feed = feed(CONTENT, 0.1);
    let mut first_in: HashMap<Uuid, (usize, Event)> = HashMap::new();
    let mut distances = Vec::new();
    for (n, prepared) in requests(&feed, 40).iter().enumerate() {
        let mut again = 0;
        let mut fresh = Vec::new();
        for event in judged(&prepared.body) {
            match first_in.get(&event.id) {
                Some((before, known)) => {
                    assert!(*before < n && known == &event);
                    distances.push(n - before);
                    again += 1;
                }
                None => {
                    first_in.insert(event.id, (n, event.clone()));
                    fresh.push(event);
                }
            }
        }
        assert_eq!(again, prepared.resent);
        assert_eq!(sums(&fresh), prepared.sums);
    }
    let share = distances.len();
    assert!((3_600..4_200).contains(&share), "{share} of 40,000");
    let far = distances.iter().filter(|distance| **distance > 20).count();
    assert!(
        (450..750).contains(&far),
        "{far} from more than 20 requests before"
    );
}

#[test]
fn late_events_lie_an_hour_to_a_week_back_and_the_others_within_a_second() {
    let late = Content {
        late: 0.2,
        ids: Ids::V7,
        ..CONTENT
    };
    let mut count = 0;
    for prepared in requests(&feed(late, 0.0), 10) {
        let about = DateTime::from_timestamp_micros(prepared.origin.at).unwrap();
        for event in judged(&prepared.body) {
            let back = about - event.timestamp;
            if back > chrono::Duration::seconds(1) {
                let hours = back.num_hours();
                assert!((1..7 * 24).contains(&hours), "{back}");
                count += 1;
            }
            let written = event.id.get_timestamp().unwrap().to_unix().0;
            assert_eq!(i64::try_from(written).unwrap(), event.timestamp.timestamp());
        }
    }
    assert!((1_800..2_200).contains(&count), "{count} of 10,000");
}

#[test]
fn requests_are_about_the_time_when_they_are_due() {
    let feed = feed(CONTENT, 0.0);
    for (n, prepared) in requests(&feed, 3).iter().enumerate() {
        let due = prepared.due.unwrap();
        assert!(due.abs_diff(Duration::from_secs(n as u64)) < Duration::from_millis(1));
        let about = DateTime::from_timestamp_micros(prepared.origin.at).unwrap();
        assert!((about - (started_at() + due)).abs() < chrono::Duration::milliseconds(1));
    }
    assert_eq!(requests(&feed, 1_000).len(), 97);
}

#[test]
fn segment_messages_are_json_short_enough_and_say_what_they_add() {
    let content = Content {
        format: Format::Segment,
        ..CONTENT
    };
    for prepared in requests(&feed(content, 0.05), 5) {
        assert!(prepared.body.len() < 500_000, "{}", prepared.body.len());
        let body: Value = serde_json::from_slice(&prepared.body).unwrap();
        let mut found = Sums::default();
        for message in body["batch"].as_array().unwrap() {
            found.events += 1;
            found.pageviews += i64::from(message["type"] == "page");
            assert!(
                message["messageId"]
                    .as_str()
                    .unwrap()
                    .parse::<Uuid>()
                    .is_ok()
            );
            found.orders += i64::from(message["event"] == "Order Completed");
            for line in message["properties"]["products"]
                .as_array()
                .into_iter()
                .flatten()
            {
                found.units += line["quantity"].as_i64().unwrap();
                assert!(line["price"].as_f64().unwrap() > 1.0);
            }
        }
        assert_eq!(found.events, i64::from(prepared.events));
        if prepared.resent == 0 {
            let expected = Sums {
                revenue: 0,
                ..prepared.sums
            };
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn packed_bodies_hold_the_same() {
    let plain = requests(&feed(CONTENT, 0.0), 2);
    let packed_feed = Feed::new(Plan {
        gzip: true,
        ..plan(CONTENT, 0.0)
    });
    for (packed, plain) in requests(&packed_feed, 2).iter().zip(&plain) {
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(&packed.body[..]);
        std::io::Read::read_to_end(&mut reader, &mut unpacked).unwrap();
        assert!(unpacked == plain.body && packed.body.len() * 2 < plain.body.len());
    }
}

#[test]
fn what_is_remembered_is_bounded_and_fair() {
    let template = requests(&feed(CONTENT, 0.0), 1).remove(0);
    let feed = feed(CONTENT, 0.0);
    for request in 0..30_000 {
        let origin = Origin {
            request,
            ..template.origin
        };
        let prepared = Prepared {
            origin,
            ..template.clone()
        };
        lock(&feed.memory).acknowledged(&prepared);
    }
    let mut dice = Dice::new(1, 1);
    let mut requests = HashSet::new();
    let mut thirds = [0_u32; 3];
    for _ in 0..100_000 {
        let (origin, place) = lock(&feed.memory).any(&mut dice).unwrap();
        assert!(place < 1_000);
        requests.insert(origin.request);
        thirds[usize::try_from(origin.request / 10_000).unwrap()] += 1;
    }
    assert!(
        (9_900..=10_000).contains(&requests.len()),
        "{}",
        requests.len()
    );
    let fair = 31_000..36_000;
    assert!(
        thirds.iter().all(|third| fair.contains(third)),
        "{thirds:?}"
    );
}
