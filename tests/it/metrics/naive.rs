//! The same answers, worked out from the events themselves in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::sales::naive::bucket;

/// The tenant's time zone.
pub const TENANT_ZONE: Tz = Tz::Europe__Berlin;

/// What happened, as a test knows it.
#[derive(Clone, Debug)]
pub struct Fact {
    pub at: DateTime<Utc>,
    pub event_type: &'static str,
    /// The user that it turned out to be.
    pub who: String,
    pub bot: bool,
    pub session: Option<String>,
    pub region: &'static str,
    pub channel: &'static str,
    pub campaign: &'static str,
    pub device: &'static str,
    pub url: &'static str,
    pub price: Option<i64>,
    pub color: Option<&'static str>,
    pub currency: &'static str,
    /// Product, category, quantity and minor units.
    pub lines: Vec<(&'static str, &'static str, i128, i128)>,
}

type Line = (&'static str, &'static str, i128, i128);

/// Which facts count.
#[derive(Clone, Debug)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Dimension(&'static str, Vec<String>),
    Color(&'static str),
    MinPrice(i64),
}

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    pub range: [DateTime<Utc>; 2],
    pub granularity: &'static str,
    pub zone: Tz,
    pub dimensions: Vec<&'static str>,
    pub level: Option<usize>,
    pub filter: Option<Filter>,
    pub currency: Option<&'static str>,
    pub bots: bool,
}

/// Counts of one bucket and group.
pub type Numbers = BTreeMap<&'static str, i128>;
/// Those of all groups and buckets; a group that has nothing to be counted is not in it.
pub type Cells = BTreeMap<(Vec<String>, String), Numbers>;

/// All that happened.
pub struct World {
    facts: Vec<Fact>,
    /// The month of each buyer's first purchase.
    cohorts: BTreeMap<String, String>,
}

fn month(at: DateTime<Utc>) -> String {
    at.with_timezone(&TENANT_ZONE).format("%Y-%m").to_string()
}

impl World {
    pub fn new(mut facts: Vec<Fact>) -> Self {
        facts.sort_by_key(|fact| fact.at);
        let mut cohorts = BTreeMap::new();
        let bought = |fact: &&Fact| fact.event_type == "purchase" && !fact.bot;
        for fact in facts.iter().filter(bought) {
            let month = || month(fact.at);
            cohorts.entry(fact.who.clone()).or_insert_with(month);
        }
        Self { facts, cohorts }
    }

    /// The first fact of a user among some.
    fn first(&self, who: &str, some: impl Fn(&Fact) -> bool) -> Option<&Fact> {
        // They are in the order of time.
        self.facts.iter().find(|fact| fact.who == who && some(fact))
    }

    fn value(&self, name: &str, fact: &Fact, line: Option<&Line>, level: Option<usize>) -> String {
        match name {
            "EVENT_TYPE" => fact.event_type.to_owned(),
            "CATEGORY" => {
                let path = line.unwrap().1;
                let names: Vec<&str> = path.split(" > ").collect();
                names[..level.unwrap_or(9).min(names.len())].join(" > ")
            }
            "PRODUCT" => line.unwrap().0.to_owned(),
            "REGION" => fact.region.to_owned(),
            "CHANNEL" => fact.channel.to_owned(),
            "CAMPAIGN" => fact.campaign.to_owned(),
            "DEVICE" => fact.device.to_owned(),
            "CURRENCY" => fact.currency.to_owned(),
            "PAGE_URL" => fact.url.to_owned(),
            "USER_COHORT" => self.cohorts.get(&fact.who).cloned().unwrap_or_default(),
            other => panic!("{other}"),
        }
    }

    fn passes(&self, filter: &Filter, fact: &Fact, line: Option<&Line>) -> bool {
        match filter {
            Filter::And(all) => all.iter().all(|one| self.passes(one, fact, line)),
            Filter::Or(any) => any.iter().any(|one| self.passes(one, fact, line)),
            Filter::Not(inner) => !self.passes(inner, fact, line),
            Filter::Dimension(name, values) => {
                let own = self.value(name, fact, line, None);
                values.iter().any(|value| {
                    let below = *name == "CATEGORY"
                        && !value.is_empty()
                        && own.starts_with(&format!("{value} > "));
                    own == *value || below
                })
            }
            Filter::Color(color) => fact.color == Some(color),
            Filter::MinPrice(least) => fact.price.is_some_and(|price| price >= *least),
        }
    }

    /// What is counted of a subject.
    pub fn count(&self, subject: &str, question: &Question) -> Cells {
        let [from, to] = question.range;
        let inside = |at: DateTime<Utc>| from <= at && at < to;
        let counted = |fact: &&Fact| question.bots || !fact.bot;
        let all: Vec<&Fact> = self.facts.iter().filter(counted).collect();
        let key = |fact: &Fact, line: Option<&Line>| -> Vec<String> {
            let value = |name: &&str| self.value(name, fact, line, question.level);
            question.dimensions.iter().map(value).collect()
        };
        let fits = |fact: &Fact, line: Option<&Line>| {
            let filter = question.filter.as_ref();
            filter.is_none_or(|filter| self.passes(filter, fact, line))
        };
        let when = |at| bucket(at, question.granularity, question.zone);
        let apart = question.dimensions.contains(&"CURRENCY");
        let mut cells = Cells::new();
        // Whatever is counted once for each bucket and group.
        let mut seen: BTreeSet<(Vec<String>, String, &str, String)> = BTreeSet::new();
        let mut add = |key: Vec<String>, bucket: String, name: &'static str, n: i128| {
            *cells
                .entry((key, bucket))
                .or_default()
                .entry(name)
                .or_default() += n;
        };
        match subject {
            "lines" | "buyers" => {
                let wanted = question.currency.filter(|_| subject == "buyers" && !apart);
                let wanted = if subject == "lines" && !apart {
                    Some(question.currency.unwrap_or("USD"))
                } else {
                    wanted
                };
                for (n, fact) in all.iter().enumerate().filter(|(_, fact)| inside(fact.at)) {
                    if wanted.is_some_and(|currency| currency != fact.currency) {
                        continue;
                    }
                    for line in fact.lines.iter().filter(|line| fits(fact, Some(line))) {
                        let (key, bucket) = (key(fact, Some(line)), when(fact.at));
                        let bought = fact.event_type == "purchase";
                        let mut once = |name: &'static str, what: String| {
                            i128::from(seen.insert((key.clone(), bucket.clone(), name, what)))
                        };
                        if subject == "buyers" {
                            if bought {
                                let new = once("buyers", fact.who.clone());
                                add(key, bucket, "buyers", new);
                            }
                            continue;
                        }
                        let orders = if bought {
                            once("orders", n.to_string())
                        } else {
                            0
                        };
                        let (paid, back) = if bought { (line.3, 0) } else { (0, line.3) };
                        let units = if bought { line.2 } else { 0 };
                        for (name, n) in [
                            ("revenue", paid),
                            ("refunds", back),
                            ("units", units),
                            ("orders", orders),
                        ] {
                            add(key.clone(), bucket.clone(), name, n);
                        }
                    }
                }
            }
            "newBuyers" | "newUsers" => {
                let users: BTreeSet<&str> = all.iter().map(|fact| fact.who.as_str()).collect();
                for who in users {
                    let counts = |fact: &Fact| {
                        (question.bots || !fact.bot)
                            && (subject == "newUsers" || fact.event_type == "purchase")
                    };
                    let Some(first) = self.first(who, counts).filter(|fact| inside(fact.at)) else {
                        continue;
                    };
                    if subject == "newUsers" {
                        if fits(first, None) {
                            add(key(first, None), when(first.at), "newUsers", 1);
                        }
                        continue;
                    }
                    let lines = first.lines.iter().filter(|line| fits(first, Some(line)));
                    let groups: BTreeSet<Vec<String>> =
                        lines.map(|line| key(first, Some(line))).collect();
                    for group in groups {
                        add(group, when(first.at), "newBuyers", 1);
                    }
                }
            }
            "sessions" => {
                let mut sessions: BTreeMap<(&str, &str, String), Vec<&Fact>> = BTreeMap::new();
                for fact in &all {
                    if let Some(session) = &fact.session {
                        let day = fact.at.with_timezone(&TENANT_ZONE).date_naive().to_string();
                        let own = sessions.entry((&fact.who, session, day)).or_default();
                        own.push(fact);
                    }
                }
                for mut own in sessions.into_values() {
                    own.sort_by_key(|fact| fact.at);
                    let (first, last) = (own[0], own[own.len() - 1]);
                    if inside(first.at) && fits(first, None) {
                        let (key, bucket) = (key(first, None), when(first.at));
                        let time = (last.at - first.at).num_microseconds().unwrap();
                        add(key.clone(), bucket.clone(), "sessions", 1);
                        add(
                            key.clone(),
                            bucket.clone(),
                            "bounces",
                            i128::from(own.len() == 1),
                        );
                        add(key, bucket, "time", time.into());
                    }
                }
            }
            _ => {
                let mut carted = BTreeSet::new();
                let mut bought = BTreeSet::new();
                for fact in all
                    .iter()
                    .filter(|fact| inside(fact.at) && fits(fact, None))
                {
                    let (key, bucket) = (key(fact, None), when(fact.at));
                    let adds = fact.event_type == "add_to_cart";
                    if subject == "events" {
                        add(key.clone(), bucket.clone(), "events", 1);
                        let viewed = i128::from(!fact.url.is_empty());
                        add(key.clone(), bucket.clone(), "pageviews", viewed);
                        add(key, bucket, "cartAdds", i128::from(adds));
                    } else if subject == "users" {
                        let it = (key.clone(), bucket.clone(), "users", fact.who.clone());
                        let new = i128::from(seen.insert(it));
                        add(key, bucket, "users", new);
                    } else if adds || fact.event_type == "purchase" {
                        let it = (key.clone(), bucket.clone(), fact.who.clone());
                        add(key.clone(), bucket.clone(), "cartUsers", 0);
                        add(key, bucket, "cartBuyers", 0);
                        if adds { &mut carted } else { &mut bought }.insert(it);
                    }
                }
                for it in carted {
                    let buys = i128::from(bought.contains(&it));
                    let (key, bucket, _) = it;
                    add(key.clone(), bucket.clone(), "cartUsers", 1);
                    add(key, bucket, "cartBuyers", buys);
                }
            }
        }
        cells
    }
}
