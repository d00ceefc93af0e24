//! From what was read to series: measures follow from quantities.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::{Chosen, Fill, MetricsQuestion, shape};
use crate::domain::measure::{Dimension, Formula, Measure, Quantity, Subject, Unit};
use crate::domain::money::Currency;
use crate::domain::number::{Number, RATIO_DECIMALS};

/// How many decimals seconds have.
const SECONDS_DECIMALS: u32 = 3;
const MICROSECONDS_DECIMALS: u32 = 6;

/// The values of the dimensions that are told apart, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// One of them; empty where a fact has none.
    Of(Vec<String>),
    /// All that are not listed, together.
    Other,
}

impl Group {
    /// Its value of each dimension; none of all others together.
    pub(in crate::reports) fn values(&self) -> &[String] {
        match self {
            Self::Of(values) => values,
            Self::Other => &[],
        }
    }
}

/// One measure of one group over time.
#[derive(Clone, Debug)]
pub struct Series {
    /// What.
    pub measure: Measure,
    /// Of which group.
    pub group: Group,
    /// Of amounts.
    pub currency: Option<Currency>,
    /// In the order of time.
    pub points: Vec<Point>,
    /// Over the whole range, which is not the sum of the buckets where users are counted.
    pub total: Option<Number>,
    /// The same of the range that is compared with.
    pub compared_total: Option<Number>,
}

/// One bucket.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// Whether it is over; what comes late may still change it.
    pub complete: bool,
    /// What was measured.
    pub value: Option<Number>,
    /// What was measured in the bucket of the same place of the range that is compared with.
    pub compared: Option<Number>,
}

/// What was counted in one bucket of one group.
pub(super) type Numbers = BTreeMap<Quantity, i128>;

/// What was counted, by group and bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) HashMap<Group, BTreeMap<usize, Numbers>>);

/// What was counted in each bucket, and over the whole range.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// How many buckets there are.
    pub(super) length: usize,
    pub(super) buckets: Table,
    pub(super) whole: Table,
}

/// The quantities of a subject in the order in which storage tells them.
fn quantities_of(subject: Subject) -> &'static [Quantity] {
    match subject {
        Subject::Lines => &[
            Quantity::Revenue,
            Quantity::Refunds,
            Quantity::Units,
            Quantity::Orders,
        ],
        Subject::Buyers => &[Quantity::Buyers],
        Subject::NewBuyers => &[Quantity::NewBuyers],
        Subject::Events => &[Quantity::Events, Quantity::Pageviews, Quantity::CartAdds],
        Subject::Users => &[Quantity::Users],
        Subject::Carts => &[Quantity::CartUsers, Quantity::CartBuyers],
        Subject::NewUsers => &[Quantity::NewUsers],
        Subject::Sessions => &[Quantity::Sessions, Quantity::Bounces, Quantity::SessionTime],
    }
}

impl Table {
    pub(super) fn add(
        &mut self,
        group: Group,
        bucket: usize,
        subject: Subject,
        quantities: &[String],
    ) {
        let number = |text: &String| text.parse().expect("sums and counts are whole numbers");
        let numbers: Vec<i128> = quantities.iter().map(number).collect();
        self.put(group, bucket, subject, &numbers);
    }

    pub(super) fn put(&mut self, group: Group, bucket: usize, subject: Subject, numbers: &[i128]) {
        let buckets = self.0.entry(group).or_default();
        let known = buckets.entry(bucket).or_default();
        known.extend(
            quantities_of(subject)
                .iter()
                .copied()
                .zip(numbers.iter().copied()),
        );
    }

    fn numbers(&self, group: &Group, bucket: usize) -> Option<&Numbers> {
        self.0.get(group)?.get(&bucket)
    }
}

/// The groups of a table that is one bucket, the first first.
pub(super) fn in_order(question: &MetricsQuestion, whole: &Table) -> Vec<Vec<String>> {
    let measure = question
        .order
        .map_or(question.measures[0], |order| order.measure);
    let descending = question.order.is_none_or(|order| order.descending);
    let value = |group: &Group| {
        let currency = currency(question, group);
        measured(measure, whole.numbers(group, 0)?, currency)
    };
    let groups = whole.0.keys().map(|group| (value(group), group));
    let mut groups: Vec<(Option<Number>, &Group)> = groups.collect();
    groups.sort_by(|(a, one), (b, other)| {
        let by_value = if descending { b.cmp(a) } else { a.cmp(b) };
        // What has no value comes last.
        let by_presence = b.is_some().cmp(&a.is_some());
        let (Group::Of(one), Group::Of(other)) = (one, other) else {
            return by_presence;
        };
        by_presence.then(by_value).then_with(|| one.cmp(other))
    });
    let keys = groups.into_iter().map(|(_, group)| match group {
        Group::Of(key) => key.clone(),
        Group::Other => Vec::new(),
    });
    keys.collect()
}

/// The series of an answer.
pub(super) fn series(
    question: &MetricsQuestion,
    bounds: &[DateTime<Utc>],
    as_of: DateTime<Utc>,
    chosen: &Chosen,
    now: &Reading,
    before: Option<&Reading>,
) -> Vec<Series> {
    let mut all = Vec::new();
    for group in chosen.groups() {
        let currency = currency(question, &group);
        for &measure in &question.measures {
            let of =
                |table: &Table, bucket| measured(measure, table.numbers(&group, bucket)?, currency);
            let zero = zero(question, measure, currency);
            let shaped = |reading: &Reading| {
                let values = (0..reading.length).map(|bucket| of(&reading.buckets, bucket));
                shape::shape(values.collect(), zero, question)
            };
            let (values, compared) = (shaped(now), before.map(shaped));
            let point = |(n, value): (usize, Option<Number>)| Point {
                start: bounds[n],
                end: bounds[n + 1],
                complete: bounds[n + 1] <= as_of,
                value,
                compared: compared.as_ref().and_then(|compared| *compared.get(n)?),
            };
            all.push(Series {
                measure,
                currency: currency.filter(|_| measure.unit() == Unit::Money),
                points: values.into_iter().enumerate().map(point).collect(),
                total: of(&now.whole, 0).or(zero),
                compared_total: before.and_then(|before| of(&before.whole, 0).or(zero)),
                group: group.clone(),
            });
        }
    }
    all
}

/// What stands for nothing, if it is zero: not of ratios, which are nothing then, nor of amounts of
/// several currencies.
fn zero(
    question: &MetricsQuestion,
    measure: Measure,
    currency: Option<Currency>,
) -> Option<Number> {
    let is_ratio = matches!(measure.formula(), Formula::Ratio(..) | Formula::Rest(..));
    if question.fill != Fill::Zero || is_ratio {
        return None;
    }
    match measure.unit() {
        Unit::Money => Some(Number::new(0, currency?.decimals())),
        _ => Some(Number::whole(0)),
    }
}

/// The currency of a group's amounts; none where there are several.
pub(super) fn currency(question: &MetricsQuestion, group: &Group) -> Option<Currency> {
    let place = question
        .keys
        .iter()
        .position(|key| key.dimension == Dimension::Currency);
    match (place, group) {
        (None, _) => Some(question.currency),
        (Some(place), Group::Of(values)) => Currency::from_code(values.get(place)?),
        (Some(_), Group::Other) => None,
    }
}

/// The measure of what was counted; nothing if that was nothing, or if it is amounts of several
/// currencies.
pub(super) fn measured(
    measure: Measure,
    numbers: &Numbers,
    currency: Option<Currency>,
) -> Option<Number> {
    let money = || currency.map(Currency::decimals);
    let number = |quantity: Quantity| {
        let number = *numbers.get(&quantity)?;
        Some(match quantity {
            Quantity::Revenue | Quantity::Refunds => Number::new(number, money()?),
            Quantity::SessionTime => Number::new(number, MICROSECONDS_DECIMALS),
            _ => Number::whole(number),
        })
    };
    let or_zero = |quantity| number(quantity).unwrap_or(Number::whole(0));
    let decimals = match measure.unit() {
        Unit::Money => money()?,
        Unit::Seconds => SECONDS_DECIMALS,
        Unit::Share | Unit::Count => RATIO_DECIMALS,
    };
    match measure.formula() {
        Formula::Of(quantity) => number(quantity),
        Formula::Difference(one, other) => number(one)?.minus(number(other)?),
        Formula::Ratio(one, other) => or_zero(one).ratio(number(other)?, decimals),
        Formula::Rest(one, other) => {
            let rest = number(other)?.minus(or_zero(one))?;
            rest.ratio(number(other)?, decimals)
        }
    }
}
