//! Who came when: of an hour, what each user did under each session id. The hours of a day, put
//! together, tell its sessions, whoever of the users turned out to be one.
//!
//! ```text
//! visits  = count text(place)* visit*
//! visit   = user session(8 bytes) event(16 bytes) first lasted facts place
//! ```
//!
//! Numbers are LEB128, times microseconds from the hour's beginning, a place is a number in the list
//! before.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3DefaultBuilder, xxh3_64};

use super::bytes::{Damaged, read_length, read_number, read_text, take, write_number, write_text};
use super::{find, joined};
use crate::domain::measure::Dimension;

/// Under which number an hour keeps its visits.
pub const CODE: i16 = -1;

/// What a place tells of an event.
const DIMENSIONS: [Dimension; 5] = [
    Dimension::Region,
    Dimension::Channel,
    Dimension::Device,
    Dimension::Campaign,
    Dimension::PageUrl,
];

/// A user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// By their number.
    Number(u32),
    /// By their id, who have none.
    Id(Uuid),
}

/// A session id, as far as it matters: those of one user that differ have other hashes, but for one
/// pair in 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// That of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(xxh3_64(text.as_bytes()))
    }
}

/// What a user did under a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// When the first of it was, and which event that is: of two of one moment the lesser.
    pub first: (DateTime<Utc>, Uuid),
    /// When the last was.
    pub last: DateTime<Utc>,
    /// How many events they are.
    pub facts: u64,
    /// Where the first was: a number among the places.
    place: usize,
}

impl Visit {
    /// What a session counts for: as one, as a bounce, and in microseconds.
    #[must_use]
    pub fn numbers(&self) -> [i128; 3] {
        let lasted = (self.last - self.first.0).num_microseconds();
        [
            1,
            i128::from(self.facts == 1),
            i128::from(lasted.unwrap_or_default()),
        ]
    }
}

/// The text that stands for a place.
pub fn place<'a>(of: impl Fn(Dimension) -> &'a str) -> String {
    joined(&DIMENSIONS, of)
}

/// Visits of one hour or of a whole day: then they are its sessions.
#[derive(Clone, Debug, Default)]
pub struct Visits {
    places: Vec<String>,
    numbers: HashMap<String, usize>,
    known: HashMap<(Who, SessionId), Visit, Xxh3DefaultBuilder>,
}

impl Visits {
    /// Adds a visit; what the same user did under the same session id is one.
    pub fn add(
        &mut self,
        who: Who,
        session: SessionId,
        first: (DateTime<Utc>, Uuid),
        (last, facts): (DateTime<Utc>, u64),
        place: &str,
    ) {
        let place = self.number(place);
        let visit = Visit {
            first,
            last,
            facts,
            place,
        };
        self.put(who, session, visit);
    }

    /// Adds the visits of an hour, as they were written, of users as they are known now.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn read(
        &mut self,
        mut bytes: &[u8],
        hour: DateTime<Utc>,
        who: impl Fn(u32) -> Who,
    ) -> Result<(), Damaged> {
        let bytes = &mut bytes;
        let mut places = Vec::new();
        for _ in 0..read_length(bytes)? {
            places.push(self.number(read_text(bytes)?));
        }
        while !bytes.is_empty() {
            let user = u32::try_from(read_number(bytes)?).map_err(|_| Damaged)?;
            let session = take(bytes, 8)?.try_into().map_err(|_| Damaged)?;
            let event = Uuid::from_slice(take(bytes, 16)?).map_err(|_| Damaged)?;
            let first = after(hour, read_number(bytes)?)?;
            let last = after(first, read_number(bytes)?)?;
            let facts = u64::try_from(read_number(bytes)?).map_err(|_| Damaged)?;
            let place = *places.get(read_length(bytes)?).ok_or(Damaged)?;
            let visit = Visit {
                first: (first, event),
                last,
                facts,
                place,
            };
            self.put(who(user), SessionId(u64::from_le_bytes(session)), visit);
        }
        Ok(())
    }

    /// The visits of an hour as bytes. All its users have numbers; who has none is left out.
    #[must_use]
    pub fn write(&self, hour: DateTime<Utc>) -> Vec<u8> {
        if self.known.is_empty() {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        write_number(&mut bytes, self.places.len() as u128);
        for place in &self.places {
            write_text(&mut bytes, place);
        }
        for ((who, session), visit) in &self.known {
            let Who::Number(user) = who else { continue };
            write_number(&mut bytes, u128::from(*user));
            bytes.extend_from_slice(&session.0.to_le_bytes());
            bytes.extend_from_slice(visit.first.1.as_bytes());
            write_number(&mut bytes, between(hour, visit.first.0));
            write_number(&mut bytes, between(visit.first.0, visit.last));
            write_number(&mut bytes, u128::from(visit.facts));
            write_number(&mut bytes, visit.place as u128);
        }
        bytes
    }

    /// Every visit.
    pub fn all(&self) -> impl Iterator<Item = &Visit> {
        self.known.values()
    }

    /// What the place where a visit began has of a dimension.
    #[must_use]
    pub fn place(&self, visit: &Visit, dimension: Dimension) -> &str {
        find(&DIMENSIONS, &self.places[visit.place], dimension).unwrap_or_default()
    }

    fn number(&mut self, place: &str) -> usize {
        if let Some(number) = self.numbers.get(place) {
            return *number;
        }
        let number = self.places.len();
        self.places.push(place.to_owned());
        self.numbers.insert(place.to_owned(), number);
        number
    }

    fn put(&mut self, who: Who, session: SessionId, visit: Visit) {
        let known = self
            .known
            .entry((who, session))
            .or_insert(Visit { facts: 0, ..visit });
        if visit.first < known.first {
            (known.first, known.place) = (visit.first, visit.place);
        }
        known.last = known.last.max(visit.last);
        known.facts += visit.facts;
    }
}

fn after(at: DateTime<Utc>, microseconds: u128) -> Result<DateTime<Utc>, Damaged> {
    let length = i64::try_from(microseconds).map_err(|_| Damaged)?;
    at.checked_add_signed(TimeDelta::microseconds(length))
        .ok_or(Damaged)
}

fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> u128 {
    let length = (to - from).num_microseconds();
    length.unwrap_or_default().unsigned_abs().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn on(page: &'static str) -> String {
        place(|dimension| {
            if dimension == Dimension::PageUrl {
                page
            } else {
                ""
            }
        })
    }

    #[test]
    fn hours_make_sessions_of_whoever_the_users_are() {
        let (id, session) = (Uuid::from_u128, SessionId::of("s"));
        let mut hours = [Visits::default(), Visits::default()];
        hours[0].add(
            Who::Number(1),
            session,
            (at(50), id(9)),
            (at(55), 2),
            &on("/a"),
        );
        hours[0].add(
            Who::Number(2),
            session,
            (at(50), id(3)),
            (at(50), 1),
            &on("/b"),
        );
        hours[1].add(
            Who::Number(1),
            session,
            (at(61), id(5)),
            (at(70), 3),
            &on("/c"),
        );
        hours[1].add(
            Who::Number(1),
            SessionId::of("t"),
            (at(62), id(6)),
            (at(62), 1),
            &on("/d"),
        );
        let day = |who: fn(u32) -> Who| {
            let mut day = Visits::default();
            for (begin, hour) in [(at(60), &hours[1]), (at(0), &hours[0])] {
                day.read(&hour.write(begin), begin, who).unwrap();
            }
            let told = |visit: &Visit| {
                let page = day.place(visit, Dimension::PageUrl).to_owned();
                (visit.first.0, visit.last, visit.facts, page)
            };
            let mut all: Vec<_> = day.all().map(told).collect();
            all.sort();
            all
        };
        let of = |first, last, facts, page: &str| (at(first), at(last), facts, page.to_owned());
        let (b, d) = (of(50, 50, 1, "/b"), of(62, 62, 1, "/d"));
        assert_eq!(day(Who::Number), [b, of(50, 70, 5, "/a"), d.clone()]);
        // The second turns out to be the first, who came to the lesser event of one moment.
        assert_eq!(day(|_| Who::Number(1)), [of(50, 70, 6, "/b"), d]);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_visits_but_never_a_panic() {
        let mut hour = Visits::default();
        let first = (at(1), Uuid::from_u128(7));
        hour.add(
            Who::Number(300),
            SessionId::of("s"),
            first,
            (at(2), 2),
            &on("/a"),
        );
        let whole = hour.write(at(0));
        for place in 0..whole.len() {
            let _ = Visits::default().read(&whole[..place], at(0), Who::Number);
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] = byte;
                let _ = Visits::default().read(&bytes, at(0), Who::Number);
            }
        }
    }
}
