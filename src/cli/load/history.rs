//! A made-up past: a shop's events over many days, one after the other, in sessions.
//!
//! A session is some ten minutes of one user, who came from one place through one channel. Its
//! events carry the same id. Products have categories, which are put into the catalogue first.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::connection::Target;
use super::dice::{Dice, mixed};
use super::text;
use crate::cli::Failure;

/// How long sessions are.
const SLOT_MICROS: i64 = 600_000_000;
/// How many events a session has on average.
const SESSION_EVENTS: u64 = 8;
/// How many categories there are; each product is in one.
const CATEGORIES: u32 = 50;
/// How many of them are in one department.
const DEPARTMENT: u32 = 10;
/// How many products are put into the catalogue at once.
const AT_ONCE: usize = 500;

const REGIONS: [&str; 5] = ["DE", "FR", "GB", "JP", "US"];
/// Where users come from, with the campaigns of those who are sent.
const CHANNELS: [(&str, &[&str]); 6] = [
    ("direct", &[]),
    ("search", &[]),
    ("social", &[]),
    ("referral", &[]),
    ("email", &["letter", "welcome", "reminder"]),
    ("ads", &["spring", "summer", "brand", "sale", "remarketing"]),
];
const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36",
];

/// The past to make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// When it begins, in microseconds since 1970.
    pub from: i64,
    /// How long it is, in microseconds.
    pub length: u64,
    /// How many events it has.
    pub events: u64,
}

/// Who does something, and how they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    id: u64,
    /// Which user.
    pub(super) user: u64,
}

impl History {
    /// The days before an instant.
    #[must_use]
    pub fn of_days(days: u32, events: u64, until: DateTime<Utc>) -> Self {
        let length = TimeDelta::days(days.into());
        Self {
            from: (until - length).timestamp_micros(),
            length: u64::from(days) * 86_400_000_000,
            events,
        }
    }

    /// How many events are left from the n-th on.
    pub(super) fn left(&self, n: u64) -> u64 {
        self.events.saturating_sub(n)
    }

    /// When the n-th event is.
    pub(super) fn at(&self, n: u64) -> i64 {
        let into = u128::from(self.length) * u128::from(n) / u128::from(self.events.max(1));
        self.from + i64::try_from(into).unwrap_or(0)
    }

    /// Any of the sessions of a time.
    pub(super) fn session(&self, dice: &mut Dice, key: u64, at: i64, users: u32) -> Session {
        let slot = at.div_euclid(SLOT_MICROS).unsigned_abs();
        let in_slot = u128::from(self.events) * u128::from(SLOT_MICROS.unsigned_abs())
            / u128::from(self.length.max(1));
        let sessions = u64::try_from(in_slot).unwrap_or(0) / SESSION_EVENTS + 1;
        let id = mixed(key ^ mixed(slot) ^ dice.below(sessions));
        Session {
            id,
            user: mixed(id) % u64::from(users),
        }
    }
}

impl Session {
    /// Writes where it is and through what, and its id, after an open text.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let pick = |random: u64, length: usize| {
            usize::try_from(random % length as u64).expect("less than a length")
        };
        let of_user = mixed(self.user);
        let of_session = mixed(self.id.rotate_left(17));
        let region = REGIONS[pick(of_user, REGIONS.len())];
        let user_agent = USER_AGENTS[pick(of_user >> 8, USER_AGENTS.len())];
        let (channel, campaigns) = CHANNELS[pick(of_session, CHANNELS.len())];
        for (name, value) in [
            ("region", region),
            ("userAgent", user_agent),
            ("channel", channel),
        ] {
            field(out, name);
            out.extend_from_slice(value.as_bytes());
        }
        if !campaigns.is_empty() {
            field(out, "campaign");
            out.extend_from_slice(campaigns[pick(of_session >> 8, campaigns.len())].as_bytes());
        }
        field(out, "sessionId");
        text::number(out, self.id);
        out.push(b'"');
    }
}

/// Ends a text and begins the one of a field.
fn field(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
}

/// Puts the products into the catalogue, each in its category.
///
/// # Errors
/// When the server does not take them.
pub(super) async fn put_products(target: &Target, products: u32) -> Result<(), Failure> {
    let query =
        "mutation($products: [ProductInput!]!) { putProducts(products: $products) { stored } }";
    let product = |n: u32| {
        let category = n % CATEGORIES;
        json!({
            "productId": format!("sku-{n}"),
            "title": format!("Product {n}"),
            "category": [format!("Department {}", category / DEPARTMENT), format!("Category {category}")],
        })
    };
    let all: Vec<Value> = (0..products).map(product).collect();
    for some in all.chunks(AT_ONCE) {
        let request = target.client.post(format!("{}/graphql", target.url));
        let body = json!({"query": query, "variables": {"products": some}});
        let answer: Value = request
            .bearer_auth(&target.key)
            .json(&body)
            .send()
            .await?
            .json()
            .await?;
        if answer["data"]["putProducts"]["stored"] != some.len() {
            let why = answer["errors"][0]["message"].as_str();
            let why = why.unwrap_or("no reason given");
            return Err(format!("the catalogue was not stored: {why}").into());
        }
    }
    Ok(())
}
