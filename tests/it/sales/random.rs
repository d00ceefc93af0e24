//! Whatever is sold and paid back, by whomever, and however it is asked for: the rollup says what the
//! orders say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sea_orm::sqlx;
use serde_json::{Value, json};

use super::naive::{self, Sale};
use super::{later, put};
use crate::support::{Order, TestApp, assert_consistent, pageview};

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
    if product.is_empty() {
        return "";
    }
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

/// What bots and others call themselves.
const BOT: &str = "PriceWatchBot/0.3";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";

fn sale(random: &mut StdRng) -> Sale {
    let refund = random.random_bool(0.2);
    let line = |random: &mut StdRng| {
        let amount = random.random_range(0..100_000);
        if refund && random.random_bool(0.3) {
            return ("", 0, amount);
        }
        let (product, _) = *PRODUCTS.choose(random).unwrap();
        (product, random.random_range(1..5), amount)
    };
    let lines = random.random_range(1..5);
    Sale {
        at: time(random),
        refund,
        bot: random.random_bool(0.2),
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
    let line = |(product, quantity, minor): &(&str, i64, i64)| {
        let amount = naive::decimal(*minor, sale.currency);
        match *product {
            "" => json!({"amount": amount}),
            product => json!({"productId": product, "quantity": quantity, "amount": amount}),
        }
    };
    let lines: Vec<Value> = sale.lines.iter().map(line).collect();
    let order = Order::of("mug")
        .by(&sale.user)
        .at(sale.at.to_rfc3339())
        .with("currency", sale.currency)
        .with("type", if sale.refund { "refund" } else { "purchase" })
        .with("userAgent", if sale.bot { BOT } else { BROWSER })
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
    let bots = random.random_bool(0.5);
    let measures = "revenue refunds netRevenue orders units averageOrderValue buyers";
    let query = format!(
        r#"{{ sales({}, groupBy: [{}], currency: "{currency}", includeBots: {bots}) {{
            buckets {{ start end category region channel productId {measures} }} totals {{ {measures} }}
            otherCurrencies provenance {{ lateEvents excludedBots source }}
        }} }}"#,
        arguments(range, granularity, zone),
        groups.join(", ")
    );
    let answer = app.data(&query).await["sales"].take();

    let inside = sold.iter().filter(|sale| holds(range, sale.at)).cloned();
    let (inside, left_out): (Vec<Sale>, Vec<Sale>) = inside.partition(|sale| bots || !sale.bot);
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
    let mut provenance = answer["provenance"].clone();
    // What is summed up meanwhile is read from there.
    let source = provenance["source"].take();
    assert!(
        ["ROLLUP", "ROLLUP_AND_RAW"].contains(&source.as_str().unwrap()),
        "{query}"
    );
    assert_eq!(
        provenance,
        json!({"lateEvents": inside.len(), "excludedBots": left_out.len(), "source": null}),
        "{query}"
    );

    let buckets = answer["buckets"].as_array().unwrap();
    assert!(buckets.is_sorted_by_key(start), "{query}");
    if groups.is_empty() {
        assert_complete(buckets, granularity, zone, &query);
    }
    let mut answered = BTreeMap::new();
    for bucket in buckets {
        let word = |name: &str| bucket[name].as_str().map(str::to_owned);
        let group = ["category", "region", "channel", "productId"].map(word);
        let mut measures = bucket.clone();
        for name in ["start", "end", "category", "region", "channel", "productId"] {
            measures.as_object_mut().unwrap().remove(name);
        }
        let key = (naive::bucket(start(bucket), granularity, zone), group);
        if groups.is_empty() && !expected.contains_key(&key) {
            // Every bucket is there, those in which nothing happened too.
            let nothing = naive::decimal(0, currency);
            assert_eq!(measures["refunds"], nothing, "{query}");
            assert_eq!(measures["orders"], 0, "{query}");
            continue;
        }
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
    assert_consistent(&app.db).await;
    for _ in 0..120 {
        check_sales(&app, &sold, &mut random).await;
    }
}

/// What happened, as a test knows it: when, what, by whom, and whether they are a bot.
type Happened = (DateTime<Utc>, &'static str, String, bool);

fn happened(random: &mut StdRng) -> Happened {
    let event_type = *["pageview", "purchase", "add_to_cart", "shop:click"]
        .choose(random)
        .unwrap();
    let user = format!("u{}", random.random_range(0..60));
    (time(random), event_type, user, random.random_bool(0.2))
}

fn sent((at, event_type, user, bot): &Happened) -> Value {
    let at = at.to_rfc3339();
    let mut event = match *event_type {
        "pageview" => pageview(user, "/", at),
        "purchase" => Order::of("mug").by(user).at(at).event(),
        other => json!({"type": other, "timestamp": at, "userId": user}),
    };
    event["userAgent"] = if *bot { BOT } else { BROWSER }.into();
    event
}

/// What `traffic` has to say of these events.
fn traffic(events: &[&Happened]) -> Value {
    let mut types: BTreeMap<&str, u64> = BTreeMap::new();
    // A visitor and a user of one name are two.
    let mut users = BTreeSet::new();
    for (_, event_type, user, _) in events {
        *types.entry(event_type).or_default() += 1;
        users.insert((*event_type == "pageview", user));
    }
    let pageviews = types.get("pageview").copied().unwrap_or_default();
    let by_type: Vec<Value> = types
        .iter()
        .map(|(name, n)| json!({"type": name, "events": n}))
        .collect();
    json!({"events": events.len(), "eventsByType": by_type, "pageviews": pageviews, "users": users.len()})
}

/// The zone of the tenant whose traffic is asked for.
const TENANT_ZONE: Tz = Tz::Europe__Berlin;

/// Whether a day begins there and then; Berlin's clocks are never changed at midnight.
fn is_midnight(at: DateTime<Utc>) -> bool {
    at.with_timezone(&TENANT_ZONE).time() == chrono::NaiveTime::MIN
}

/// The midnight before.
fn midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    let day = at.with_timezone(&TENANT_ZONE).date_naive();
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    midnight
        .and_local_timezone(TENANT_ZONE)
        .unwrap()
        .with_timezone(&Utc)
}

/// Asks, compares, and says whether users were counted over days.
async fn check_traffic(app: &TestApp, happened: &[Happened], random: &mut StdRng) -> bool {
    let (mut range, granularity, mut zone) = question(random);
    if random.random_bool(0.5) {
        range = [midnight(range[0]), midnight(range[1] + TimeDelta::days(2))];
        zone = TENANT_ZONE;
    }
    let granularity = if range[1] - range[0] > TimeDelta::days(7) && granularity == "MINUTE" {
        "HOUR"
    } else {
        granularity
    };
    let bots = random.random_bool(0.5);
    let measures = "events eventsByType { type events } pageviews users";
    let arguments = arguments(range, granularity, zone);
    let query = format!(
        "{{ traffic({arguments}, includeBots: {bots}) {{ buckets {{ start end {measures} }} totals {{ {measures} }} provenance {{ lateEvents excludedBots source watermark quarantined }} }} }}"
    );
    let answer = app.data(&query).await["traffic"].take();

    let inside = happened.iter().filter(|(at, ..)| holds(range, *at));
    let (inside, left_out): (Vec<_>, Vec<_>) = inside.partition(|(.., bot)| bots || !bot);
    assert_eq!(answer["totals"], traffic(&inside), "{query}");
    let buckets = answer["buckets"].as_array().unwrap();
    assert_complete(buckets, granularity, zone, &query);
    for answered in buckets {
        let key = naive::bucket(start(answered), granularity, zone);
        let its = |event: &&&Happened| naive::bucket(event.0, granularity, zone) == key;
        let own: Vec<_> = inside.iter().filter(its).copied().collect();
        let mut answered = answered.clone();
        answered
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "start" && name != "end");
        assert_eq!(answered, traffic(&own), "{key} of {query}");
    }

    let end = buckets.last().unwrap()["end"].as_str().unwrap();
    let days = buckets.iter().map(start).all(is_midnight) && is_midnight(end.parse().unwrap());
    let latest = happened.iter().map(|(at, ..)| *at).max().unwrap();
    let watermark = answer["provenance"]["watermark"].as_str().unwrap();
    assert_eq!(watermark.parse::<DateTime<Utc>>().unwrap(), latest);
    // What is over may be summed up by now; of bots nothing is.
    let source = match answer["provenance"]["source"].as_str() {
        Some("ROLLUP") if !bots => "ROLLUP",
        _ if days => "ROLLUP_AND_USER_DAYS",
        _ => "ROLLUP_AND_RAW",
    };
    assert_eq!(
        answer["provenance"],
        json!({
            "lateEvents": inside.len(), "excludedBots": left_out.len(), "source": source,
            "watermark": watermark, "quarantined": 0,
        }),
        "{query}"
    );
    days
}

#[tokio::test]
async fn the_traffic_rollup_says_what_the_events_say() {
    let mut random = StdRng::seed_from_u64(2);
    let app = later().await;
    sqlx::query("UPDATE tenant SET timezone = $1")
        .bind(TENANT_ZONE.name())
        .execute(&mut app.db.connect().await)
        .await
        .unwrap();
    let happened: Vec<Happened> = (0..1_500).map(|_| happened(&mut random)).collect();
    let events: Vec<Value> = happened.iter().map(sent).collect();
    for some in events.chunks(400) {
        app.accept(some).await;
    }
    assert_consistent(&app.db).await;
    let mut over_days = 0;
    for _ in 0..80 {
        over_days += u32::from(check_traffic(&app, &happened, &mut random).await);
    }
    assert!((10..70).contains(&over_days), "{over_days}");
}
