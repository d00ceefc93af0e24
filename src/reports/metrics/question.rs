//! What is asked, and whether it can be.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, Utc, Weekday};
use chrono_tz::Tz;

use serde::{Deserialize, Serialize};

use super::Series;
use crate::domain::calendar::{self, Granularity, TimeRange};
use crate::domain::condition::{Condition, Key, MAX_CONDITIONS};
use crate::domain::measure::{Dimension, Measure, Quantity, Subject, Unit};
use crate::domain::money::Currency;
use crate::domain::tenant::{Shop, View};
use crate::error::{Code, Problem};

/// How many measures one question may have.
const MAX_MEASURES: usize = 10;
/// How many dimensions may be told apart at once.
const MAX_KEYS: usize = 3;
/// How many groups an answer has unless it is asked for more or less.
pub const LIMIT: u16 = 50;
/// How many groups an answer may have.
const MAX_LIMIT: usize = 1_000;
/// How many buckets a window may have.
const MAX_WINDOW: usize = 366;

/// The question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsQuestion {
    /// Whose numbers, and of which of their rows.
    #[serde(flatten)]
    pub view: View,
    /// The tenant's time zone: of its days there are rows of who was there.
    pub tenant_zone: Tz,
    /// What is measured.
    pub measures: Vec<Measure>,
    /// Told apart by what.
    pub keys: Vec<Key>,
    /// From when to when.
    pub range: TimeRange,
    /// Of what the range is as much as there is of the current one, if of anything.
    pub to_date: Option<Granularity>,
    /// In buckets of what length.
    pub granularity: Granularity,
    /// On which day weeks begin.
    pub week_start: Weekday,
    /// Of whose days and hours.
    pub zone: Tz,
    /// Which facts count.
    pub filter: Option<Condition>,
    /// Beside which other range.
    pub compare: Option<Compare>,
    /// What stands where nothing was.
    pub fill: Fill,
    /// Over several buckets at a time.
    pub rolling: Option<Rolling>,
    /// Which groups come first; the first measure, the largest first, if absent.
    pub order: Option<Order>,
    /// How many groups; all others are one together.
    pub limit: usize,
    /// The currency of amounts.
    pub currency: Currency,
    /// Whether buyers are those who bought in that currency.
    pub buyers_by_currency: bool,
    /// Whether to count what bots did.
    pub bots: bool,
    /// How old the answer may be.
    pub max_staleness: Duration,
    /// Whether to say what would be read, and read nothing.
    pub explain: bool,
}

/// A question that asks for nothing but what one sees: the only kind that is answered.
#[derive(Clone, Debug)]
pub(in crate::reports) struct Limited(MetricsQuestion);

impl Deref for Limited {
    type Target = MetricsQuestion;

    fn deref(&self) -> &MetricsQuestion {
        &self.0
    }
}

/// Beside which range the numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compare {
    /// The one before it, of the same length; of a range to date, as much of the previous one.
    PreviousPeriod,
    /// The same on the calendar, a year before.
    PreviousYear,
    /// This one.
    Range(TimeRange),
}

/// What stands in a bucket of a group in which nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fill {
    /// Zero; nothing for a ratio.
    #[default]
    Zero,
    /// Nothing.
    Null,
    /// What the bucket before has.
    Previous,
    /// What lies on the line between the buckets before and after.
    Linear,
}

/// Several buckets at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// How many, the last of which is the bucket itself.
    pub buckets: usize,
    /// What of them.
    pub window: Window,
}

/// What is made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Window {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

/// Which groups come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// By which measure, over the whole range.
    pub measure: Measure,
    /// Whether the largest is the first.
    pub descending: bool,
}

/// A word of the language as clients write it.
fn word(variant: &impl std::fmt::Debug) -> String {
    let mut word = String::new();
    for letter in format!("{variant:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

impl MetricsQuestion {
    /// The plainest question of a shop: over one bucket, told apart by nothing, without bots, and
    /// of this moment.
    #[must_use]
    pub fn plain(shop: &Shop, measures: Vec<Measure>, range: TimeRange) -> Self {
        Self {
            view: shop.view.clone(),
            tenant_zone: shop.zone,
            measures,
            keys: Vec::new(),
            range,
            to_date: None,
            granularity: Granularity::Total,
            week_start: Weekday::Mon,
            zone: shop.zone,
            filter: None,
            compare: None,
            fill: Fill::Zero,
            rolling: None,
            order: None,
            limit: usize::from(LIMIT),
            currency: shop.currency,
            buyers_by_currency: false,
            bots: false,
            max_staleness: Duration::ZERO,
            explain: false,
        }
    }

    /// The question as it may be answered: of the rows that one sees.
    ///
    /// # Errors
    /// [`Code::OutOfScope`] where what is asked for has not what those rows are limited by.
    pub(in crate::reports) fn limited(&self) -> Result<Limited, Problem> {
        let mut question = self.clone();
        let Some(rows) = self.view.rows() else {
            return Ok(Limited(question));
        };
        let refuse = |what: String| {
            let detail = format!("The API key sees some rows alone, and {what}.");
            Err(Problem::with(Code::OutOfScope, detail))
        };
        for (dimension, _) in rows.limits() {
            if let Some(measure) = self.measures.iter().find(|measure| !measure.has(dimension)) {
                let (measure, dimension) = (word(measure), word(&dimension));
                return refuse(format!("{measure} cannot be limited by {dimension}"));
            }
        }
        // Whether somebody is new, and when they bought first, all rows tell together.
        let is_new = |subject| matches!(subject, Subject::NewUsers | Subject::NewBuyers);
        let filter = self.filter.as_ref();
        let mut mentioned = filter.map(Condition::dimensions).unwrap_or_default();
        mentioned.extend(self.keys.iter().map(|key| key.dimension));
        if self.subjects().any(is_new) || mentioned.contains(&Dimension::UserCohort) {
            return refuse("who is new is told by all rows together".to_owned());
        }
        // An order's properties tell of all its lines.
        let of_lines = rows.categories().or(rows.products()).is_some();
        if of_lines && filter.is_some_and(Condition::has_properties) {
            return refuse("properties are of whole orders".to_owned());
        }
        let seen = rows.condition();
        question.filter = Some(match question.filter.take() {
            Some(filter) => Condition::All(vec![seen, filter]),
            None => seen,
        });
        Ok(Limited(question))
    }

    /// Whether it can be answered.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let refuse = |code, detail: String| Err(Problem::with(code, detail));
        let measures: BTreeSet<Measure> = self.measures.iter().copied().collect();
        if measures.is_empty() || self.measures.len() > MAX_MEASURES {
            let detail = format!("Ask for 1 to {MAX_MEASURES} measures.");
            return refuse(Code::InvalidMetrics, detail);
        }
        if self.keys.len() > MAX_KEYS {
            let detail = format!("At most {MAX_KEYS} dimensions can be told apart at once.");
            return refuse(Code::InvalidMetrics, detail);
        }
        if !(1..=MAX_LIMIT).contains(&self.limit) {
            let detail = format!("`limit` is from 1 to {MAX_LIMIT}.");
            return refuse(Code::InvalidMetrics, detail);
        }
        let window = self.rolling.map_or(1, |rolling| rolling.buckets);
        if !(1..=MAX_WINDOW).contains(&window) {
            let detail = format!("A window has 1 to {MAX_WINDOW} buckets.");
            return refuse(Code::InvalidMetrics, detail);
        }
        if let Some(order) = self.order
            && !measures.contains(&order.measure)
        {
            let detail = "`orderBy` names a measure that is not asked for.".to_owned();
            return refuse(Code::InvalidMetrics, detail);
        }
        let filter = self.filter.as_ref();
        if filter.is_some_and(|filter| filter.count() > MAX_CONDITIONS) {
            let detail = format!("A filter has at most {MAX_CONDITIONS} conditions.");
            return refuse(Code::InvalidFilter, detail);
        }
        let mut mentioned: Vec<Dimension> = filter.map(Condition::dimensions).unwrap_or_default();
        mentioned.extend(self.keys.iter().map(|key| key.dimension));
        for measure in measures {
            if let Some(lacking) = mentioned.iter().find(|one| !measure.has(**one)) {
                let has = Dimension::ALL.into_iter().filter(|one| measure.has(*one));
                let has: Vec<String> = has.map(|one| word(&one)).collect();
                let detail = format!(
                    "{} has no dimension {}. It has: {}.",
                    word(&measure),
                    word(lacking),
                    has.join(", ")
                );
                return refuse(Code::UnsupportedDimension, detail);
            }
        }
        Ok(())
    }

    /// Where buckets begin, and where the last one ends.
    pub(super) fn bounds(&self, range: TimeRange) -> Result<Vec<DateTime<Utc>>, Problem> {
        let bounds = calendar::bounds_of(range, self.granularity, self.week_start, self.zone);
        Ok(bounds?)
    }

    /// The range that is compared with.
    pub(super) fn compared_range(&self) -> Result<Option<TimeRange>, Problem> {
        let TimeRange { from, to } = self.range;
        let range = match self.compare {
            None => return Ok(None),
            Some(Compare::Range(range)) => range,
            Some(Compare::PreviousPeriod) => match self.to_date {
                Some(unit) => {
                    let before = |at| calendar::before(at, 1, unit, self.zone);
                    let (from, to) = before(from).zip(before(to)).ok_or(Code::InvalidRange)?;
                    TimeRange::new(from, to)?
                }
                None => {
                    // Days have 23 to 25 hours: as many of them, not of hours.
                    let days = calendar::whole_days(&[from, to], self.zone);
                    let days = days.map(|days| (days[1] - days[0]).num_days());
                    let begin = match days.and_then(|days| u32::try_from(days).ok()) {
                        Some(days) => calendar::before(from, days, Granularity::Day, self.zone),
                        None => Some(from - (to - from)),
                    };
                    TimeRange::new(begin.ok_or(Code::InvalidRange)?, from)?
                }
            },
            Some(Compare::PreviousYear) => {
                let year = |at| calendar::before(at, 1, Granularity::Year, self.zone);
                let (from, to) = year(from).zip(year(to)).ok_or(Code::InvalidRange)?;
                TimeRange::new(from, to)?
            }
        };
        Ok(Some(range))
    }

    /// What is counted for it.
    pub(super) fn quantities(&self) -> impl Iterator<Item = Quantity> {
        let measures = self.measures.iter();
        measures.flat_map(|measure| measure.formula().quantities())
    }

    /// Of what.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.quantities().map(Quantity::subject)
    }

    fn tells_currencies_apart(&self) -> bool {
        let is_currency = |key: &Key| key.dimension == Dimension::Currency;
        self.keys.iter().any(is_currency)
    }

    /// In which currency orders of a subject count; in all if in none.
    pub(super) fn currency_of(&self, subject: Subject) -> Option<Currency> {
        let counts = match subject {
            Subject::Lines => true,
            Subject::Buyers => self.buyers_by_currency,
            _ => false,
        };
        (counts && !self.tells_currencies_apart()).then_some(self.currency)
    }

    /// Whether nothing but orders and refunds is in the numbers.
    pub(super) fn asks_for_orders_alone(&self) -> bool {
        let of_orders = |subject| {
            matches!(
                subject,
                Subject::Lines | Subject::Buyers | Subject::NewBuyers
            )
        };
        self.subjects().all(of_orders)
    }

    /// What there is to know of the numbers besides.
    pub(super) fn warnings(&self, series: &[Series]) -> Vec<String> {
        let mut warnings = Vec::new();
        let is_money = |measure: &Measure| measure.unit() == Unit::Money;
        let others = series.iter().any(|one| one.group == super::Group::Other);
        if others && self.tells_currencies_apart() && self.measures.iter().any(is_money) {
            let text = "Amounts of several currencies do not add up: those of all other groups together are left out.";
            warnings.push(text.to_owned());
        }
        let spread = |quantity| quantity == Quantity::Orders;
        let apart = |key: &Key| matches!(key.dimension, Dimension::Category | Dimension::Product);
        if self.quantities().any(spread) && self.keys.iter().any(apart) {
            let text = "An order with several products counts in the group of each, so groups add up to more orders than there are.";
            warnings.push(text.to_owned());
        }
        warnings
    }
}

/// A range, absolute or from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// This one.
    Between(TimeRange),
    /// So many of these, until now: of days and longer ones as the wall clock goes.
    Last(u32, Granularity),
    /// From when the current one of these began, until now.
    ToDate(Granularity),
}

impl Span {
    /// Of what it is as much as there is of the current one, if of anything.
    #[must_use]
    pub fn to_date(self) -> Option<Granularity> {
        match self {
            Self::ToDate(unit) => Some(unit),
            Self::Between(_) | Self::Last(..) => None,
        }
    }

    /// The range that it is now.
    ///
    /// # Errors
    /// One that is empty, or lies outside the years that there are.
    pub(super) fn resolve(
        self,
        now: DateTime<Utc>,
        week_start: Weekday,
        zone: Tz,
    ) -> Result<TimeRange, Problem> {
        let from = match self {
            Self::Between(range) => return Ok(range),
            Self::Last(count, granularity) => calendar::before(now, count, granularity, zone),
            Self::ToDate(granularity) => calendar::start_of(now, granularity, week_start, zone),
        };
        let from = from.ok_or(Code::InvalidRange)?;
        Ok(TimeRange::new(from, now)?)
    }
}
