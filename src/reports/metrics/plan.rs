//! From where each subject is read: the smallest source that answers exactly.

use chrono::{DateTime, Utc};

use super::{MetricsQuestion, Read, RowSpan};
use crate::domain::calendar::whole_days;
use crate::domain::condition::{Condition, Key};
use crate::domain::measure::{Dimension, Quantity, Subject};
use crate::storage::entity::sales_minute::Grain;

/// A part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is read.
    pub subject: Subject,
    /// From where.
    pub source: Read,
    /// Whether it is read a second time for the whole range: its buckets do not add up, or not all
    /// groups are told apart.
    pub whole: bool,
}

impl Step {
    /// The tables that are read.
    #[must_use]
    pub const fn reads(self) -> &'static str {
        match (self.source, self.subject) {
            (Read::Sales(_, RowSpan::Minute), _) => "sales_minute",
            (Read::Sales(_, RowSpan::Quarter), _) => "sales_quarter",
            (Read::Traffic(RowSpan::Minute), _) => "traffic_minute",
            (Read::Traffic(RowSpan::Quarter), _) => "traffic_quarter",
            (Read::UserDays, _) => "user_day",
            (Read::Facts, Subject::Lines | Subject::Buyers) => "purchase, refund",
            (Read::Facts, Subject::NewBuyers) => "purchase, user_day",
            (Read::Facts, Subject::NewUsers) => "event, user_day",
            (Read::Facts, _) => "event",
        }
    }
}

/// What is read for the buckets of a question.
pub(super) fn plan(question: &MetricsQuestion, bounds: &[DateTime<Utc>]) -> Vec<Step> {
    let mut subjects: Vec<Subject> = question.subjects().collect();
    subjects.sort_unstable();
    subjects.dedup();
    let step = |subject| Step {
        subject,
        source: source(question, subject, bounds, false),
        whole: bounds.len() > 2,
    };
    subjects.into_iter().map(step).collect()
}

/// The source of a subject; `is_one` if groups are not told apart though some are left out.
pub(super) fn source(
    question: &MetricsQuestion,
    subject: Subject,
    bounds: &[DateTime<Utc>],
    is_one: bool,
) -> Read {
    let filter = question.filter.as_ref();
    if filter.is_some_and(Condition::has_properties) {
        return Read::Facts;
    }
    let mut mentioned: Vec<Dimension> = filter.map(Condition::dimensions).unwrap_or_default();
    mentioned.extend(question.keys.iter().map(|key| key.dimension));
    let all_of = |known: &[Dimension]| mentioned.iter().all(|one| known.contains(one));
    match subject {
        Subject::Lines => {
            let grain = grain(&mentioned);
            let rolled_up = all_of(&[
                Dimension::Category,
                Dimension::Product,
                Dimension::Region,
                Dimension::Channel,
                Dimension::Currency,
            ]);
            let orders = question.quantities().any(|one| one == Quantity::Orders);
            if rolled_up && (!orders || orders_add_up(question, grain, is_one)) {
                Read::Sales(grain, span(bounds))
            } else {
                Read::Facts
            }
        }
        Subject::Events if all_of(&[Dimension::EventType]) => Read::Traffic(span(bounds)),
        Subject::Users | Subject::Buyers if mentioned.is_empty() => {
            let told = subject == Subject::Users || !question.bots;
            let any_currency = question.currency_of(subject).is_none();
            let days = whole_days(bounds, question.tenant_zone);
            if told && any_currency && days.is_some() {
                Read::UserDays
            } else {
                Read::Facts
            }
        }
        _ => Read::Facts,
    }
}

/// The longest rows that lie in one bucket each.
fn span(bounds: &[DateTime<Utc>]) -> RowSpan {
    let is_quarter = |bound: &DateTime<Utc>| bound.timestamp().rem_euclid(15 * 60) == 0;
    if bounds.iter().all(is_quarter) {
        RowSpan::Quarter
    } else {
        RowSpan::Minute
    }
}

/// The coarsest rows that know these dimensions.
fn grain(mentioned: &[Dimension]) -> Grain {
    if mentioned.contains(&Dimension::Product) {
        Grain::Product
    } else if mentioned.contains(&Dimension::Category) {
        Grain::Category
    } else {
        Grain::Order
    }
}

/// Whether each order is in one row of a group at most: below [`Grain::Order`] an order has a row
/// for each of its products or categories, and each must be a group of its own.
fn orders_add_up(question: &MetricsQuestion, grain: Grain, is_one: bool) -> bool {
    let has = |key: Key| question.keys.contains(&key);
    match grain {
        Grain::Order => true,
        Grain::Category => !is_one && has(Dimension::Category.into()),
        Grain::Product => !is_one && has(Dimension::Product.into()),
    }
}
