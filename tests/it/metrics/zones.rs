//! In every time zone there is, around its own changes of the clock, each bucket has what the events
//! say. Where buckets begin is found by looking at the clock, minute by minute.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, Offset, TimeDelta, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use futures_util::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tidewater::app::Role;

use super::measures::decimal;
use crate::support::{Order, TestApp, TestDb, pageview};

/// Where the facts are: Samoa skipped a day at the end of 2011.
const YEARS: [&str; 2] = ["2010-01-01T00:00:00Z", "2018-12-31T00:00:00Z"];
const FACTS: usize = 3_000;
/// How many questions are asked at once.
const AT_ONCE: usize = 4;
const USERS: usize = 12;
/// Of each granularity its minutes, 0 where it goes by the calendar; and how many minutes a range
/// goes at most to either side of a change.
const GRANULARITIES: [(&str, i64, i64); 10] = [
    ("MINUTE", 1, 90),
    ("FIVE_MINUTES", 5, 600),
    ("QUARTER_HOUR", 15, 1_440),
    ("HOUR", 60, 2 * 1_440),
    ("DAY", 0, 10 * 1_440),
    ("WEEK", 0, 40 * 1_440),
    ("MONTH", 0, 150 * 1_440),
    ("QUARTER", 0, 300 * 1_440),
    ("YEAR", 0, 900 * 1_440),
    ("TOTAL", 0, 60 * 1_440),
];
/// No clock went back by more in these years.
const MOST_BACK: i64 = 200;

const QUERY: &str = "query($input: MetricsInput!) { metrics(input: $input) {
    series { measure total buckets { start value } } } }";

/// What happened.
struct Fact {
    at: DateTime<Utc>,
    user: usize,
    /// What was paid, of orders.
    cents: Option<i128>,
}

impl Fact {
    fn event(&self) -> Value {
        let user = format!("u{}", self.user);
        match self.cents {
            Some(cents) => Order::of("mug")
                .by(&user)
                .at(self.at.to_rfc3339())
                .for_amount(&decimal(cents, 2))
                .event(),
            None => {
                let mut event = pageview("nobody", "/", self.at.to_rfc3339());
                let fields = event.as_object_mut().unwrap();
                fields.remove("anonymousId");
                fields.insert("userId".to_owned(), user.into());
                event
            }
        }
    }
}

/// A question about a zone.
struct Asked {
    zone: Tz,
    granularity: &'static str,
    step: i64,
    range: [DateTime<Utc>; 2],
}

fn offset(at: DateTime<Utc>, zone: Tz) -> i32 {
    at.with_timezone(&zone).offset().fix().local_minus_utc()
}

/// When a zone's clock was changed, in the years that there are, and by how many seconds.
fn changes(zone: Tz) -> Vec<(DateTime<Utc>, i32)> {
    let [mut at, end] = YEARS.map(|at| at.parse::<DateTime<Utc>>().unwrap());
    let mut changes = Vec::new();
    while at < end {
        let (mut before, mut after) = (at, at + TimeDelta::days(5));
        at = after;
        let change = offset(after, zone) - offset(before, zone);
        if change == 0 {
            continue;
        }
        let was = offset(before, zone);
        while after - before > TimeDelta::minutes(1) {
            let middle = before + TimeDelta::minutes((after - before).num_minutes() / 2);
            if offset(middle, zone) == was {
                before = middle;
            } else {
                after = middle;
            }
        }
        changes.push((after, change));
    }
    changes
}

/// One of a zone's changes: of those that are not by an hour, if there are any.
fn change(random: &mut StdRng, zone: Tz) -> Option<DateTime<Utc>> {
    let all = changes(zone);
    let odd: Vec<_> = all.iter().filter(|one| one.1.abs() != 3_600).collect();
    let chosen = odd.choose(random).copied().or_else(|| all.choose(random));
    chosen.map(|(at, _)| *at)
}

/// The day that an instant is counted to: where the clock goes back over midnight, the day that has
/// begun goes on.
fn day(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    let date = |back: i64| {
        let at = at - TimeDelta::minutes(back);
        at.with_timezone(&zone).date_naive()
    };
    if offset(at, zone) == offset(at - TimeDelta::minutes(MOST_BACK), zone) {
        return date(0);
    }
    (0..=MOST_BACK).map(date).max().unwrap()
}

/// What the calendar calls the bucket of an instant.
fn period(at: DateTime<Utc>, granularity: &str, zone: Tz) -> NaiveDate {
    let day = day(at, zone);
    let month = |month: u32| NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap();
    match granularity {
        "DAY" => day,
        "WEEK" => day - Days::new(day.weekday().num_days_from_monday().into()),
        "MONTH" => month(day.month()),
        "QUARTER" => month((day.month() - 1) / 3 * 3 + 1),
        "YEAR" => month(1),
        _ => NaiveDate::MIN,
    }
}

impl Asked {
    /// Where the buckets begin that are shorter than a day.
    fn starts(&self) -> Vec<DateTime<Utc>> {
        let [from, to] = self.range;
        let read = |at: DateTime<Utc>| {
            let clock = at.with_timezone(&self.zone).naive_local();
            let minute = i64::from(clock.hour() * 60 + clock.minute());
            (clock.date(), minute / self.step, minute % self.step)
        };
        let mut starts = vec![from];
        let mut before = read(from);
        let mut at = from + TimeDelta::minutes(1);
        while at < to {
            let now = read(at);
            if now.2 == 0 || (now.0, now.1) != (before.0, before.1) {
                starts.push(at);
            }
            before = now;
            at += TimeDelta::minutes(1);
        }
        starts
    }

    /// A name for the bucket of each instant, alike where it is one.
    fn buckets(&self) -> impl Fn(DateTime<Utc>) -> String {
        let starts = if self.step > 0 {
            self.starts()
        } else {
            Vec::new()
        };
        let (step, granularity, zone) = (self.step, self.granularity, self.zone);
        move |at| {
            if step > 0 {
                let place = starts.partition_point(|start| *start <= at);
                starts[place - 1].to_rfc3339()
            } else {
                period(at, granularity, zone).to_string()
            }
        }
    }
}

/// Revenue, orders, events and users of some facts.
fn measured(facts: &[&Fact]) -> [String; 4] {
    let orders = facts.iter().filter_map(|fact| fact.cents);
    let users: BTreeSet<usize> = facts.iter().map(|fact| fact.user).collect();
    [
        decimal(orders.clone().sum(), 2),
        orders.count().to_string(),
        facts.len().to_string(),
        users.len().to_string(),
    ]
}

/// Asks, and compares; how many facts there were.
async fn check(app: &TestApp, facts: &[Fact], asked: Asked) -> usize {
    let [from, to] = asked.range;
    let input = json!({
        "measures": ["REVENUE", "ORDERS", "EVENTS", "USERS"],
        "range": {"between": {"from": from.to_rfc3339(), "to": to.to_rfc3339()}},
        "granularity": asked.granularity, "timezone": asked.zone.name(),
    });
    let answer = app.ask_with(QUERY, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer} of {input}");
    let series = answer["data"]["metrics"]["series"].as_array().unwrap();

    let there = |fact: &&Fact| fact.at >= from && fact.at < to;
    let there: Vec<&Fact> = facts.iter().filter(there).collect();
    let name = asked.buckets();
    let mut expected: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
    for fact in &there {
        expected.entry(name(fact.at)).or_default().push(fact);
    }
    let totals: Vec<&str> = series
        .iter()
        .map(|one| one["total"].as_str().unwrap())
        .collect();
    assert_eq!(totals, measured(&there), "{input}");
    let length = series[0]["buckets"].as_array().unwrap().len();
    if asked.step > 0 {
        assert_eq!(length, asked.starts().len(), "{input}");
    }
    for n in 0..length {
        let bucket = |one: &Value, field: &str| {
            let value = &one["buckets"][n][field];
            value.as_str().unwrap().to_owned()
        };
        let start: DateTime<Utc> = bucket(&series[0], "start").parse().unwrap();
        if asked.step > 0 {
            assert_eq!(name(start), start.to_rfc3339(), "{input}");
        }
        let values: Vec<String> = series.iter().map(|one| bucket(one, "value")).collect();
        let own = expected.remove(&name(start)).unwrap_or_default();
        assert_eq!(values, measured(&own), "{start} of {input}");
    }
    // No bucket is lacking, and none came twice with something in it.
    assert!(expected.is_empty(), "{:?} of {input}", expected.keys());
    there.len()
}

fn question(random: &mut StdRng, n: usize, zone: Tz, around: DateTime<Utc>) -> Asked {
    let (granularity, step, reach) = GRANULARITIES[n % GRANULARITIES.len()];
    let mut side = || TimeDelta::minutes(random.random_range(1..=reach));
    Asked {
        zone,
        granularity,
        step,
        range: [around - side(), around + side()],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_zone_has_its_own_days_and_hours() {
    let mut random = StdRng::seed_from_u64(11);
    // Without the jobs: what is summed up is asked for elsewhere, and the calendar is the same.
    let app = TestApp::with_role(TestDb::migrated().await, Role::Api).await;
    let mut zones: Vec<(Tz, DateTime<Utc>)> = Vec::new();
    let mut fixed = Vec::new();
    for zone in TZ_VARIANTS {
        match change(&mut random, zone) {
            Some(at) => zones.push((zone, at)),
            None => fixed.push(zone),
        }
    }
    // The others have no changes, so anybody's will do.
    let moments: Vec<DateTime<Utc>> = zones.iter().map(|(_, at)| *at).collect();
    for zone in fixed {
        zones.push((zone, *moments.choose(&mut random).unwrap()));
    }
    zones.shuffle(&mut random);

    let facts: Vec<Fact> = (0..FACTS)
        .map(|n| {
            let around = zones[n % zones.len()].1;
            let hours = *[2, 12, 240].choose(&mut random).unwrap();
            let seconds = random.random_range(-3_600 * hours..3_600 * hours);
            Fact {
                at: around + TimeDelta::seconds(seconds),
                user: random.random_range(0..USERS),
                cents: random
                    .random_bool(0.5)
                    .then(|| random.random_range(0..50_000)),
            }
        })
        .collect();
    let events: Vec<Value> = facts.iter().map(Fact::event).collect();
    app.accept(&events).await;

    let asked: Vec<Asked> = zones
        .iter()
        .enumerate()
        .map(|(n, (zone, around))| question(&mut random, n, *zone, *around))
        .collect();
    let checks = stream::iter(asked).map(|asked| check(&app, &facts, asked));
    let found: Vec<usize> = checks.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(found.len(), TZ_VARIANTS.len());
    let with_facts = found.iter().filter(|facts| **facts > 0).count();
    assert!(
        2 * with_facts > found.len(),
        "{with_facts} questions had facts"
    );
}
