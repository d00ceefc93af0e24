//! What came late, and what it changed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tidewater::clock::Clock;

use super::naive;
use crate::support::{Order, TestApp, assert_consistent, pageview};

const NUMBERS: &str = "events orders units revenue refunds netRevenue";

#[tokio::test]
async fn what_comes_later_than_five_minutes_restates_its_bucket_and_no_other() {
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let app = TestApp::with_clock(clock.clone()).await;
    app.accept(&[
        Order::of("mug").at("2026-03-01T11:55:00Z").event(),
        pageview("v1", "/", "2026-03-01T11:59:00Z"),
    ])
    .await;
    let range = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;
    let query = format!(
        "{{ restatements({range}) {{ currency timezone buckets {{ start end restatedAt before {{ {NUMBERS} }} after {{ {NUMBERS} }} change {{ {NUMBERS} }} }} provenance {{ lateEvents source }} }} }}"
    );
    assert_eq!(
        app.data(&query).await["restatements"],
        json!({
            "currency": "USD", "timezone": "UTC", "buckets": [],
            "provenance": {"lateEvents": 0, "source": "ROLLUP"},
        })
    );

    clock.advance(TimeDelta::hours(3));
    app.accept(&[
        Order::of("mug").at("2026-03-01T11:10:00Z").times(2).event(),
        Order::of("mug")
            .with("type", "refund")
            .for_amount("4.00")
            .at("2026-03-01T11:20:00Z")
            .event(),
        Order::of("mug")
            .with("currency", "EUR")
            .at("2026-03-01T11:30:00Z")
            .event(),
        Order::of("mug").at("2026-03-01T14:58:00Z").event(),
    ])
    .await;
    let numbers = |events, orders, units, revenue: &str, refunds: &str, net: &str| json!({"events": events, "orders": orders, "units": units, "revenue": revenue, "refunds": refunds, "netRevenue": net});
    assert_eq!(
        app.data(&query).await["restatements"],
        json!({
            "currency": "USD", "timezone": "UTC",
            "buckets": [{
                "start": "2026-03-01T11:00:00+00:00", "end": "2026-03-01T12:00:00+00:00",
                "restatedAt": "2026-03-01T15:00:00+00:00",
                "before": numbers(2, 1, 1, "10.00", "0.00", "10.00"),
                "after": numbers(5, 2, 3, "20.00", "4.00", "16.00"),
                "change": numbers(3, 1, 2, "10.00", "4.00", "6.00"),
            }],
            "provenance": {"lateEvents": 3, "source": "ROLLUP"},
        })
    );
}

/// What happened, as the test knows it.
struct Happened {
    at: DateTime<Utc>,
    received: DateTime<Utc>,
    bot: bool,
    /// Whether it is paid back, in which currency, units and minor units.
    order: Option<(bool, &'static str, i64, i64)>,
}

fn happen(random: &mut StdRng, now: DateTime<Utc>) -> (Happened, Value) {
    let ago = match random.random_range(0..4) {
        0 | 1 => random.random_range(0..360_000),
        2 => random.random_range(0..7_200_000),
        _ => random.random_range(0..1_000_000_000),
    };
    let at = now - TimeDelta::milliseconds(ago);
    let bot = random.random_bool(0.2);
    let order = random.random_bool(0.6).then(|| {
        let currency = *["USD", "EUR"].choose(random).unwrap();
        let units = random.random_range(1..5);
        let amount = random.random_range(0..10_000);
        (random.random_bool(0.3), currency, units, amount)
    });
    let mut event = match order {
        None => pageview("v1", "/", at.to_rfc3339()),
        Some((refund, currency, units, amount)) => Order::of("mug")
            .at(at.to_rfc3339())
            .with("type", if refund { "refund" } else { "purchase" })
            .with("currency", currency)
            .times(units)
            .for_amount(&naive::decimal(amount, currency))
            .event(),
    };
    if bot {
        event["userAgent"] = "curl/8.0".into();
    }
    let received = now;
    (
        Happened {
            at,
            received,
            bot,
            order,
        },
        event,
    )
}

/// Events, orders, units, revenue and refunds.
type Sums = [i64; 5];

fn add(sums: &mut Sums, happened: &Happened, currency: &str) {
    sums[0] += 1;
    match happened.order {
        Some((false, its, units, amount)) if its == currency => {
            sums[1] += 1;
            sums[2] += units;
            sums[3] += amount;
        }
        Some((true, its, _, amount)) if its == currency => sums[4] += amount,
        _ => {}
    }
}

fn told([events, orders, units, revenue, refunds]: Sums, currency: &str) -> Value {
    let decimal = |minor| naive::decimal(minor, currency);
    json!({
        "events": events, "orders": orders, "units": units, "revenue": decimal(revenue),
        "refunds": decimal(refunds), "netRevenue": decimal(revenue - refunds),
    })
}

#[tokio::test]
async fn restatements_say_what_the_events_say() {
    let mut random = StdRng::seed_from_u64(3);
    let begin: DateTime<Utc> = "2026-03-28T20:00:00Z".parse().unwrap();
    let clock = Clock::manual(begin);
    let app = TestApp::with_clock(clock.clone()).await;
    let mut all = Vec::new();
    for _ in 0..30 {
        clock.advance(TimeDelta::seconds(random.random_range(30..2_000)));
        let (happened, events): (Vec<_>, Vec<_>) =
            (0..25).map(|_| happen(&mut random, clock.now())).unzip();
        app.accept(&events).await;
        all.extend(happened);
    }
    assert_consistent(&app.db).await;

    let zone = Tz::Europe__Berlin;
    for (granularity, hours) in [
        ("MINUTE", 24),
        ("QUARTER_HOUR", 200),
        ("HOUR", 400),
        ("DAY", 400),
        ("TOTAL", 400),
    ] {
        for (currency, bots) in [("USD", false), ("EUR", true)] {
            let (from, to) = (
                begin - TimeDelta::hours(hours),
                begin + TimeDelta::hours(hours),
            );
            let mut buckets: BTreeMap<String, (Sums, Sums, Option<DateTime<Utc>>)> =
                BTreeMap::new();
            let counted =
                |happened: &&Happened| (from..to).contains(&happened.at) && (bots || !happened.bot);
            for happened in all.iter().filter(counted) {
                let key = naive::bucket(happened.at, granularity, zone);
                let (after, change, restated_at) = buckets.entry(key).or_default();
                add(after, happened, currency);
                if happened.received - happened.at > TimeDelta::minutes(5) {
                    add(change, happened, currency);
                    *restated_at = (*restated_at).max(Some(happened.received));
                }
            }
            let expected: BTreeMap<String, Value> = buckets
                .into_iter()
                .filter(|(_, (.., restated_at))| restated_at.is_some())
                .map(|(key, (after, change, restated_at))| {
                    let mut before = after;
                    before
                        .iter_mut()
                        .zip(change)
                        .for_each(|(sum, late)| *sum -= late);
                    let sums = [before, after, change].map(|sums| told(sums, currency));
                    (key, json!([restated_at, sums]))
                })
                .collect();

            let query = format!(
                r#"{{ restatements(range: {{from: "{}", to: "{}"}}, granularity: {granularity}, timezone: "{zone}", currency: "{currency}", includeBots: {bots}) {{
                    buckets {{ start restatedAt before {{ {NUMBERS} }} after {{ {NUMBERS} }} change {{ {NUMBERS} }} }}
                }} }}"#,
                from.to_rfc3339(),
                to.to_rfc3339(),
            );
            let answer = app.data(&query).await["restatements"]["buckets"].take();
            let answered: BTreeMap<String, Value> = answer
                .as_array()
                .unwrap()
                .iter()
                .map(|bucket| {
                    let at = |name: &str| -> DateTime<Utc> {
                        bucket[name].as_str().unwrap().parse().unwrap()
                    };
                    let sums = ["before", "after", "change"].map(|name| bucket[name].clone());
                    let key = naive::bucket(at("start"), granularity, zone);
                    (key, json!([Some(at("restatedAt")), sums]))
                })
                .collect();
            assert!(!expected.is_empty());
            assert_eq!(answered, expected, "{query}");
        }
    }
}
