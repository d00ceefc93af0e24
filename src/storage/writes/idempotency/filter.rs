//! The filter of a closed run: tells of nearly every id that the run lacks that it does, at 18
//! bits an id. A binary fuse filter (Graf, Lemire: Binary Fuse Filters, 2022); it errs for one id
//! of 65,536, and never about an id that the run has.

use std::fmt;

use xorf::{BinaryFuse16, DmaSerializable, Filter as _};

use super::Name;

/// A filter.
pub(super) struct Filter(BinaryFuse16);

impl Filter {
    /// A filter that has these names; nothing if it cannot be built, which is not to be expected.
    pub(super) fn of(names: impl Iterator<Item = Name>) -> Option<Self> {
        let mut short: Vec<u64> = names.map(|Name(half, _)| half).collect();
        short.sort_unstable();
        short.dedup();
        BinaryFuse16::try_from(&short).ok().map(Self)
    }

    /// Whether the run may have it.
    pub(super) fn may_have(&self, Name(half, _): Name) -> bool {
        self.0.contains(&half)
    }

    /// The descriptor (a seed of 8 bytes, three lengths of 4), then the fingerprints (2 each), all
    /// little endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; BinaryFuse16::DESCRIPTOR_LEN];
        self.0.dma_copy_descriptor_to(&mut bytes);
        for fingerprint in &self.0.fingerprints {
            bytes.extend_from_slice(&fingerprint.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Filter::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seed, rest) = bytes.split_first_chunk()?;
        let (segment_length, rest) = rest.split_first_chunk()?;
        let (segment_length_mask, rest) = rest.split_first_chunk()?;
        let (segment_count_length, fingerprints) = rest.split_first_chunk()?;
        // The crate keeps its descriptor's type to itself: one that it made is overwritten.
        let mut filter = BinaryFuse16::try_from([0].as_slice()).ok()?;
        filter.descriptor.seed = u64::from_le_bytes(*seed);
        filter.descriptor.segment_length = u32::from_le_bytes(*segment_length);
        filter.descriptor.segment_length_mask = u32::from_le_bytes(*segment_length_mask);
        filter.descriptor.segment_count_length = u32::from_le_bytes(*segment_count_length);
        filter.fingerprints = fingerprints
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        // The three places of an id lie in neighbouring segments.
        let lengths = &filter.descriptor;
        let reach = lengths.segment_count_length as usize + 2 * lengths.segment_length as usize;
        (reach <= filter.fingerprints.len()).then_some(Self(filter))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Filter({} fingerprints)", self.0.fingerprints.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<u64>) -> impl Iterator<Item = Name> {
        range.map(|n| Name(xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()), n))
    }

    #[test]
    fn it_has_what_it_was_made_of_and_hardly_anything_else_also_after_a_journey() {
        for size in [0, 1, 2, 10_000] {
            let filter = Filter::of(names(0..size).chain(names(0..size))).unwrap();
            let read = Filter::from_bytes(&filter.to_bytes()).unwrap();
            for filter in [filter, read] {
                assert!(names(0..size).all(|name| filter.may_have(name)));
                let wrong = names(10_000..110_000).filter(|name| filter.may_have(*name));
                assert!(wrong.count() < 20, "{size}");
            }
        }
    }

    #[test]
    fn a_damaged_one_is_not_read() {
        let bytes = Filter::of(names(0..100)).unwrap().to_bytes();
        assert!(Filter::from_bytes(&bytes[..bytes.len() - 2]).is_none());
        assert!(Filter::from_bytes(&bytes[..7]).is_none());
    }
}
