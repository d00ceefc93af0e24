//! Which part of a file a request asks for (RFC 9110, 14).

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: none is asked for, or in a way that a server may overlook.
    Whole,
    /// These bytes.
    Of(Range<u64>),
    /// Bytes that it does not have.
    None,
}

impl Part {
    /// The part of a file of this version and length that is asked for.
    pub(super) fn asked(headers: &HeaderMap, version: &str, length: u64) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let same = headers.get(IF_RANGE).is_none() || text(IF_RANGE) == Some(version);
        match text(RANGE) {
            Some(range) if same => Self::read(range, length),
            _ => Self::Whole,
        }
    }

    fn read(range: &str, length: u64) -> Self {
        let Some((first, last)) = range
            .strip_prefix("bytes=")
            .and_then(|range| range.trim().split_once('-'))
        else {
            return Self::Whole;
        };
        let part = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
            (Ok(first), Err(_)) if last.is_empty() => first..length,
            (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
            _ => return Self::Whole,
        };
        if part.is_empty() {
            Self::None
        } else {
            Self::Of(part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_the_standard_has_it() {
        for (range, part) in [
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=2-", Part::Of(2..10)),
            ("bytes=2-99", Part::Of(2..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-99", Part::Of(0..10)),
            ("bytes=10-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(Part::read(range, 10), part, "{range}");
        }
    }
}
