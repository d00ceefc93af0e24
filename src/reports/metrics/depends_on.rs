//! What the numbers of a question are made of.

use chrono::{DateTime, TimeDelta, Utc};

use super::MetricsQuestion;
use crate::cache::DependsOn;
use crate::domain::calendar::TimeRange;
use crate::domain::condition::Condition;
use crate::domain::measure::{Dimension, Subject};

/// A session ends on the day it began on, and the longest day has 25 hours.
const SESSION: TimeDelta = TimeDelta::hours(26);

/// The facts behind a question, and behind the range that it compares with.
pub(super) fn depends_on(
    question: &MetricsQuestion,
    compared: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> DependsOn {
    let filter = question.filter.as_ref();
    let mut mentioned = filter.map(Condition::dimensions).unwrap_or_default();
    mentioned.extend(question.keys.iter().map(|key| key.dimension));
    if mentioned.contains(&Dimension::UserCohort) {
        // A first purchase may be of any time.
        return DependsOn::everything().and_who();
    }
    let compared = compared.map(|(from, to)| TimeRange { from, to });
    let ranges = [Some(question.range), compared].into_iter().flatten();
    ranges.fold(DependsOn::default(), |all, range| {
        // What came late and what bots did is counted of the range, whatever is asked.
        let all = all.and(DependsOn::range(range));
        question.subjects().fold(all, |all, subject| {
            all.and(match subject {
                Subject::Lines | Subject::Events => DependsOn::default(),
                Subject::Buyers | Subject::Users | Subject::Carts => DependsOn::default().and_who(),
                // Whoever came before is not new.
                Subject::NewBuyers | Subject::NewUsers => DependsOn::before(range.to).and_who(),
                Subject::Sessions => DependsOn::around(range, SESSION).and_who(),
            })
        })
    })
}
