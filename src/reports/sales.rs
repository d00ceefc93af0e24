//! What was sold and paid back, over time and by group: a short form of [`metrics`](super::metrics).
//!
//! Orders, units, revenue and refunds come from the rollups. Buyers are a distinct count: they are
//! counted over the purchases, and only when they are asked for.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::metrics::{Cell, Limited, MetricsQuestion, cells, provenance_of};
use super::provenance::Provenance;
use super::question::{Answer, Failure, Moment, Question};
use super::{Reports, whole};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::condition::Key;
use crate::domain::measure::{Dimension, Measure};
use crate::domain::money::{Currency, mean_amount};
use crate::domain::number::Number;
use crate::domain::tenant::{Shop, View};
use crate::error::{Code, Problem};

/// What is measured, in the order of [`SalesMeasures::of`]; buyers come last, if at all.
const MEASURES: [Measure; 4] = [
    Measure::Revenue,
    Measure::Refunds,
    Measure::Orders,
    Measure::Units,
];

/// What sales can be told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "a set of four")]
pub struct SalesGroups {
    /// By the products' category.
    pub category: bool,
    /// By the orders' region.
    pub region: bool,
    /// By the orders' channel.
    pub channel: bool,
    /// By product.
    pub product: bool,
}

impl SalesGroups {
    fn keys(self) -> Vec<Key> {
        let all = [
            (self.category, Dimension::Category),
            (self.region, Dimension::Region),
            (self.channel, Dimension::Channel),
            (self.product, Dimension::Product),
        ];
        let wanted = all.into_iter().filter(|(wanted, _)| *wanted);
        wanted.map(|(_, dimension)| dimension.into()).collect()
    }
}

/// The words of a group; one that was not asked for is `None`, one that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SalesGroup {
    /// As it was when the orders were stored.
    pub category: Option<String>,
    /// Of the orders.
    pub region: Option<String>,
    /// Of the orders.
    pub channel: Option<String>,
    /// The shop's id.
    pub product_id: Option<String>,
}

impl SalesGroup {
    fn of(groups: SalesGroups, values: Vec<String>) -> Self {
        let mut values = values.into_iter();
        let mut next = |wanted: bool| wanted.then(|| values.next()).flatten();
        Self {
            category: next(groups.category),
            region: next(groups.region),
            channel: next(groups.channel),
            product_id: next(groups.product),
        }
    }
}

/// The question.
#[derive(Clone, Debug)]
pub struct SalesQuestion {
    /// Whose sales.
    pub shop: Shop,
    /// From when to when.
    pub range: TimeRange,
    /// In buckets of what length.
    pub granularity: Granularity,
    /// Of whose days and hours.
    pub zone: Tz,
    /// In which currency; amounts in others are left out and named.
    pub currency: Currency,
    /// Told apart by what.
    pub groups: SalesGroups,
    /// Whether to count what bots did.
    pub bots: bool,
    /// Whether to count the buyers of each bucket.
    pub buyers_per_bucket: bool,
    /// Whether to count the buyers of the whole range.
    pub buyers_in_total: bool,
    /// How old the answer may be; zero asks the primary.
    pub max_staleness: Duration,
}

/// What was sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesMeasures {
    /// In minor units; wide enough for any number of the largest orders.
    pub revenue: i128,
    /// What was paid back in that time, of whatever order.
    pub refunds: i128,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// How many different users, if it was asked for.
    pub buyers: Option<i64>,
}

impl SalesMeasures {
    /// Of what was measured: [`MEASURES`], and buyers if they are `counted`.
    fn of(values: &[Option<Number>], counted: bool) -> Self {
        let number = |n: usize| values.get(n).copied().flatten();
        Self {
            revenue: number(0).map_or(0, Number::unscaled),
            refunds: number(1).map_or(0, Number::unscaled),
            orders: whole(number(2)),
            units: whole(number(3)),
            buyers: counted.then(|| whole(number(4))),
        }
    }

    /// Revenue without refunds: below zero where more was paid back than paid.
    #[must_use]
    pub fn net_revenue(&self) -> i128 {
        self.revenue - self.refunds
    }

    /// Revenue over orders, rounded half up to the minor unit; nothing without orders.
    #[must_use]
    pub fn average_order_value(&self) -> Option<i128> {
        mean_amount(self.revenue, self.orders)
    }
}

/// One bucket of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesBucket {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// Which group.
    pub group: SalesGroup,
    /// What was sold in it.
    pub measures: SalesMeasures,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SalesAnswer {
    /// Of all amounts.
    pub currency: Currency,
    /// Of whose days and hours.
    pub zone: Tz,
    /// In the order of time, then of group. Without groups every bucket is there; with groups
    /// those in which something was sold or paid back.
    pub buckets: Vec<SalesBucket>,
    /// Over the whole range and all groups.
    pub totals: SalesMeasures,
    /// Other currencies in which there are orders or refunds in the range: they are not in the numbers.
    pub other_currencies: Vec<String>,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

impl Reports {
    /// Answers what was sold.
    ///
    /// # Errors
    /// Too many buckets, or that the database is away or takes too long.
    pub async fn sales(&self, question: &SalesQuestion) -> Result<SalesAnswer, Problem> {
        let bounds = calendar::bounds(question.range, question.granularity, question.zone)?;
        let asked = Asked {
            question: SalesQuestion {
                max_staleness: Duration::ZERO,
                ..question.clone()
            },
            bounds,
        };
        self.ask(&asked, question.max_staleness).await
    }
}

/// The question with the bounds of its buckets.
#[derive(Clone)]
struct Asked {
    question: SalesQuestion,
    bounds: Vec<DateTime<Utc>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bounds follow from it.
        self.question.fmt(out)
    }
}

impl Answer for SalesAnswer {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Question for Asked {
    const KIND: &'static str = "sales";
    type Answer = SalesAnswer;

    fn view(&self) -> &View {
        &self.question.shop.view
    }

    fn depends_on(&self) -> Option<DependsOn> {
        let question = &self.question;
        let depends_on = DependsOn::range(question.range);
        let counts = question.buyers_per_bucket || question.buyers_in_total;
        Some(if counts {
            depends_on.and_who()
        } else {
            depends_on
        })
    }

    async fn answer(&self, moment: Moment<'_>) -> Result<SalesAnswer, Failure> {
        let Self { question, bounds } = self;
        let (currency, groups) = (question.currency, question.groups);
        let (told, mut read) = cells(&question.told_apart()?, bounds, moment).await?;
        if told.len() > MAX_BUCKETS {
            return Err(Code::TooManyBuckets.into());
        }
        // Neither orders nor buyers add up over buckets and groups.
        let whole_range = [question.range.from, question.range.to];
        let totals = question.by_currency()?;
        let (by_currency, also) = cells(&totals, &whole_range, moment).await?;
        read.add(also);
        let (own, others): (Vec<Cell>, Vec<Cell>) = by_currency
            .into_iter()
            .partition(|cell| cell.group == [currency.code()]);
        let own = own.first().map_or(&[][..], |cell| &cell.values);
        let mut buckets: Vec<SalesBucket> = Vec::new();
        if groups == SalesGroups::default() {
            let empty = |n: usize| self.bucket(n, Vec::new(), &[]);
            buckets.extend((0..bounds.len() - 1).map(empty));
        }
        for cell in told {
            let bucket = self.bucket(cell.bucket, cell.group, &cell.values);
            match buckets.get_mut(cell.bucket) {
                Some(empty) if groups == SalesGroups::default() => *empty = bucket,
                _ => buckets.push(bucket),
            }
        }
        Ok(SalesAnswer {
            currency,
            zone: question.zone,
            buckets,
            totals: SalesMeasures::of(own, question.buyers_in_total),
            other_currencies: others.into_iter().flat_map(|cell| cell.group).collect(),
            provenance: provenance_of(&totals, &read, moment).await?,
        })
    }
}

impl Asked {
    fn bucket(&self, n: usize, group: Vec<String>, values: &[Option<Number>]) -> SalesBucket {
        SalesBucket {
            start: self.bounds[n],
            end: self.bounds[n + 1],
            group: SalesGroup::of(self.question.groups, group),
            measures: SalesMeasures::of(values, self.question.buyers_per_bucket),
        }
    }
}

impl SalesQuestion {
    fn measures(buyers: bool) -> Vec<Measure> {
        let buyers = buyers.then_some(Measure::Buyers);
        MEASURES.into_iter().chain(buyers).collect()
    }

    /// What is asked of each bucket and group.
    fn told_apart(&self) -> Result<Limited, Problem> {
        let measures = Self::measures(self.buyers_per_bucket);
        let question = MetricsQuestion {
            keys: self.groups.keys(),
            currency: self.currency,
            buyers_by_currency: true,
            bots: self.bots,
            ..MetricsQuestion::plain(&self.shop, measures, self.range)
        };
        question.limited()
    }

    /// What is asked of each currency.
    fn by_currency(&self) -> Result<Limited, Problem> {
        let measures = Self::measures(self.buyers_in_total);
        let question = MetricsQuestion {
            keys: vec![Dimension::Currency.into()],
            bots: self.bots,
            ..MetricsQuestion::plain(&self.shop, measures, self.range)
        };
        question.limited()
    }
}
