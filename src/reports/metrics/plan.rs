//! From where each subject is read: the smallest source that answers exactly.
//!
//! What summaries tell is read from them, and what of the range they lack from the next smallest.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{MetricsQuestion, Read, RowSpan};
use crate::domain::calendar::whole_days;
use crate::domain::condition::{Condition, Key};
use crate::domain::measure::{Dimension, Quantity, Subject};
use crate::domain::money::Currency;
use crate::domain::summary::{Part, qualifier};
use crate::storage::entity::sales_minute::Grain;

/// A part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is read.
    pub subject: Subject,
    /// Whether from summaries, as far as there are any.
    pub summed: bool,
    /// From where, or the rest.
    pub source: Read,
    /// Whether it is read a second time for the whole range: its buckets do not add up, or not all
    /// groups are told apart.
    pub whole: bool,
    /// How many rows that is expected to go through, however often.
    pub estimated: i64,
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

/// What is read for the buckets of a question, where these subjects are read from summaries, and so
/// many rows are expected of each.
pub(super) fn plan(
    question: &MetricsQuestion,
    bounds: &[DateTime<Utc>],
    summed: &BTreeSet<Subject>,
    estimated: &BTreeMap<Subject, i64>,
) -> Vec<Step> {
    let subjects: BTreeSet<Subject> = question.subjects().collect();
    let step = |subject| Step {
        subject,
        summed: summed.contains(&subject),
        source: source(question, subject, bounds, false),
        whole: bounds.len() > 2 && !summed.contains(&subject),
        // It counts rows that one may not see.
        estimated: if question.view.is_whole() {
            estimated.get(&subject).copied().unwrap_or_default()
        } else {
            0
        },
    };
    subjects.into_iter().map(step).collect()
}

/// What summaries tell of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summaries {
    /// In which part.
    pub(super) part: Part,
    /// Of which cells, if of one currency.
    pub(super) currency: Option<Currency>,
    /// Whether its groups do not add up.
    pub(super) apart: bool,
}

impl Summaries {
    /// Whether a cell with these values counts.
    pub(super) fn counts<'a>(self, value: impl Fn(Dimension) -> &'a str) -> bool {
        let is_of = |currency: Currency| value(Dimension::Currency) == currency.code();
        self.currency.is_none_or(is_of)
    }
}

/// What summaries tell of a subject of this question, if they tell it: they know nothing of bots
/// and of properties, and of some dimensions together.
pub(super) fn summaries(question: &MetricsQuestion, subject: Subject) -> Option<Summaries> {
    let filter = question.filter.as_ref();
    // A summary of users is of all that they did.
    if !question.view.is_whole() || question.bots || filter.is_some_and(Condition::has_properties) {
        return None;
    }
    let mut mentioned: BTreeSet<Dimension> = filter
        .map(Condition::dimensions)
        .unwrap_or_default()
        .into_iter()
        .collect();
    mentioned.extend(question.keys.iter().map(|key| key.dimension));
    let currency = question.currency_of(subject);
    let of = match subject {
        Subject::NewUsers | Subject::NewBuyers if !mentioned.is_empty() => return None,
        Subject::NewUsers => Subject::Users,
        Subject::NewBuyers => Subject::Buyers,
        Subject::Buyers if currency.is_some() => {
            mentioned.insert(Dimension::Currency);
            subject
        }
        _ => subject,
    };
    if let Some(qualifier) = qualifier(of) {
        mentioned.remove(&qualifier);
    }
    let part = Part::knowing(of, &mentioned)?;
    let grain = grain(&mentioned.into_iter().collect::<Vec<_>>());
    let orders = subject == Subject::Lines
        && question.quantities().any(|one| one == Quantity::Orders)
        && grain != Grain::Order;
    if orders && !orders_add_up(question, grain, false) {
        return None;
    }
    Some(Summaries {
        part,
        currency,
        apart: orders,
    })
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
        // One that names no dimension may let nothing pass.
        Subject::Users | Subject::Buyers if mentioned.is_empty() && filter.is_none() => {
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
