//! What an hour, a day or a month came to: sums, and sets of users, that add up to those of longer
//! spans.
//!
//! A summary is kept in [`Part`]s, so that a question reads those bytes alone that it needs. A part
//! is a list of cells, each of one value of its dimensions and one of its subject's qualifier:
//!
//! ```text
//! cell    = text(value) text(qualifier) count number* count (length set)*
//! text    = length bytes
//! ```
//!
//! Lengths and counts are LEB128, numbers are LEB128 after zigzag, and a set is a Roaring bitmap of
//! users' numbers in the portable format (<https://github.com/RoaringBitmap/RoaringFormatSpec>).

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::measure::{Dimension, Subject};

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

/// The parts: those with fewer cells first. Their places are their numbers, so a new one goes to the
/// end; one that goes leaves its place.
const PARTS: [(Subject, &[Dimension]); 27] = [
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
];

impl Part {
    /// The parts of a subject.
    pub fn of(subject: Subject) -> impl Iterator<Item = Self> {
        Self::all().filter(move |part| part.subject == subject)
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

    /// The value of a cell, of what it has of each dimension.
    pub fn value<'a>(self, of: impl Fn(Dimension) -> &'a str) -> String {
        let values: Vec<&str> = self.dimensions.iter().map(|one| of(*one)).collect();
        values.join(APART)
    }

    /// What a cell with this value has of a dimension; nothing of one that the part does not know.
    #[must_use]
    pub fn find(self, value: &str, dimension: Dimension) -> Option<&str> {
        let place = self.dimensions.iter().position(|one| *one == dimension)?;
        value.split(APART).nth(place)
    }
}

/// What parts the values of several dimensions: no stored text has it.
const APART: &str = "\0";

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

/// How many numbers a cell may have.
pub const NUMBERS: usize = 4;
/// How many sets a cell may have.
pub const SETS: usize = 2;

/// What is counted of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Of lines: revenue, refunds, units, orders; of events: events, pageviews, additions to
    /// carts; of sessions: sessions, bounces, microseconds.
    pub numbers: [i128; NUMBERS],
    /// Of users and buyers: they; of carts: who put something in, and who bought.
    pub sets: [RoaringBitmap; SETS],
}

impl Cell {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        for (sum, more) in self.numbers.iter_mut().zip(other.numbers) {
            *sum += more;
        }
        for (union, more) in self.sets.iter_mut().zip(other.sets) {
            if union.is_empty() {
                *union = more;
            } else {
                *union |= more;
            }
        }
    }
}

/// The cells of a part, by value and qualifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells(BTreeMap<(String, String), Cell>);

/// Bytes that are no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a summary is damaged")]
pub struct Damaged;

impl Cells {
    /// The cell of a value and a qualifier.
    pub fn cell(&mut self, value: &str, qualifier: &str) -> &mut Cell {
        self.0
            .entry((value.to_owned(), qualifier.to_owned()))
            .or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds written cells to these.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        read(bytes, |value, qualifier, cell| {
            self.cell(value, qualifier).add(cell);
        })
    }

    /// The cells as bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for ((value, qualifier), cell) in &self.0 {
            for text in [value, qualifier] {
                write_number(&mut bytes, text.len() as u128);
                bytes.extend_from_slice(text.as_bytes());
            }
            let written = |used: Option<usize>| used.map_or(0, |last| last + 1);
            let numbers = written(cell.numbers.iter().rposition(|number| *number != 0));
            write_number(&mut bytes, numbers as u128);
            for number in &cell.numbers[..numbers] {
                let zigzag = (number << 1) ^ (number >> 127);
                write_number(&mut bytes, zigzag.cast_unsigned());
            }
            let sets = written(cell.sets.iter().rposition(|set| !set.is_empty()));
            write_number(&mut bytes, sets as u128);
            for set in &cell.sets[..sets] {
                write_number(&mut bytes, set.serialized_size() as u128);
                set.serialize_into(&mut bytes)
                    .expect("a vector takes all that is written to it");
            }
        }
        bytes
    }
}

/// Visits each written cell with its value and its qualifier.
///
/// # Errors
/// When they are damaged.
pub fn read(mut bytes: &[u8], mut visit: impl FnMut(&str, &str, Cell)) -> Result<(), Damaged> {
    while !bytes.is_empty() {
        let value = read_text(&mut bytes)?;
        let qualifier = read_text(&mut bytes)?;
        let mut cell = Cell::default();
        let numbers = read_length(&mut bytes)?;
        for number in cell.numbers.get_mut(..numbers).ok_or(Damaged)? {
            let zigzag = read_number(&mut bytes)?;
            *number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        }
        let sets = read_length(&mut bytes)?;
        for set in cell.sets.get_mut(..sets).ok_or(Damaged)? {
            let length = read_length(&mut bytes)?;
            let written = take(&mut bytes, length)?;
            *set = RoaringBitmap::deserialize_from(written).map_err(|_| Damaged)?;
        }
        visit(value, qualifier, cell);
    }
    Ok(())
}

fn write_number(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn read_number(bytes: &mut &[u8]) -> Result<u128, Damaged> {
    let mut number = 0;
    for shift in (0..128).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

fn read_length(bytes: &mut &[u8]) -> Result<usize, Damaged> {
    usize::try_from(read_number(bytes)?).map_err(|_| Damaged)
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Damaged> {
    let length = read_length(bytes)?;
    std::str::from_utf8(take(bytes, length)?).map_err(|_| Damaged)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Damaged> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn cells() -> impl Strategy<Value = Cells> {
        let numbers = prop::array::uniform4(prop_oneof![Just(0), any::<i64>()]);
        let set = prop::collection::vec(any::<u32>(), 0..20);
        let cell = ("[a-zé]{0,3}", "[A-Z]{0,2}", numbers, [set.clone(), set]);
        prop::collection::vec(cell, 0..10).prop_map(|all| {
            let mut cells = Cells::default();
            for (value, qualifier, numbers, sets) in all {
                let cell = cells.cell(&value, &qualifier);
                cell.numbers = numbers.map(i128::from);
                cell.sets = sets.map(RoaringBitmap::from_iter);
            }
            cells
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_adds_up(a in cells(), b in cells()) {
            let mut sum = Cells::default();
            sum.add(&a.write()).unwrap();
            prop_assert_eq!(&sum, &a);
            sum.add(&b.write()).unwrap();
            for ((value, qualifier), cell) in &sum.0 {
                let mut one = a.0.get(&(value.clone(), qualifier.clone())).cloned().unwrap_or_default();
                one.add(b.0.get(&(value.clone(), qualifier.clone())).cloned().unwrap_or_default());
                prop_assert_eq!(cell, &one);
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_or_other_cells_but_never_a_panic(
            a in cells(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = a.write();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let _ = Cells::default().add(&bytes);
                let _ = Cells::default().add(&bytes[..at]);
            }
        }
    }

    #[test]
    fn each_part_has_a_number_of_its_own() {
        let codes: BTreeSet<i16> = Part::all().map(|part| part.code).collect();
        assert_eq!(codes.len(), Part::all().count());
        let parts: BTreeSet<_> = Part::all()
            .map(|part| (part.subject, part.dimensions))
            .collect();
        assert_eq!(parts.len(), Part::all().count());
    }
}
