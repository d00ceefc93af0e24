//! Made-up events, cheap to write: each follows from the run, its request and its place there, so
//! that any of them can be sent again without being kept.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::dice::{Dice, mixed};
use super::history::{History, Session};
use super::text::{self, Times};
use super::words::{Kind, NATIVE, SEGMENT, Words};

/// The currency of all orders.
pub const CURRENCY: &str = "USD";
/// How far back late events lie: from an hour to a week.
const LATE_MICROS: std::ops::Range<u64> = 3_600_000_000..604_800_000_000;
/// Events of a request are spread over this time before it is due.
const SPREAD_MICROS: u64 = 1_000_000;
/// A request holds fewer events than this.
const PLACES_BITS: u32 = 12;
/// Events of a request about the past are spread over the time of so many.
const MAX_PLACES: u64 = 1_000;

/// What events are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// In Tidewater's own words.
    Native,
    /// As messages of the Segment tracking API.
    Segment,
}

/// What the ids of events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// Random.
    V4,
    /// They begin with the event's time.
    V7,
}

/// How many of a hundred events are of which kind, or any other weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Pages that were seen.
    pub pageviews: u32,
    /// Anything else.
    pub other: u32,
    /// Orders.
    pub purchases: u32,
}

impl std::str::FromStr for Mix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "three whole numbers like 70/25/5, not all 0, each up to 1000";
        let weights: Result<Vec<u32>, _> = text.split('/').map(str::parse).collect();
        match weights.map_err(|_| WRONG)?[..] {
            [pageviews, other, purchases]
                if [pageviews, other, purchases].iter().all(|n| *n <= 1_000)
                    && pageviews + other + purchases > 0 =>
            {
                Ok(Self {
                    pageviews,
                    other,
                    purchases,
                })
            }
            _ => Err(WRONG),
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Content {
    /// How many users there are; every fourth is a visitor who is not known.
    pub users: u32,
    /// How many products; the first ones are looked at and bought the most.
    pub products: u32,
    /// Of what kinds events are.
    pub mix: Mix,
    /// What their ids are.
    pub ids: Ids,
    /// What they are written as.
    pub format: Format,
    /// Which share of events happened hours to days before.
    pub late: f64,
    /// The past that is made up, if it is not about the present.
    pub history: Option<History>,
}

/// What events add to the tenant's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Events of all kinds.
    pub events: i64,
    /// Pages that were seen.
    pub pageviews: i64,
    /// Orders.
    pub orders: i64,
    /// Pieces in them.
    pub units: i64,
    /// What was paid, in minor units.
    #[serde(rename = "revenueMinorUnits")]
    pub revenue: i128,
}

impl Sums {
    /// The five numbers by name.
    #[must_use]
    pub fn measures(&self) -> [(&'static str, i128); 5] {
        [
            ("events", self.events.into()),
            ("pageviews", self.pageviews.into()),
            ("orders", self.orders.into()),
            ("units", self.units.into()),
            ("revenue", self.revenue),
        ]
    }

    /// Each number put together with the other's.
    #[must_use]
    pub fn with(&self, other: &Self, by: impl Fn(i128, i128) -> i128) -> Self {
        let small = |a: i64, b: i64| {
            i64::try_from(by(a.into(), b.into())).expect("counts of events are far below 2^63")
        };
        Self {
            events: small(self.events, other.events),
            pageviews: small(self.pageviews, other.pageviews),
            orders: small(self.orders, other.orders),
            units: small(self.units, other.units),
            revenue: by(self.revenue, other.revenue),
        }
    }
}

/// Where an event comes from: its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which request of the run.
    pub request: u64,
    /// The time that it is about, in microseconds since 1970.
    pub at: i64,
}

/// Writes the events of a run.
#[derive(Clone, Debug)]
pub struct Writer {
    content: Content,
    words: &'static Words,
    key: u64,
    times: Times,
}

impl Writer {
    /// The same seed and time write the same events; runs that begin at different times share
    /// nothing.
    #[must_use]
    pub fn new(content: Content, seed: u64, started_at: DateTime<Utc>) -> Self {
        let started_at = started_at.timestamp_micros().unsigned_abs();
        Self {
            content,
            words: match content.format {
                Format::Native => &NATIVE,
                Format::Segment => &SEGMENT,
            },
            key: mixed(mixed(seed) ^ started_at),
            times: Times::new(),
        }
    }

    /// Appends the event of a request's place, and adds what it counts.
    pub fn write(&mut self, out: &mut Vec<u8>, origin: Origin, place: u32, sums: &mut Sums) {
        let mut dice = Dice::new(self.key, (origin.request << PLACES_BITS) | u64::from(place));
        let random = (dice.roll(), dice.roll());
        let spread = match self.content.history {
            None => SPREAD_MICROS,
            Some(history) => history.length * MAX_PLACES / history.events.max(1) + 1,
        };
        let back = if dice.chance(self.content.late) {
            LATE_MICROS.start + dice.below(LATE_MICROS.end - LATE_MICROS.start)
        } else {
            dice.below(spread)
        };
        let at = origin.at - i64::try_from(back).expect("at most a week");
        let Mix {
            pageviews,
            other,
            purchases,
        } = self.content.mix;
        let kind = match dice.below((pageviews + other + purchases).into()) {
            n if n < pageviews.into() => Kind::Pageview,
            n if n < (pageviews + other).into() => {
                let which = usize::try_from(dice.below(self.words.others.len() as u64));
                Kind::Other(which.expect("a few"))
            }
            _ => Kind::Purchase,
        };

        let words = self.words;
        out.extend_from_slice(words.kind(kind));
        out.extend_from_slice(words.id);
        text::id(out, self.event_id(random, at));
        out.extend_from_slice(b"\",\"timestamp\":\"");
        self.times.write(out, at);
        let session = self.content.history.map(|history| {
            let users = self.content.users;
            history.session(&mut dice, self.key, at, users)
        });
        let user = match session {
            Some(session) => session.user,
            None => dice.below(self.content.users.into()),
        };
        let named: &[u8] = if user % 4 == 3 {
            b"\",\"anonymousId\":\"visitor-"
        } else {
            b"\",\"userId\":\"user-"
        };
        out.extend_from_slice(named);
        text::number(out, user);
        sums.events += 1;
        self.visit(out, &mut dice, session);
        match kind {
            Kind::Purchase => self.order(out, &mut dice, random.0, sums),
            Kind::Pageview => {
                sums.pageviews += 1;
                self.looked_at(out, &mut dice, words.page, session);
            }
            Kind::Other(_) => self.looked_at(out, &mut dice, words.look, session),
        }
    }

    fn event_id(&self, random: (u64, u64), at: i64) -> Uuid {
        match self.content.ids {
            Ids::V4 => Uuid::from_u64_pair(
                (random.0 & !0xf000) | 0x4000,
                (random.1 & !(0b11 << 62)) | (0b10 << 62),
            ),
            Ids::V7 => {
                let millis = at.div_euclid(1_000).unsigned_abs();
                let mut bytes = [0; 10];
                bytes[..8].copy_from_slice(&random.0.to_be_bytes());
                bytes[8..].copy_from_slice(&random.1.to_be_bytes()[..2]);
                Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
            }
        }
    }

    /// A product, the first ones more often.
    fn product(&self, dice: &mut Dice) -> u64 {
        let among = dice.below(self.content.products.into()) + 1;
        dice.below(among)
    }

    /// What was seen or clicked, after the words of its kind.
    fn looked_at(
        &self,
        out: &mut Vec<u8>,
        dice: &mut Dice,
        words: &[&[u8]; 4],
        session: Option<Session>,
    ) {
        out.extend_from_slice(words[0]);
        text::number(out, self.product(dice));
        out.extend_from_slice(words[1]);
        text::number(out, dice.below(50));
        if session.is_some() {
            out.extend_from_slice(b"}}");
            return;
        }
        out.extend_from_slice(words[2]);
        text::number(out, dice.below(100_000));
        out.extend_from_slice(words[3]);
    }

    /// Where and through what; nothing where the format has no word for it.
    fn visit(&self, out: &mut Vec<u8>, dice: &mut Dice, session: Option<Session>) {
        if let Some(session) = session {
            session.write(out);
            return;
        }
        let n = usize::try_from(dice.below(self.words.visits.len() as u64)).expect("a few");
        out.extend_from_slice(self.words.visits[n]);
    }

    fn order(&self, out: &mut Vec<u8>, dice: &mut Dice, number: u64, sums: &mut Sums) {
        let words = self.words;
        out.extend_from_slice(words.order[0]);
        text::number(out, number);
        out.extend_from_slice(words.order[1]);
        sums.orders += 1;
        for n in 0..=dice.below(4) {
            if n > 0 {
                out.push(b',');
            }
            let (product, quantity) = (self.product(dice), 1 + dice.below(3));
            let price = 199 + product * 7_919 % 20_000;
            out.extend_from_slice(words.line[0]);
            text::number(out, product);
            out.extend_from_slice(words.line[1]);
            text::number(out, quantity);
            out.extend_from_slice(words.line[2]);
            let told = if words.line_totals {
                price * quantity
            } else {
                price
            };
            text::money(out, told);
            out.extend_from_slice(words.line[3]);
            sums.units += i64::try_from(quantity).expect("up to 3");
            sums.revenue += i128::from(price * quantity);
        }
        out.extend_from_slice(words.order[2]);
    }
}
