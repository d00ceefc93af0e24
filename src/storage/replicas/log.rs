//! Where the primary's log ended at which moments, and so of which moment a standby has everything.
//!
//! The time of the last transaction that a standby replayed says nothing while nobody writes: it
//! grows older, though nothing is missing. So the end of the primary's log is noted every so often,
//! each time with a moment *before* it was asked for: what was acknowledged before that moment lies
//! before that end. A standby that has replayed as far has all of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::storage::queries::replication::{History, Position};

/// How old an answer may be, at the most: so long is remembered where the log ended.
pub const MAX_STALENESS: Duration = Duration::from_hours(1);

/// A moment, as it is measured and as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) time: DateTime<Utc>,
}

/// Why a replica is asked nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It does not answer, or not as it should.
    #[error("{0}")]
    Away(String),
    /// Nothing is known of the primary yet.
    #[error("the primary has not been heard of")]
    NoPrimary,
    /// Promoted, or never one.
    #[error("it is no standby")]
    NoStandby,
    /// Its positions say nothing of the primary's.
    #[error("it has another cluster, timeline or database than the primary")]
    Stranger,
    /// It is one, but lacks something from before all that is remembered.
    #[error("it is further behind than the primary's log is known")]
    Behind,
}

impl Unfit {
    /// Whether it is a standby of the primary after all.
    pub(super) fn is_standby(&self) -> bool {
        matches!(self, Self::Behind)
    }
}

/// The ends of the primary's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    history: Option<History>,
    /// Ends and, of each, the newest moment, both ascending.
    ends: VecDeque<(i64, Moment)>,
}

impl Log {
    /// Notes where the log ended after a moment.
    pub(super) fn note(&mut self, end: Position, moment: Moment) {
        let goes_back = self.ends.back().is_some_and(|(last, _)| *last > end.bytes);
        if goes_back || self.history.as_ref() != Some(&end.history) {
            self.ends.clear();
            self.history = Some(end.history);
        }
        match self.ends.back_mut() {
            Some((last, newest)) if *last == end.bytes => *newest = moment,
            _ => self.ends.push_back((end.bytes, moment)),
        }
        let is_old = |of: Moment| moment.at.duration_since(of.at) > MAX_STALENESS;
        while self.ends.len() > 1 && is_old(self.ends[0].1) {
            self.ends.pop_front();
        }
    }

    /// The newest moment of which a replica has everything.
    pub(super) fn reached(&self, replica: &Position) -> Result<Moment, Unfit> {
        let Some(history) = &self.history else {
            return Err(Unfit::NoPrimary);
        };
        if !replica.is_standby {
            return Err(Unfit::NoStandby);
        }
        if *history != replica.history {
            return Err(Unfit::Stranger);
        }
        let replayed = self.ends.partition_point(|(end, _)| *end <= replica.bytes);
        let newest = replayed.checked_sub(1).ok_or(Unfit::Behind)?;
        Ok(self.ends[newest].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(bytes: i64) -> Position {
        Position {
            history: History {
                cluster: 7,
                timeline: 1,
                installation: "shop:1".to_owned(),
            },
            is_standby: true,
            bytes,
        }
    }

    /// A log whose end was noted after so many seconds, and those moments.
    fn log(ends: &[(u64, i64)]) -> (Log, impl Fn(u64) -> Moment + use<>) {
        let begun = Instant::now();
        let moment = move |seconds| Moment {
            at: begun + Duration::from_secs(seconds),
            time: DateTime::UNIX_EPOCH + Duration::from_secs(seconds),
        };
        let mut log = Log::default();
        for (seconds, end) in ends {
            log.note(position(*end), moment(*seconds));
        }
        (log, moment)
    }

    #[test]
    fn a_replica_has_everything_of_the_newest_moment_whose_end_it_has_replayed() {
        let (log, moment) = log(&[(1, 100), (2, 200), (3, 300)]);
        assert_eq!(log.reached(&position(99)), Err(Unfit::Behind));
        assert_eq!(log.reached(&position(100)), Ok(moment(1)));
        assert_eq!(log.reached(&position(299)), Ok(moment(2)));
        assert_eq!(log.reached(&position(300)), Ok(moment(3)));
        assert_eq!(log.reached(&position(999)), Ok(moment(3)));
    }

    #[test]
    fn while_nothing_is_written_a_replica_stays_fresh() {
        let (log, moment) = log(&[(1, 100), (2, 200), (3, 200), (60, 200)]);
        assert_eq!(log.reached(&position(200)), Ok(moment(60)));
        assert_eq!(log.reached(&position(199)), Ok(moment(1)));
        assert_eq!(log.ends.len(), 2);
    }

    #[test]
    fn what_is_no_standby_of_the_primary_reaches_nothing() {
        let (mut log, moment) = log(&[(1, 100)]);
        let unheard = Log::default().reached(&position(100));
        assert_eq!(unheard, Err(Unfit::NoPrimary));
        let mut promoted = position(100);
        promoted.is_standby = false;
        assert_eq!(log.reached(&promoted), Err(Unfit::NoStandby));
        let strangers: [fn(&mut History); 3] = [
            |history| history.cluster = 8,
            |history| history.timeline = 2,
            |history| history.installation = "shop:2".to_owned(),
        ];
        for estrange in strangers {
            let mut stranger = position(100);
            estrange(&mut stranger.history);
            assert_eq!(log.reached(&stranger), Err(Unfit::Stranger));
        }
        // After a fail-over the old ends say nothing.
        let mut end = position(150);
        end.history.timeline = 2;
        log.note(end.clone(), moment(2));
        assert_eq!(log.reached(&position(150)), Err(Unfit::Stranger));
        assert_eq!(log.reached(&end), Ok(moment(2)));
        log.note(position(50), moment(3));
        assert_eq!(log.reached(&position(150)), Ok(moment(3)));
    }

    #[test]
    fn no_more_is_remembered_than_may_be_asked_for() {
        let hour = MAX_STALENESS.as_secs();
        let (log, moment) = log(&[(0, 100), (10, 200), (hour + 5, 300)]);
        assert_eq!(log.reached(&position(100)), Err(Unfit::Behind));
        assert_eq!(log.reached(&position(200)), Ok(moment(10)));
    }
}
