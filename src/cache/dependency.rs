//! What an answer depends on: of which hours the facts are that it is made of, and whether it
//! counts users.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Hour, TimeRange};

/// The first hour that facts can be of: what is less stands for something else.
const FIRST: i32 = Hour::WHO.0 + 1;

/// Hours, and perhaps who is who.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependsOn {
    /// From an hour, up to but without another.
    hours: Vec<(i32, i32)>,
    /// Whether it changes when two ids turn out to be one user's.
    who: bool,
}

impl DependsOn {
    /// The facts of a range.
    #[must_use]
    pub fn range(range: TimeRange) -> Self {
        Self {
            hours: vec![(Hour::of(range.from).0, end(range.to))],
            who: false,
        }
    }

    /// The facts of a range and so much before and after it.
    #[must_use]
    pub fn around(range: TimeRange, margin: TimeDelta) -> Self {
        Self {
            hours: vec![(Hour::of(range.from - margin).0, end(range.to + margin))],
            who: false,
        }
    }

    /// All facts before an instant.
    #[must_use]
    pub fn before(to: DateTime<Utc>) -> Self {
        Self {
            hours: vec![(FIRST, end(to))],
            who: false,
        }
    }

    /// All facts.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            hours: vec![(FIRST, i32::MAX)],
            who: false,
        }
    }

    /// The same, and who is who.
    #[must_use]
    pub fn and_who(self) -> Self {
        Self { who: true, ..self }
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.who |= other.who;
        for (from, to) in other.hours {
            let known = |one: &(i32, i32)| one.0 <= from && to <= one.1;
            if !self.hours.iter().any(known) {
                self.hours.retain(|one| !(from <= one.0 && one.1 <= to));
                self.hours.push((from, to));
            }
        }
        self
    }

    /// Whether a change of this hour may change the answer.
    pub(super) fn has(&self, hour: i32) -> bool {
        if hour == Hour::WHO.0 {
            return self.who;
        }
        let has = |(from, to): &(i32, i32)| *from <= hour && hour < *to;
        self.hours.iter().any(has)
    }

    /// How much memory it takes.
    pub(super) fn size(&self) -> usize {
        self.hours.len() * size_of::<(i32, i32)>()
    }
}

/// The hour after the last that lies before an instant.
fn end(to: DateTime<Utc>) -> i32 {
    Hour::of(to - TimeDelta::microseconds(1))
        .0
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> TimeRange {
        TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
    }

    fn hour(at: &str) -> i32 {
        Hour::of(at.parse().unwrap()).0
    }

    #[test]
    fn a_range_has_the_hours_that_it_touches() {
        let touched = range("2026-03-01T10:30:00Z", "2026-03-01T12:00:00Z");
        let depends_on = DependsOn::range(touched);
        for (at, has) in [
            ("2026-03-01T09:59:59Z", false),
            ("2026-03-01T10:00:00Z", true),
            ("2026-03-01T11:59:59Z", true),
            ("2026-03-01T12:00:00Z", false),
        ] {
            assert_eq!(depends_on.has(hour(at)), has, "{at}");
        }
        assert!(!depends_on.has(Hour::WHO.0));
        let before = DependsOn::before(touched.to);
        assert!(before.has(0) && !before.has(Hour::WHO.0));
        assert!(!before.has(hour("2026-03-01T12:00:00Z")));
        let all = DependsOn::everything().and_who();
        assert!(all.has(0) && all.has(Hour::WHO.0));
        let around = DependsOn::around(touched, TimeDelta::hours(1));
        assert!(around.has(hour("2026-03-01T12:59:59Z")));
        assert!(around.has(hour("2026-03-01T09:59:59Z")));
    }

    #[test]
    fn both_have_what_either_has() {
        let one = DependsOn::range(range("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"));
        let within = DependsOn::range(range("2026-03-01T05:00:00Z", "2026-03-01T06:00:00Z"));
        let other = DependsOn::range(range("2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"));
        assert_eq!(one.clone().and(within.clone()), one);
        assert_eq!(within.and(one.clone()), one);
        let both = one.and(other.and_who());
        assert!(both.has(hour("2026-03-01T05:00:00Z")));
        assert!(both.has(hour("2026-04-01T05:00:00Z")));
        assert!(both.has(Hour::WHO.0));
        assert!(!both.has(hour("2026-03-15T05:00:00Z")));
    }
}
