//! Whatever happened, and however it is asked for: each measure, told apart and narrowed by
//! whatever it has, says what the events say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use sea_orm::sqlx;
use serde_json::{Value, json};

use super::measures::{MEASURES, Measure};
use super::naive::{Cells, Fact, Filter, Question, TENANT_ZONE, World};
use super::world::{PRODUCTS, happened, identified, time};
use crate::sales::naive::bucket;
use crate::sales::{later, put};
use crate::support::{TestApp, assert_consistent};

const ZONES: [Tz; 6] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Asia__Kathmandu,
    Tz::America__St_Johns,
    Tz::Asia__Tokyo,
];
const GRANULARITIES: [(&str, i64); 10] = [
    ("MINUTE", 1),
    ("FIVE_MINUTES", 3),
    ("QUARTER_HOUR", 10),
    ("HOUR", 40),
    ("DAY", 60),
    ("WEEK", 60),
    ("MONTH", 60),
    ("QUARTER", 60),
    ("YEAR", 60),
    ("TOTAL", 60),
];
fn filter(random: &mut StdRng, dimensions: &[&'static str], depth: u32) -> Filter {
    let kind = if depth == 0 {
        2
    } else {
        random.random_range(0..8)
    };
    let inner = |random: &mut StdRng| filter(random, dimensions, depth - 1);
    match kind {
        0 => Filter::And(vec![inner(random), inner(random)]),
        1 => Filter::Or(vec![inner(random), inner(random)]),
        3 => Filter::Not(Box::new(inner(random))),
        4 => Filter::Color("red"),
        5 => Filter::MinPrice(random.random_range(-5..20)),
        _ => {
            let dimension = *dimensions.choose(random).unwrap();
            let values: &[&str] = match dimension {
                "EVENT_TYPE" => &["pageview", "purchase", "add_to_cart", "nothing"],
                "CATEGORY" => &["Kitchen", "Kitchen > Coffee", "Garden", ""],
                "PRODUCT" => &["mug", "spade", "oddment"],
                "REGION" => &["DE", "Île", ""],
                "CHANNEL" => &["ads", ""],
                "CAMPAIGN" => &["spring", ""],
                "DEVICE" => &["mobile", "tablet", "desktop"],
                "CURRENCY" => &["USD", "EUR"],
                "PAGE_URL" => &["/", "/a,\"b\""],
                _ => &["2026-02", "2026-03", ""],
            };
            let some = random.random_range(1..=2.min(values.len()));
            let chosen = values.choose_multiple(random, some);
            Filter::Dimension(dimension, chosen.map(ToString::to_string).collect())
        }
    }
}

fn input_of(filter: &Filter) -> Value {
    let all = |filters: &[Filter]| filters.iter().map(input_of).collect::<Value>();
    match filter {
        Filter::And(inner) => json!({"and": all(inner)}),
        Filter::Or(inner) => json!({"or": all(inner)}),
        Filter::Not(inner) => json!({"not": input_of(inner)}),
        Filter::Dimension(dimension, values) => {
            json!({"dimension": {"dimension": dimension, "in": values}})
        }
        Filter::Color(color) => json!({"property": {"path": ["deep", "color"], "in": [color]}}),
        Filter::MinPrice(least) => json!({"property": {"path": ["price"], "min": least}}),
    }
}

/// A range on whole minutes, some of it on midnights of the tenant.
fn range(random: &mut StdRng, days: i64, on_midnights: f64) -> [DateTime<Utc>; 2] {
    let minute = |at: DateTime<Utc>| at.with_second(0).unwrap().with_nanosecond(0).unwrap();
    let from = minute(time(random));
    let minutes = random.random_range(1..=1_440 * days);
    let to = from + TimeDelta::minutes(minutes);
    if !random.random_bool(on_midnights) {
        // Some on quarters of an hour.
        let quarter = |at: DateTime<Utc>| at - TimeDelta::minutes(i64::from(at.minute() % 15));
        let bounds = if random.random_bool(0.5) {
            [quarter(from), quarter(to + TimeDelta::minutes(15))]
        } else {
            [from, to]
        };
        return bounds;
    }
    let midnight = |at: DateTime<Utc>| {
        let day = at.with_timezone(&TENANT_ZONE).date_naive();
        let midnight = day.and_time(chrono::NaiveTime::MIN);
        midnight
            .and_local_timezone(TENANT_ZONE)
            .unwrap()
            .with_timezone(&Utc)
    };
    [midnight(from), midnight(to + TimeDelta::days(1))]
}

pub const QUERY: &str = "query($input: MetricsInput!) { metrics(input: $input) {
    timezone rowsRead warnings plan { subject summed reads }
    series { measure currency other dimensions { dimension value } total comparedTotal
             buckets { start end value compared } }
    provenance { source lateEvents }
} }";

/// A random question, with the measures that it asks for and whether nothing is zero.
fn question(random: &mut StdRng) -> (Question, Vec<&'static Measure>, bool) {
    let mut measures: Vec<&Measure> = MEASURES.iter().collect();
    measures.shuffle(random);
    // Now and then one that days of users may answer, or of who came for the first time.
    let by_day = random.random_bool(0.1);
    let is_of_newcomers = !by_day && random.random_bool(0.1);
    if by_day {
        measures.retain(|measure| matches!(measure.name, "USERS" | "BUYERS"));
    } else if is_of_newcomers {
        measures.retain(|measure| measure.name.starts_with("NEW_"));
    }
    measures.truncate(random.random_range(1..=3));
    let mut dimensions: Vec<&'static str> = measures[0].dimensions.to_vec();
    let all_have = |one: &&str| {
        measures
            .iter()
            .all(|measure| measure.dimensions.contains(one))
    };
    dimensions.retain(all_have);
    dimensions.sort_unstable();
    dimensions.dedup();
    let known = dimensions.clone();
    dimensions.shuffle(random);
    dimensions.truncate(if by_day || is_of_newcomers {
        0
    } else {
        random.random_range(0..=2)
    });
    let granularities = if by_day {
        &GRANULARITIES[4..]
    } else {
        &GRANULARITIES
    };
    let (granularity, days) = *granularities.choose(random).unwrap();
    let narrowed = !by_day && !is_of_newcomers && !known.is_empty() && random.random_bool(0.4);
    let zone = *ZONES.choose(random).unwrap();
    let on_midnights = match granularity {
        // Whole days would have more values than an answer may.
        "MINUTE" => 0.0,
        _ if by_day => 0.9,
        _ => 0.3,
    };
    let question = Question {
        range: range(random, days, on_midnights),
        granularity,
        zone: if by_day { TENANT_ZONE } else { zone },
        level: Some(random.random_range(1..4)).filter(|_| random.random_bool(0.5)),
        filter: narrowed.then(|| filter(random, &known, 2)),
        currency: *[None, Some("USD"), Some("EUR")].choose(random).unwrap(),
        bots: random.random_bool(0.5),
        dimensions,
    };
    (question, measures, random.random_bool(0.5))
}

fn input(question: &Question, measures: &[&Measure], zero: bool) -> Value {
    let [from, to] = question.range.map(|at| at.to_rfc3339());
    json!({
        "measures": measures.iter().map(|measure| measure.name).collect::<Value>(),
        "dimensions": question.dimensions,
        "categoryLevel": question.level,
        "range": {"between": {"from": from, "to": to}},
        "granularity": question.granularity,
        "timezone": question.zone.name(),
        "filter": question.filter.as_ref().map(input_of),
        "fill": if zero { "ZERO" } else { "NULL" },
        "currency": question.currency,
        "includeBots": question.bots,
        "limit": 1_000,
    })
}

/// What was counted of each subject.
type Counted<'a> = BTreeMap<&'a str, Cells>;

/// A measure of what was counted in a bucket of a group.
fn value(
    measure: &Measure,
    counted: &Counted<'_>,
    (group, bucket): (&[String], &str),
    zero: bool,
) -> Option<String> {
    let number = |(subject, quantity): &(&str, &str)| {
        let numbers = counted[subject].get(&(group.to_vec(), bucket.to_owned()))?;
        numbers.get(quantity).copied()
    };
    let numbers: Vec<Option<i128>> = measure.of.iter().map(number).collect();
    let of_nothing = match measure.name {
        "REVENUE" | "REFUNDS" | "NET_REVENUE" => Some("0.00"),
        _ if measure.of.len() == 1 => Some("0"),
        _ => None,
    };
    let of_nothing = of_nothing.filter(|_| zero).map(str::to_owned);
    (measure.formula)(&numbers).or(of_nothing)
}

/// Asks, compares, and says what was read.
async fn check(app: &TestApp, world: &World, random: &mut StdRng) -> Vec<String> {
    let (question, measures, zero) = question(random);
    let input = input(&question, &measures, zero);
    let answer = app.ask_with(QUERY, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer} of {input}");
    let answer = &answer["data"]["metrics"];

    let subjects = measures.iter().flat_map(|one| one.of).map(|one| one.0);
    let subjects: BTreeSet<&str> = subjects.collect();
    let count = |question: &Question| -> Counted<'_> {
        let counted = |subject: &&'static str| (*subject, world.count(subject, question));
        subjects.iter().map(counted).collect()
    };
    let in_buckets = count(&question);
    let in_total = count(&Question {
        granularity: "TOTAL",
        ..question.clone()
    });
    let keys = in_total.values().flat_map(Cells::keys);
    let mut groups: BTreeSet<Vec<String>> = keys.map(|(group, _)| group.clone()).collect();
    if question.dimensions.is_empty() {
        groups.insert(Vec::new());
    }

    let series = answer["series"].as_array().unwrap();
    let mut answered = BTreeSet::new();
    for one in series {
        let is_its = |measure: &&&Measure| one["measure"] == measure.name;
        let measure = *measures.iter().find(is_its).unwrap();
        let values = one["dimensions"].as_array().unwrap().iter();
        let group: Vec<String> = values
            .map(|value| value["value"].as_str().unwrap().to_owned())
            .collect();
        let context = format!("{} of {group:?} in {input}", measure.name);
        assert_eq!(one["other"], false, "{context}");
        let total = value(measure, &in_total, (&group, ""), zero);
        assert_eq!(one["total"], json!(total), "total: {context}");
        let mut buckets = BTreeSet::new();
        for point in one["buckets"].as_array().unwrap() {
            let start: DateTime<Utc> = point["start"].as_str().unwrap().parse().unwrap();
            let bucket = bucket(start, question.granularity, question.zone);
            let expected = value(measure, &in_buckets, (&group, &bucket), zero);
            assert_eq!(point["value"], json!(expected), "{bucket}: {context}");
            assert!(buckets.insert(bucket), "twice: {context}");
        }
        let own = in_buckets.values().flat_map(Cells::keys);
        for (_, bucket) in own.filter(|(its, _)| *its == group) {
            assert!(buckets.contains(bucket), "{bucket} lacks: {context}");
        }
        answered.insert(group);
    }
    assert_eq!(answered, groups, "{input}");
    assert_eq!(series.len(), groups.len() * measures.len(), "{input}");
    let plan = answer["plan"].as_array().unwrap().iter();
    plan.map(|step| match &step["summed"] {
        Value::Bool(true) => format!("summary of {}", step["subject"].as_str().unwrap()),
        _ => step["reads"].as_str().unwrap().to_owned(),
    })
    .collect()
}

/// Waits until every hour that is over is summed up.
pub async fn summed_up(app: &TestApp) {
    let missing = "SELECT count(*) FROM changed_hour AS its
         WHERE hour > 0 AND to_timestamp(hour * 3600.0) < now() - interval '1 day'
               AND NOT EXISTS (
                   SELECT FROM summarised
                   WHERE span = 1 AND start <= to_timestamp(hour * 3600.0)
                         AND finish > to_timestamp(hour * 3600.0) AND change >= number)";
    for _ in 0..600 {
        if app.db.number(missing).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not all that is over is summed up");
}

#[tokio::test]
async fn every_measure_says_what_the_events_say() {
    let mut random = StdRng::seed_from_u64(3);
    let app = later().await;
    sqlx::query("UPDATE tenant SET timezone = $1")
        .bind(TENANT_ZONE.name())
        .execute(&mut app.db.connect().await)
        .await
        .unwrap();
    let listed = PRODUCTS.map(|(id, path)| {
        let names: Vec<&str> = path.split(" > ").filter(|name| !name.is_empty()).collect();
        (id, names)
    });
    let listed: Vec<(&str, &[&str])> = listed
        .iter()
        .map(|(id, path)| (*id, path.as_slice()))
        .collect();
    put(&app, &listed).await;
    let mut all: Vec<(Value, Fact)> = (0..1_500).map(|n| happened(&mut random, n)).collect();
    all.extend((0..5).map(|user| identified(2_000 + user, user, time(&mut random))));
    all.shuffle(&mut random);
    let mut read: BTreeMap<String, u32> = BTreeMap::new();
    let mut known: Vec<Fact> = Vec::new();
    // What is not summed up yet, what is, what is and then changes, and what is again.
    for (share, wait, questions) in [
        (1_000, false, 60),
        (0, true, 80),
        (505, false, 50),
        (0, true, 50),
    ] {
        let (events, facts): (Vec<Value>, Vec<Fact>) = all.drain(..share).unzip();
        for some in events.chunks(400) {
            app.accept(some).await;
        }
        known.extend(facts);
        if wait {
            summed_up(&app).await;
        }
        assert_consistent(&app.db).await;
        let world = World::new(known.clone());
        for _ in 0..questions {
            for table in check(&app, &world, &mut random).await {
                *read.entry(table).or_default() += 1;
            }
        }
    }
    // Each source was asked.
    for table in [
        "sales_minute",
        "sales_quarter",
        "traffic_minute",
        "traffic_quarter",
        "user_day",
        "event",
        "purchase, refund",
    ] {
        assert!(
            read.get(table).is_some_and(|times| *times > 2),
            "{table}: {read:?}"
        );
    }
    for subject in [
        "LINES",
        "BUYERS",
        "NEW_BUYERS",
        "EVENTS",
        "USERS",
        "CARTS",
        "NEW_USERS",
        "SESSIONS",
    ] {
        let summary = format!("summary of {subject}");
        assert!(read.contains_key(&summary), "{subject}: {read:?}");
    }
}
