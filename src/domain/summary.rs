//! What an hour, a day or a month came to: sums, and sets of users, that add up to those of longer
//! spans ([`cells`]); and of an hour, who came when ([`visits`]), which makes a day's sessions.
//!
//! A summary is kept in [`Part`]s, so that a question reads those bytes alone that it needs.

mod bytes;
mod cells;
pub mod visits;

use std::collections::BTreeSet;

use super::measure::{Dimension, Subject};

pub use bytes::Damaged;
pub use cells::{Cell, Cells, NUMBERS, SETS, read};

/// What a summary is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum Span {
    /// An hour of the tenant's wall clock.
    Hour = 0,
    /// A day of the tenant's.
    Day = 1,
    /// A calendar month of the tenant's.
    Month = 2,
}

impl Span {
    /// Every length.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];
}

/// A part of a summary: what is counted, told apart by some dimensions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// What.
    pub subject: Subject,
    /// By what.
    pub dimensions: &'static [Dimension],
    /// The part's number in the database.
    pub code: i16,
}

use Dimension::{
    Campaign, Category, Channel, Currency, Device, EventType, PageUrl, Product, Region,
};

/// The parts. Their places are their numbers, so a new one goes to the end; one that goes leaves its
/// place.
const PARTS: [(Subject, &[Dimension]); 31] = [
    (Subject::Lines, &[]),
    (Subject::Lines, &[Device]),
    (Subject::Lines, &[Region, Channel]),
    (Subject::Lines, &[Category]),
    (Subject::Lines, &[Campaign]),
    (Subject::Lines, &[Category, Region, Channel]),
    (Subject::Lines, &[Product]),
    (Subject::Buyers, &[]),
    (Subject::Buyers, &[Currency]),
    (Subject::Buyers, &[Device]),
    (Subject::Buyers, &[Region, Channel]),
    (Subject::Buyers, &[Category]),
    (Subject::Buyers, &[Campaign]),
    (Subject::Buyers, &[Category, Region]),
    (Subject::Buyers, &[Product]),
    (Subject::Events, &[]),
    (Subject::Events, &[Region, Channel, Device]),
    (Subject::Events, &[Campaign]),
    (Subject::Events, &[PageUrl]),
    (Subject::Users, &[]),
    (Subject::Users, &[EventType]),
    (Subject::Users, &[Region, Channel, Device]),
    (Subject::Users, &[Campaign]),
    (Subject::Carts, &[Region, Channel, Device]),
    (Subject::Carts, &[Campaign]),
    (Subject::Sessions, &[Region, Channel, Device, Campaign]),
    (Subject::Sessions, &[PageUrl]),
    (Subject::Users, &[Region]),
    (Subject::Users, &[Channel]),
    (Subject::Users, &[Device]),
    (Subject::Carts, &[]),
];

impl Part {
    /// The parts of a subject.
    pub fn of(subject: Subject) -> impl Iterator<Item = Self> {
        Self::all().filter(move |part| part.subject == subject)
    }

    /// The part of a subject with the fewest dimensions that has all of these.
    #[must_use]
    pub fn knowing(subject: Subject, dimensions: &BTreeSet<Dimension>) -> Option<Self> {
        let knows = |part: &Self| dimensions.iter().all(|one| part.dimensions.contains(one));
        let parts = Self::of(subject).filter(knows);
        parts.min_by_key(|part| part.dimensions.len())
    }

    /// All parts.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(PARTS).map(|(code, (subject, dimensions))| Self {
            subject,
            dimensions,
            code,
        })
    }

    /// The part that tells users apart by nothing.
    #[must_use]
    pub fn users() -> Self {
        let mut parts = Self::of(Subject::Users);
        parts.next().expect("it stands in the list")
    }

    /// Under which number a day keeps the part by the hours of the day: the qualifier of a cell is then
    /// the hour's place in it.
    #[must_use]
    pub const fn by_hour(self) -> i16 {
        self.code + BY_HOUR
    }

    /// The value of a cell, of what it has of each dimension.
    pub fn value<'a>(self, of: impl Fn(Dimension) -> &'a str) -> String {
        joined(self.dimensions, of)
    }

    /// What a cell with this value has of a dimension; nothing of one that the part does not know.
    #[must_use]
    pub fn find(self, value: &str, dimension: Dimension) -> Option<&str> {
        find(self.dimensions, value, dimension)
    }
}

/// What parts the values of several dimensions: no stored text has it.
const APART: char = '\0';
/// What is added to a part's number where it is kept by hours.
const BY_HOUR: i16 = 64;

/// The value that stands for several dimensions.
fn joined<'a>(dimensions: &[Dimension], of: impl Fn(Dimension) -> &'a str) -> String {
    let mut value = String::new();
    for (n, dimension) in dimensions.iter().enumerate() {
        if n > 0 {
            value.push(APART);
        }
        value.push_str(of(*dimension));
    }
    value
}

/// What a value that stands for several dimensions has of one of them.
fn find<'a>(dimensions: &[Dimension], value: &'a str, dimension: Dimension) -> Option<&'a str> {
    let place = dimensions.iter().position(|one| *one == dimension)?;
    value.split(APART).nth(place)
}

/// What the cells of a subject are told apart by besides: amounts by their currency, events by
/// their type.
#[must_use]
pub const fn qualifier(subject: Subject) -> Option<Dimension> {
    match subject {
        Subject::Lines => Some(Dimension::Currency),
        Subject::Events => Some(Dimension::EventType),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_part_has_a_number_of_its_own() {
        let codes: BTreeSet<i16> = Part::all()
            .flat_map(|part| [part.code, part.by_hour()])
            .chain([visits::CODE])
            .collect();
        assert_eq!(codes.len(), Part::all().count() * 2 + 1);
        let parts: BTreeSet<_> = Part::all()
            .map(|part| (part.subject, part.dimensions))
            .collect();
        assert_eq!(parts.len(), Part::all().count());
    }
}
