//! What was sold and paid back, over time and by group.
//!
//! Orders, units, revenue and refunds come from the minute rollup. Buyers are a distinct count: they are
//! counted over the purchases, and only when they are asked for.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::provenance::{Provenance, Source};
use super::question::{Answer, Failure, Question};
use super::{Reports, bucket_index, minor_units};
use crate::cache::DependsOn;
use crate::domain::calendar::{self, Granularity, MAX_BUCKETS, TimeRange};
use crate::domain::event::{PURCHASE, REFUND};
use crate::domain::money::{Currency, mean_amount};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::Snapshot;
use crate::storage::entity::sales_minute::Grain;
use crate::storage::queries::buyers::{BuyersRow, buyers};
use crate::storage::queries::provenance::provenance;
use crate::storage::queries::sales::{SalesRow, sales};

pub use crate::storage::queries::sales::{SalesGroup, SalesGroups};

/// The question.
#[derive(Clone, Debug)]
pub struct SalesQuestion {
    /// Whose sales.
    pub tenant: TenantId,
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

    fn tenant(&self) -> TenantId {
        self.question.tenant
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

    async fn answer(
        &self,
        snapshot: &Snapshot,
        as_of: DateTime<Utc>,
    ) -> Result<SalesAnswer, Failure> {
        let Self { question, bounds } = self;
        let SalesQuestion {
            tenant,
            range,
            currency,
            groups,
            bots,
            ..
        } = *question;
        let whole = [range.from, range.to];
        let db = &**snapshot;

        let limit = i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX);
        let rows = sales(db, tenant, bounds, groups, bots, limit + 1).await?;
        if rows.len() > MAX_BUCKETS {
            return Err(Code::TooManyBuckets.into());
        }
        // Orders add up over buckets and regions, but not over the products of one order.
        let ungrouped = match groups.grain() {
            Grain::Order => None,
            _ => Some(sales(db, tenant, &whole, SalesGroups::default(), bots, limit).await?),
        };
        let mut read = rows.len() + ungrouped.as_ref().map_or(0, Vec::len);
        let total_rows = ungrouped.as_deref().unwrap_or(&rows);
        let (own, others): (Vec<&SalesRow>, Vec<&SalesRow>) = total_rows
            .iter()
            .partition(|row| row.currency == currency.code());
        let mut totals = sum(own);
        let others: BTreeSet<String> = others.iter().map(|row| row.currency.clone()).collect();
        if question.buyers_in_total {
            let counted =
                buyers(db, tenant, currency, &whole, SalesGroups::default(), bots).await?;
            read += counted.len();
            totals.buyers = Some(counted.first().map_or(0, |row| row.buyers));
        }

        let mut buckets = in_buckets(rows, bounds, question);
        if question.buyers_per_bucket {
            let counted = buyers(db, tenant, currency, bounds, groups, bots).await?;
            read += counted.len();
            add_buyers(&mut buckets, counted, bounds);
        }
        let row = provenance(db, tenant, range, Some(&[PURCHASE, REFUND]), bots).await?;
        let source = if question.buyers_in_total || question.buyers_per_bucket {
            Source::RollupAndRaw
        } else {
            Source::Rollup
        };
        Ok(SalesAnswer {
            currency,
            zone: question.zone,
            buckets,
            totals,
            other_currencies: others.into_iter().collect(),
            provenance: Provenance::exact(as_of, source, &row).of_rows(read),
        })
    }
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a SalesRow>) -> SalesMeasures {
    rows.into_iter()
        .fold(SalesMeasures::default(), |sum, row| SalesMeasures {
            revenue: sum.revenue + minor_units(&row.revenue),
            refunds: sum.refunds + minor_units(&row.refunds),
            orders: sum.orders + row.orders,
            units: sum.units + row.units,
            buyers: None,
        })
}

/// The rows of the wanted currency as buckets; without groups, the empty ones too.
fn in_buckets(
    rows: Vec<SalesRow>,
    bounds: &[DateTime<Utc>],
    question: &SalesQuestion,
) -> Vec<SalesBucket> {
    let empty = |n: usize| SalesBucket {
        start: bounds[n],
        end: bounds[n + 1],
        group: SalesGroup::default(),
        measures: SalesMeasures::default(),
    };
    let rows = rows
        .into_iter()
        .filter(|row| row.currency == question.currency.code());
    if question.groups == SalesGroups::default() {
        let mut buckets: Vec<SalesBucket> = (0..bounds.len() - 1).map(empty).collect();
        for row in rows {
            buckets[bucket_index(row.bucket)].measures = sum([&row]);
        }
        return buckets;
    }
    let bucket = |row: SalesRow| SalesBucket {
        measures: sum([&row]),
        group: row.group,
        ..empty(bucket_index(row.bucket))
    };
    rows.map(bucket).collect()
}

fn add_buyers(buckets: &mut [SalesBucket], counted: Vec<BuyersRow>, bounds: &[DateTime<Utc>]) {
    let mut counts: HashMap<(DateTime<Utc>, SalesGroup), i64> = counted
        .into_iter()
        .map(|row| ((bounds[bucket_index(row.bucket)], row.group), row.buyers))
        .collect();
    for bucket in buckets {
        let key = (bucket.start, bucket.group.clone());
        bucket.measures.buyers = Some(counts.remove(&key).unwrap_or(0));
    }
}
