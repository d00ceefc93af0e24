//! The same answers, worked out from the events themselves in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
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
        let mut counting = Counting {
            world: self,
            question,
            cells: Cells::new(),
            seen: BTreeSet::new(),
        };
        match subject {
            "lines" => counting.lines(),
            "buyers" => counting.buyers(),
            "newBuyers" => counting.newcomers("newBuyers"),
            "newUsers" => counting.newcomers("newUsers"),
            "sessions" => counting.sessions(),
            "events" => counting.events(),
            "users" => counting.users(),
            "carts" => counting.carts(),
            other => panic!("{other}"),
        }
        counting.cells
    }
}

/// An answer in the making.
struct Counting<'a> {
    world: &'a World,
    question: &'a Question,
    cells: Cells,
    /// Whatever counts once for each group and bucket.
    seen: BTreeSet<(Vec<String>, String, &'static str, String)>,
}

impl<'a> Counting<'a> {
    fn counts(&self, fact: &Fact) -> bool {
        self.question.bots || !fact.bot
    }

    fn is_inside(&self, at: DateTime<Utc>) -> bool {
        let [from, to] = self.question.range;
        from <= at && at < to
    }

    fn inside(&self) -> Vec<&'a Fact> {
        let is_counted = |fact: &&Fact| self.counts(fact) && self.is_inside(fact.at);
        self.world.facts.iter().filter(is_counted).collect()
    }

    fn fits(&self, fact: &Fact, line: Option<&Line>) -> bool {
        let filter = self.question.filter.as_ref();
        filter.is_none_or(|filter| self.world.passes(filter, fact, line))
    }

    fn cell(&self, fact: &Fact, line: Option<&Line>) -> (Vec<String>, String) {
        let Question {
            dimensions,
            level,
            granularity,
            zone,
            ..
        } = self.question;
        let value = |name: &&str| self.world.value(name, fact, line, *level);
        let group = dimensions.iter().map(value).collect();
        (group, bucket(fact.at, granularity, *zone))
    }

    fn add(&mut self, cell: &(Vec<String>, String), name: &'static str, n: i128) {
        let numbers = self.cells.entry(cell.clone()).or_default();
        *numbers.entry(name).or_default() += n;
    }

    /// Adds one unless this was there in the cell before.
    fn add_once(&mut self, cell: &(Vec<String>, String), name: &'static str, what: &str) {
        let it = (cell.0.clone(), cell.1.clone(), name, what.to_owned());
        let new = self.seen.insert(it);
        self.add(cell, name, new.into());
    }

    fn tells_currencies_apart(&self) -> bool {
        self.question.dimensions.contains(&"CURRENCY")
    }

    fn lines(&mut self) {
        let currency = self.question.currency.unwrap_or("USD");
        let any = self.tells_currencies_apart();
        for (n, fact) in self.inside().into_iter().enumerate() {
            if !any && fact.currency != currency {
                continue;
            }
            for line in &fact.lines {
                if !self.fits(fact, Some(line)) {
                    continue;
                }
                let cell = self.cell(fact, Some(line));
                let bought = i128::from(fact.event_type == "purchase");
                self.add(&cell, "revenue", bought * line.3);
                self.add(&cell, "refunds", (1 - bought) * line.3);
                self.add(&cell, "units", bought * line.2);
                self.add(&cell, "orders", 0);
                if bought == 1 {
                    self.add_once(&cell, "orders", &n.to_string());
                }
            }
        }
    }

    fn buyers(&mut self) {
        let currency = self.question.currency;
        let any = self.tells_currencies_apart() || currency.is_none();
        for fact in self.inside() {
            let is_wanted = any || Some(fact.currency) == currency;
            if fact.event_type != "purchase" || !is_wanted {
                continue;
            }
            for line in &fact.lines {
                if self.fits(fact, Some(line)) {
                    let cell = self.cell(fact, Some(line));
                    self.add_once(&cell, "buyers", &fact.who);
                }
            }
        }
    }

    /// Users whose first event, or first purchase, is inside.
    fn newcomers(&mut self, name: &'static str) {
        let facts = self.world.facts.iter();
        let users: BTreeSet<&str> = facts.map(|fact| fact.who.as_str()).collect();
        for who in users {
            let is_one = |fact: &Fact| {
                self.counts(fact) && (name == "newUsers" || fact.event_type == "purchase")
            };
            let Some(first) = self.world.first(who, is_one) else {
                continue;
            };
            if !self.is_inside(first.at) {
                continue;
            }
            if name == "newUsers" {
                if self.fits(first, None) {
                    let cell = self.cell(first, None);
                    self.add(&cell, name, 1);
                }
                continue;
            }
            for line in &first.lines {
                if self.fits(first, Some(line)) {
                    let cell = self.cell(first, Some(line));
                    self.add_once(&cell, name, who);
                }
            }
        }
    }

    fn events(&mut self) {
        for fact in self.inside() {
            if self.fits(fact, None) {
                let cell = self.cell(fact, None);
                self.add(&cell, "events", 1);
                self.add(&cell, "pageviews", i128::from(!fact.url.is_empty()));
                self.add(
                    &cell,
                    "cartAdds",
                    i128::from(fact.event_type == "add_to_cart"),
                );
            }
        }
    }

    fn users(&mut self) {
        for fact in self.inside() {
            if self.fits(fact, None) {
                let cell = self.cell(fact, None);
                self.add_once(&cell, "users", &fact.who);
            }
        }
    }

    fn carts(&mut self) {
        let (mut carted, mut bought) = (BTreeSet::new(), BTreeSet::new());
        for fact in self.inside() {
            let its = match fact.event_type {
                "add_to_cart" => &mut carted,
                "purchase" => &mut bought,
                _ => continue,
            };
            if self.fits(fact, None) {
                let cell = self.cell(fact, None);
                self.add(&cell, "cartUsers", 0);
                self.add(&cell, "cartBuyers", 0);
                its.insert((cell, fact.who.as_str()));
            }
        }
        for one in carted {
            self.add(&one.0, "cartUsers", 1);
            self.add(&one.0, "cartBuyers", i128::from(bought.contains(&one)));
        }
    }

    fn sessions(&mut self) {
        let mut sessions: BTreeMap<(&str, &str, NaiveDate), Vec<&Fact>> = BTreeMap::new();
        for fact in self.world.facts.iter().filter(|fact| self.counts(fact)) {
            if let Some(session) = &fact.session {
                let day = fact.at.with_timezone(&TENANT_ZONE).date_naive();
                let own = sessions.entry((&fact.who, session, day)).or_default();
                own.push(fact);
            }
        }
        for own in sessions.into_values() {
            // They are in the order of time.
            let (first, last) = (own[0], own[own.len() - 1]);
            if self.is_inside(first.at) && self.fits(first, None) {
                let cell = self.cell(first, None);
                let time = (last.at - first.at).num_microseconds().unwrap();
                self.add(&cell, "sessions", 1);
                self.add(&cell, "bounces", i128::from(own.len() == 1));
                self.add(&cell, "time", time.into());
            }
        }
    }
}
