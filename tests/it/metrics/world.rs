//! What happens in a made-up shop: events, and the facts that they are.

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use uuid::Uuid;

use super::measures::decimal;
use super::naive::Fact;

pub const PRODUCTS: [(&str, &str); 5] = [
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
/// Weeks around changes of the clocks, some of it crowded into few hours.
pub fn time(random: &mut StdRng) -> DateTime<Utc> {
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
pub fn happened(random: &mut StdRng, n: u128) -> (Value, Fact) {
    let user = random.random_range(0..25);
    let is_visitor = random.random_bool(0.3);
    let who = if is_visitor && user >= 5 {
        format!("v{user}")
    } else {
        format!("u{user}")
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
        color: Some(word(&["red", "blue"])).filter(|_| n.is_multiple_of(3)),
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
pub fn identified(n: u128, user: u128, at: DateTime<Utc>) -> (Value, Fact) {
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
