//! Whatever is sold and however it is asked for, the rollup says what the orders say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::naive::{self, Sale};
use super::{later, put};
use crate::support::{Order, TestApp, pageview};

const ZONES: [Tz; 5] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Asia__Kathmandu,
    Tz::Asia__Tokyo,
];
/// Each with how many days may be asked for.
const GRANULARITIES: [(&str, i64); 10] = [
    ("MINUTE", 2),
    ("FIVE_MINUTES", 7),
    ("QUARTER_HOUR", 30),
    ("HOUR", 60),
    ("DAY", 60),
    ("WEEK", 60),
    ("MONTH", 60),
    ("QUARTER", 60),
    ("YEAR", 60),
    ("TOTAL", 60),
];
const GROUPS: [&str; 4] = ["CATEGORY", "REGION", "CHANNEL", "PRODUCT"];
/// Two of one category, one below another's, one without, one that the catalogue lacks.
const PRODUCTS: [(&str, &str); 6] = [
    ("mug", "Kitchen > Coffee"),
    ("pot", "Kitchen > Coffee"),
    ("knife", "Kitchen"),
    ("spade", "Garden"),
    ("oddment", ""),
    ("unlisted", ""),
];

fn category(product: &str) -> &'static str {
    PRODUCTS.iter().find(|(id, _)| *id == product).unwrap().1
}

/// Weeks around changes of the clocks, some of it crowded into few minutes.
fn time(random: &mut StdRng) -> DateTime<Utc> {
    let changes = [
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-11-01T06:00:00Z",
    ];
    let change: DateTime<Utc> = changes.choose(random).unwrap().parse().unwrap();
    let days = if random.random_bool(0.4) { 1 } else { 25 };
    change + TimeDelta::milliseconds(random.random_range(-86_400_000 * days..86_400_000 * days))
}

fn sale(random: &mut StdRng) -> Sale {
    let line = |random: &mut StdRng| {
        let (product, _) = *PRODUCTS.choose(random).unwrap();
        (
            product,
            random.random_range(1..5),
            random.random_range(0..100_000),
        )
    };
    let lines = random.random_range(1..5);
    Sale {
        at: time(random),
        user: format!("u{}", random.random_range(0..40)),
        currency: ["USD", "USD", "USD", "EUR", "JPY", "KWD"]
            .choose(random)
            .unwrap(),
        region: *[None, Some("DE"), Some("FR"), Some("Île")]
            .choose(random)
            .unwrap(),
        channel: *[None, Some("ads"), Some("email")].choose(random).unwrap(),
        lines: (0..lines).map(|_| line(random)).collect(),
    }
}

fn event(sale: &Sale) -> Value {
    let line = |(product, quantity, minor): &(&str, i64, i64)| json!({"productId": product, "quantity": quantity, "amount": naive::decimal(*minor, sale.currency)});
    let lines: Vec<Value> = sale.lines.iter().map(line).collect();
    let order = Order::of("mug")
        .by(&sale.user)
        .at(sale.at.to_rfc3339())
        .with("currency", sale.currency)
        .with("lines", lines);
    let order = sale
        .region
        .into_iter()
        .fold(order, |order, region| order.with("region", region));
    sale.channel
        .into_iter()
        .fold(order, |order, channel| order.with("channel", channel))
        .event()
}

/// A question: a range, somewhere in the time that is sold in; a granularity and a zone.
fn question(random: &mut StdRng) -> ([DateTime<Utc>; 2], &'static str, Tz) {
    let (granularity, days) = *GRANULARITIES.choose(random).unwrap();
    let from = time(random);
    let to = from + TimeDelta::milliseconds(random.random_range(1..86_400_000 * days));
    ([from, to], granularity, *ZONES.choose(random).unwrap())
}

/// Whether a range, widened to whole minutes, holds an instant.
fn holds([from, to]: [DateTime<Utc>; 2], at: DateTime<Utc>) -> bool {
    let minute = |at: DateTime<Utc>| at.timestamp().div_euclid(60);
    minute(from) <= minute(at) && DateTime::from_timestamp(minute(at) * 60, 0).unwrap() < to
}

fn arguments([from, to]: [DateTime<Utc>; 2], granularity: &str, zone: Tz) -> String {
    let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
    format!(
        r#"range: {{from: "{from}", to: "{to}"}}, granularity: {granularity}, timezone: "{zone}""#
    )
}

/// When a bucket of an answer begins.
fn start(bucket: &Value) -> DateTime<Utc> {
    bucket["start"].as_str().unwrap().parse().unwrap()
}

/// Without groups the buckets are without gaps, and no two are one to the local clock.
fn assert_complete(buckets: &[Value], granularity: &str, zone: Tz, question: &str) {
    for pair in buckets.windows(2) {
        assert_eq!(pair[0]["end"], pair[1]["start"], "{question}");
        let key = |bucket| naive::bucket(start(bucket), granularity, zone);
        assert_ne!(key(&pair[0]), key(&pair[1]), "{question}");
    }
}

async fn check_sales(app: &TestApp, sold: &[Sale], random: &mut StdRng) {
    let (range, granularity, zone) = question(random);
    let groups: Vec<&str> = GROUPS
        .into_iter()
        .filter(|_| random.random_bool(0.35))
        .collect();
    let currency = *["USD", "EUR", "JPY", "KWD"].choose(random).unwrap();
    let query = format!(
        r#"{{ sales({}, groupBy: [{}], currency: "{currency}") {{
            buckets {{ start end category region channel productId revenue orders units averageOrderValue buyers }}
            totals {{ revenue orders units averageOrderValue buyers }}
            otherCurrencies provenance {{ lateEvents source }}
        }} }}"#,
        arguments(range, granularity, zone),
        groups.join(", ")
    );
    let answer = app.data(&query).await["sales"].take();

    let inside: Vec<Sale> = sold
        .iter()
        .filter(|sale| holds(range, sale.at))
        .cloned()
        .collect();
    let (expected, totals) =
        naive::sales(&inside, currency, (granularity, zone), &groups, category);
    assert_eq!(answer["totals"], totals, "{query}");
    let others: BTreeSet<&str> = inside
        .iter()
        .map(|sale| sale.currency)
        .filter(|code| *code != currency)
        .collect();
    assert_eq!(answer["otherCurrencies"], json!(others), "{query}");
    // Whatever the currency: all was sent long after.
    assert_eq!(
        answer["provenance"],
        json!({"lateEvents": inside.len(), "source": "ROLLUP_AND_RAW"}),
        "{query}"
    );

    let buckets = answer["buckets"].as_array().unwrap();
    assert!(buckets.is_sorted_by_key(start), "{query}");
    if groups.is_empty() {
        assert_complete(buckets, granularity, zone, &query);
    }
    let mut answered = BTreeMap::new();
    for bucket in buckets
        .iter()
        .filter(|bucket| !groups.is_empty() || bucket["orders"] != 0)
    {
        let word = |name: &str| bucket[name].as_str().map(str::to_owned);
        let group = ["category", "region", "channel", "productId"].map(word);
        let mut measures = bucket.clone();
        for name in ["start", "end", "category", "region", "channel", "productId"] {
            measures.as_object_mut().unwrap().remove(name);
        }
        let key = (naive::bucket(start(bucket), granularity, zone), group);
        assert_eq!(answered.insert(key, measures), None, "twice in {query}");
    }
    assert_eq!(answered, expected, "{query}");
}

#[tokio::test]
async fn the_rollup_says_what_the_orders_say() {
    let mut random = StdRng::seed_from_u64(1);
    let app = later().await;
    let listed: Vec<(&str, Vec<&str>)> = PRODUCTS[..5]
        .iter()
        .map(|(id, path)| {
            (
                *id,
                path.split(" > ").filter(|name| !name.is_empty()).collect(),
            )
        })
        .collect();
    let listed: Vec<(&str, &[&str])> = listed
        .iter()
        .map(|(id, path)| (*id, path.as_slice()))
        .collect();
    put(&app, &listed).await;
    let sold: Vec<Sale> = (0..1_500).map(|_| sale(&mut random)).collect();
    let events: Vec<Value> = sold.iter().map(event).collect();
    // In several transactions, so that rows of the rollup are added to.
    for some in events.chunks(400) {
        app.accept(some).await;
    }
    for _ in 0..120 {
        check_sales(&app, &sold, &mut random).await;
    }
}

#[tokio::test]
async fn the_traffic_rollup_says_what_the_events_say() {
    let mut random = StdRng::seed_from_u64(2);
    let app = later().await;
    let happened: Vec<(DateTime<Utc>, &str, String)> = (0..1_500)
        .map(|_| {
            let event_type = *["pageview", "purchase", "add_to_cart", "shop:click"]
                .choose(&mut random)
                .unwrap();
            (
                time(&mut random),
                event_type,
                format!("u{}", random.random_range(0..60)),
            )
        })
        .collect();
    let event = |(at, event_type, user): &(DateTime<Utc>, &str, String)| match *event_type {
        "pageview" => pageview(user, "/", at.to_rfc3339()),
        "purchase" => Order::of("mug").by(user).at(at.to_rfc3339()).event(),
        other => json!({"type": other, "timestamp": at.to_rfc3339(), "userId": user}),
    };
    let events: Vec<Value> = happened.iter().map(event).collect();
    for some in events.chunks(400) {
        app.accept(some).await;
    }
    for _ in 0..60 {
        let (range, granularity, zone) = question(&mut random);
        let measures = "events eventsByType { type events } pageviews users";
        let arguments = arguments(range, granularity, zone);
        let query = format!(
            "{{ traffic({arguments}) {{ buckets {{ start end {measures} }} totals {{ {measures} }} provenance {{ lateEvents }} }} }}"
        );
        let answer = app.data(&query).await["traffic"].take();

        let measures = |events: &[&(DateTime<Utc>, &str, String)]| {
            let mut types: BTreeMap<&str, u64> = BTreeMap::new();
            // A visitor and a user of one name are two.
            let mut users = BTreeSet::new();
            for (_, event_type, user) in events {
                *types.entry(event_type).or_default() += 1;
                users.insert((*event_type == "pageview", user));
            }
            let pageviews = types.get("pageview").copied().unwrap_or_default();
            let by_type: Vec<Value> = types
                .iter()
                .map(|(name, n)| json!({"type": name, "events": n}))
                .collect();
            json!({"events": events.len(), "eventsByType": by_type, "pageviews": pageviews, "users": users.len()})
        };
        let inside: Vec<_> = happened
            .iter()
            .filter(|(at, ..)| holds(range, *at))
            .collect();
        assert_eq!(answer["totals"], measures(&inside), "{query}");
        assert_eq!(answer["provenance"]["lateEvents"], inside.len(), "{query}");
        let buckets = answer["buckets"].as_array().unwrap();
        assert_complete(buckets, granularity, zone, &query);
        for answered in buckets {
            let key = naive::bucket(start(answered), granularity, zone);
            let its = |event: &&&(DateTime<Utc>, &str, String)| {
                naive::bucket(event.0, granularity, zone) == key
            };
            let own: Vec<_> = inside.iter().filter(its).copied().collect();
            let mut answered = answered.clone();
            answered
                .as_object_mut()
                .unwrap()
                .retain(|name, _| name != "start" && name != "end");
            assert_eq!(answered, measures(&own), "{key} of {query}");
        }
    }
}
