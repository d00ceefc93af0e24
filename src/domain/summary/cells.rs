//! Sums and sets of users, by what they are of.
//!
//! Cells are written one after another, each of one value of its part's dimensions and one of its
//! subject's qualifier:
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

use super::bytes::{Damaged, read_length, read_number, read_text, take, write_number, write_text};

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
            write_text(&mut bytes, value);
            write_text(&mut bytes, qualifier);
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

#[cfg(test)]
mod tests {
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
}
