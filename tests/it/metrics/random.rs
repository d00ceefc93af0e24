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
use uuid::Uuid;

use super::naive::{Cells, Fact, Filter, Question, TENANT_ZONE, World};
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
const PRODUCTS: [(&str, &str); 5] = [
    ("mug", "Kitchen > Coffee"),
    ("pot", "Kitchen > Coffee > Pots"),
    ("knife", "Kitchen"),
    ("spade", "Garden"),
    ("oddment", ""),
];
/// What a user agent calls itself, and what it is of.
const AGENTS: [(&str, &str, bool); 5] = [
    ("", "", false),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
        "desktop",
        false,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
        "mobile",
        false,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
        "tablet",
        false,
    ),
    ("PriceWatchBot/0.3", "desktop", true),
];
const BOUGHT: [&str; 9] = [
    "CATEGORY",
    "PRODUCT",
    "CURRENCY",
    "REGION",
    "CHANNEL",
    "CAMPAIGN",
    "DEVICE",
    "USER_COHORT",
    "REGION",
];
const DONE: [&str; 8] = [
    "EVENT_TYPE",
    "PAGE_URL",
    "REGION",
    "CHANNEL",
    "CAMPAIGN",
    "DEVICE",
    "USER_COHORT",
    "REGION",
];
const BOTH: [&str; 5] = ["REGION", "CHANNEL", "CAMPAIGN", "DEVICE", "USER_COHORT"];

/// A measure: its quantities, each with its subject; how it follows from them; its dimensions.
struct Measure {
    name: &'static str,
    of: &'static [(&'static str, &'static str)],
    formula: fn(&[Option<i128>]) -> Option<String>,
    dimensions: &'static [&'static str],
}

fn count(numbers: &[Option<i128>]) -> Option<String> {
    Some(numbers[0]?.to_string())
}

/// Cents as dollars; every currency of this test has two decimals.
fn money(numbers: &[Option<i128>]) -> Option<String> {
    Some(decimal(numbers[0]?, 2))
}

fn decimal(unscaled: i128, decimals: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// Of numbers that are not below zero, rounded half up.
fn ratio(above: Option<i128>, below: Option<i128>, decimals: u32) -> Option<String> {
    let below = below.filter(|below| *below > 0)?;
    let scaled = above.unwrap_or(0) * 10_i128.pow(decimals);
    Some(decimal(
        (2 * scaled + below) / (2 * below),
        decimals as usize,
    ))
}

const MEASURES: [Measure; 19] = [
    Measure {
        name: "REVENUE",
        of: &[("lines", "revenue")],
        formula: money,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "REFUNDS",
        of: &[("lines", "refunds")],
        formula: money,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "NET_REVENUE",
        of: &[("lines", "revenue"), ("lines", "refunds")],
        formula: |n| Some(decimal(n[0]? - n[1]?, 2)),
        dimensions: &BOUGHT,
    },
    Measure {
        name: "ORDERS",
        of: &[("lines", "orders")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "UNITS",
        of: &[("lines", "units")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "AVERAGE_ORDER_VALUE",
        of: &[("lines", "revenue"), ("lines", "orders")],
        formula: |n| {
            ratio(n[0], n[1], 0).map(|cents| decimal(cents[..cents.len() - 1].parse().unwrap(), 2))
        },
        dimensions: &BOUGHT,
    },
    Measure {
        name: "BUYERS",
        of: &[("buyers", "buyers")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "NEW_BUYERS",
        of: &[("newBuyers", "newBuyers")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "EVENTS",
        of: &[("events", "events")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "PAGEVIEWS",
        of: &[("events", "pageviews")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "CART_ADDS",
        of: &[("events", "cartAdds")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "USERS",
        of: &[("users", "users")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "NEW_USERS",
        of: &[("newUsers", "newUsers")],
        formula: count,
        dimensions: &[
            "PAGE_URL",
            "REGION",
            "CHANNEL",
            "CAMPAIGN",
            "DEVICE",
            "USER_COHORT",
        ],
    },
    Measure {
        name: "SESSIONS",
        of: &[("sessions", "sessions")],
        formula: count,
        dimensions: &[
            "PAGE_URL",
            "REGION",
            "CHANNEL",
            "CAMPAIGN",
            "DEVICE",
            "USER_COHORT",
        ],
    },
    Measure {
        name: "BOUNCE_RATE",
        of: &[("sessions", "bounces"), ("sessions", "sessions")],
        formula: |n| ratio(n[0], n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "SESSION_DURATION",
        of: &[("sessions", "time"), ("sessions", "sessions")],
        // Microseconds; every time of this test is whole milliseconds.
        formula: |n| {
            ratio(n[0].map(|time| time / 1_000), n[1], 0)
                .map(|millis| decimal(millis[..millis.len() - 1].parse().unwrap(), 3))
        },
        dimensions: &BOTH,
    },
    Measure {
        name: "CONVERSION_RATE",
        of: &[("buyers", "buyers"), ("users", "users")],
        formula: |n| ratio(n[0], n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "CART_ABANDONMENT_RATE",
        of: &[("carts", "cartBuyers"), ("carts", "cartUsers")],
        formula: |n| ratio(Some(n[1]? - n[0]?), n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "REVENUE_PER_USER",
        of: &[("lines", "revenue"), ("users", "users")],
        formula: |n| {
            ratio(n[0], n[1], 0).map(|cents| decimal(cents[..cents.len() - 1].parse().unwrap(), 2))
        },
        dimensions: &BOTH,
    },
];

/// Weeks around changes of the clocks, some of it crowded into few hours.
fn time(random: &mut StdRng) -> DateTime<Utc> {
    let changes = [
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-04-10T15:00:00Z",
    ];
    let change: DateTime<Utc> = changes.choose(random).unwrap().parse().unwrap();
    let hours = if random.random_bool(0.5) { 6 } else { 600 };
    change + TimeDelta::milliseconds(random.random_range(-3_600_000 * hours..3_600_000 * hours))
}

/// An event, and the fact that it is; visitors `v0` to `v4` turn out to be users of the same number.
fn happened(random: &mut StdRng, n: u128) -> (Value, Fact) {
    let user = random.random_range(0..25);
    let is_visitor = random.random_bool(0.3);
    let who = match is_visitor {
        true if user >= 5 => format!("v{user}"),
        _ => format!("u{user}"),
    };
    let (agent, device, bot) = *AGENTS.choose(random).unwrap();
    let event_type = *[
        "pageview",
        "pageview",
        "purchase",
        "purchase",
        "refund",
        "add_to_cart",
        "shop:click",
    ]
    .choose(random)
    .unwrap();
    let mut word = |words: &[&'static str]| *words.choose(random).unwrap();
    let mut fact = Fact {
        region: word(&["", "DE", "FR", "Île"]),
        channel: word(&["", "ads", "email"]),
        campaign: word(&["", "", "spring"]),
        url: if event_type == "pageview" {
            word(&["/", "/mugs", "/a,\"b\""])
        } else {
            ""
        },
        color: Some(word(&["red", "blue"])).filter(|_| n % 3 == 0),
        currency: word(&["USD", "USD", "EUR"]),
        at: time(random),
        event_type,
        who,
        bot,
        session: random
            .random_bool(0.7)
            .then(|| format!("s{}", random.random_range(0..3))),
        device,
        price: random.random_bool(0.5).then(|| random.random_range(-5..20)),
        lines: Vec::new(),
    };
    let mut event = json!({
        "eventId": Uuid::from_u128(n + 1), "type": event_type, "timestamp": fact.at.to_rfc3339(),
        "properties": {"price": fact.price, "deep": {"color": fact.color}},
    });
    let id = if is_visitor {
        ("anonymousId", format!("v{user}"))
    } else {
        ("userId", format!("u{user}"))
    };
    event[id.0] = id.1.into();
    for (field, text) in [
        ("region", fact.region),
        ("channel", fact.channel),
        ("campaign", fact.campaign),
        ("url", fact.url),
        ("userAgent", agent),
        ("sessionId", fact.session.as_deref().unwrap_or_default()),
    ] {
        if !text.is_empty() {
            event[field] = text.into();
        }
    }
    if matches!(event_type, "purchase" | "refund") {
        let lines = random.random_range(1..4);
        fact.lines = (0..lines)
            .map(|_| {
                let (product, category) = *PRODUCTS.choose(random).unwrap();
                let (units, cents) = (random.random_range(1..4), random.random_range(0..50_000));
                (product, category, units, cents)
            })
            .collect();
        let line = |(product, _, units, cents): &(&str, &str, i128, i128)| {
            let units = i64::try_from(*units).unwrap();
            json!({"productId": product, "quantity": units, "amount": decimal(*cents, 2)})
        };
        event["currency"] = fact.currency.into();
        event["lines"] = fact.lines.iter().map(line).collect();
    }
    (event, fact)
}

/// That two ids are one user is an event, too.
fn identified(n: u128, user: u128, at: DateTime<Utc>) -> (Value, Fact) {
    let fact = Fact {
        at,
        event_type: "identify",
        who: format!("u{user}"),
        bot: false,
        session: None,
        region: "",
        channel: "",
        campaign: "",
        device: "",
        url: "",
        price: None,
        color: None,
        currency: "USD",
        lines: Vec::new(),
    };
    let event = json!({
        "eventId": Uuid::from_u128(n + 1), "type": "identify", "timestamp": at.to_rfc3339(),
        "userId": format!("u{user}"), "anonymousId": format!("v{user}"),
    });
    (event, fact)
}

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
        return [from, to];
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
    timezone rowsRead warnings plan { subject reads }
    series { measure currency other dimensions { dimension value } total comparedTotal
             buckets { start end value compared } }
    provenance { source lateEvents }
} }";

/// Asks, compares, and says what was read.
async fn check(app: &TestApp, world: &World, random: &mut StdRng) -> Vec<String> {
    let mut measures: Vec<&Measure> = MEASURES.iter().collect();
    measures.shuffle(random);
    // Now and then one that days of users may answer.
    let by_day = random.random_bool(0.1);
    if by_day {
        measures.retain(|measure| matches!(measure.name, "USERS" | "BUYERS"));
    }
    measures.truncate(random.random_range(1..=3));
    let mut dimensions: Vec<&'static str> = measures[0].dimensions.to_vec();
    dimensions.retain(|one| {
        measures
            .iter()
            .all(|measure| measure.dimensions.contains(one))
    });
    dimensions.sort_unstable();
    dimensions.dedup();
    let known = dimensions.clone();
    dimensions.shuffle(random);
    dimensions.truncate(if by_day {
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
    let narrowed = !by_day && !known.is_empty() && random.random_bool(0.4);
    let question = Question {
        range: range(random, days, if by_day { 0.9 } else { 0.3 }),
        granularity,
        zone: if by_day {
            TENANT_ZONE
        } else {
            *ZONES.choose(random).unwrap()
        },
        level: Some(random.random_range(1..4)).filter(|_| random.random_bool(0.5)),
        filter: narrowed.then(|| filter(random, &known, 2)),
        currency: [None, Some("USD"), Some("EUR")]
            .choose(random)
            .copied()
            .flatten(),
        bots: random.random_bool(0.5),
        dimensions,
    };
    let zero = random.random_bool(0.5);
    let input = json!({
        "measures": measures.iter().map(|measure| measure.name).collect::<Value>(),
        "dimensions": question.dimensions,
        "categoryLevel": question.level,
        "range": {"between": {"from": question.range[0].to_rfc3339(), "to": question.range[1].to_rfc3339()}},
        "granularity": granularity,
        "timezone": question.zone.name(),
        "filter": question.filter.as_ref().map(input_of),
        "fill": if zero { "ZERO" } else { "NULL" },
        "currency": question.currency,
        "includeBots": question.bots,
        "limit": 1_000,
    });
    let answer = app.ask_with(QUERY, json!({"input": input})).await;
    assert!(answer.get("errors").is_none(), "{answer} of {input}");
    let answer = &answer["data"]["metrics"];

    let whole = Question {
        granularity: "TOTAL",
        ..question.clone()
    };
    let subjects: BTreeSet<&str> = measures
        .iter()
        .flat_map(|one| one.of)
        .map(|one| one.0)
        .collect();
    let count = |question: &Question| -> BTreeMap<&str, Cells> {
        subjects
            .iter()
            .map(|subject| (*subject, world.count(subject, question)))
            .collect()
    };
    let (in_buckets, in_total) = (count(&question), count(&whole));
    let mut groups: BTreeSet<Vec<String>> = in_total
        .values()
        .flat_map(|cells| cells.keys().map(|(group, _)| group.clone()))
        .collect();
    if question.dimensions.is_empty() {
        groups.insert(Vec::new());
    }
    let value =
        |measure: &Measure, cells: &BTreeMap<&str, Cells>, group: &[String], bucket: &str| {
            let number = |(subject, quantity): &(&str, &str)| {
                let numbers = cells[subject].get(&(group.to_vec(), bucket.to_owned()))?;
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
        };

    let series = answer["series"].as_array().unwrap();
    let mut answered = BTreeSet::new();
    for one in series {
        let measure = measures
            .iter()
            .find(|measure| one["measure"] == measure.name)
            .unwrap();
        let group: Vec<String> = one["dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["value"].as_str().unwrap().to_owned())
            .collect();
        let context = format!("{} of {group:?} in {input}", measure.name);
        assert_eq!(one["other"], false, "{context}");
        assert_eq!(
            one["total"],
            json!(value(measure, &in_total, &group, "")),
            "total: {context}"
        );
        let mut buckets = BTreeSet::new();
        for point in one["buckets"].as_array().unwrap() {
            let start: DateTime<Utc> = point["start"].as_str().unwrap().parse().unwrap();
            let bucket = bucket(start, granularity, question.zone);
            let expected = value(measure, &in_buckets, &group, &bucket);
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
    let plan = answer["plan"].as_array().unwrap();
    plan.iter()
        .map(|step| step["reads"].as_str().unwrap().to_owned())
        .collect()
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
    let (events, facts): (Vec<Value>, Vec<Fact>) = all.into_iter().unzip();
    for some in events.chunks(400) {
        app.accept(some).await;
    }
    assert_consistent(&app.db).await;
    let world = World::new(facts);
    let mut read: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..220 {
        for table in check(&app, &world, &mut random).await {
            *read.entry(table).or_default() += 1;
        }
    }
    // Each source was asked.
    for table in [
        "sales_minute",
        "traffic_minute",
        "user_day",
        "event",
        "purchase, refund",
    ] {
        assert!(
            read.get(table).is_some_and(|times| *times > 3),
            "{table}: {read:?}"
        );
    }
}
