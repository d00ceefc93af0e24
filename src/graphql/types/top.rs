//! The answers of `topProducts` and `topPages`.

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject};

use super::metrics::shown;
use super::product::Product;
use super::provenance::Provenance;
use crate::domain::measure::Measure;
use crate::domain::money::Decimal;
use crate::graphql::context::ContextExt;
use crate::graphql::loaders::ProductKey;
use crate::reports::top::{Standing, TopAnswer, TopRow};

/// By what products are ranked.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum TopProductsBy {
    /// What was paid for them.
    Revenue,
    /// Revenue without refunds.
    NetRevenue,
    /// How many orders they are in.
    Orders,
    /// How many pieces were sold.
    Units,
    /// How many different users bought them.
    Buyers,
}

impl From<TopProductsBy> for Measure {
    fn from(by: TopProductsBy) -> Self {
        match by {
            TopProductsBy::Revenue => Self::Revenue,
            TopProductsBy::NetRevenue => Self::NetRevenue,
            TopProductsBy::Orders => Self::Orders,
            TopProductsBy::Units => Self::Units,
            TopProductsBy::Buyers => Self::Buyers,
        }
    }
}

/// By what pages are ranked.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum TopPagesBy {
    /// How often they were seen.
    Pageviews,
    /// How many different users saw them.
    Users,
    /// How many sessions began on them.
    Sessions,
}

impl From<TopPagesBy> for Measure {
    fn from(by: TopPagesBy) -> Self {
        match by {
            TopPagesBy::Pageviews => Self::Pageviews,
            TopPagesBy::Users => Self::Users,
            TopPagesBy::Sessions => Self::Sessions,
        }
    }
}

/// Which products sold best.
#[derive(SimpleObject)]
pub(in crate::graphql) struct TopProducts {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// The first first.
    rows: Vec<TopProduct>,
    /// All products that are not listed, together; nothing if all are.
    others: Option<TopProductTotals>,
    /// All products together. An order of several of them is one here.
    total: TopProductTotals,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A product's place.
#[derive(SimpleObject)]
#[graphql(complex)]
struct TopProduct {
    /// From 1.
    rank: usize,
    /// The shop's id; empty for refunds that name no product.
    product_id: String,
    /// Its part of the total, of what the list is ordered by; nothing of a total of nothing.
    share: Option<Decimal>,
    #[graphql(flatten)]
    numbers: TopProductNumbers,
    /// The same of the range of `compareTo`.
    compared: Option<TopProductNumbers>,
}

#[ComplexObject]
impl TopProduct {
    /// What the catalogue knows of it; nothing if it does not.
    #[graphql(cache_control(no_cache))]
    async fn product(&self, ctx: &Context<'_>) -> Result<Option<Product>> {
        let key = ProductKey(self.product_id.clone());
        Ok(ctx.loader().load_one(key).await?.map(Into::into))
    }
}

/// What several products sold together.
#[derive(SimpleObject)]
struct TopProductTotals {
    #[graphql(flatten)]
    numbers: TopProductNumbers,
    /// The same of the range of `compareTo`.
    compared: Option<TopProductNumbers>,
}

/// What was sold and paid back.
#[derive(SimpleObject)]
struct TopProductNumbers {
    /// What was paid.
    revenue: Option<Decimal>,
    /// Revenue without refunds; below zero where more was paid back than paid.
    net_revenue: Option<Decimal>,
    /// How many orders.
    orders: Option<i64>,
    /// How many pieces.
    units: Option<i64>,
    /// How many different users bought, in whatever currency unless `currency` is given; counted
    /// over the purchases themselves, where it is asked for.
    #[graphql(complexity = 50)]
    buyers: Option<i64>,
}

impl From<&Standing> for TopProductNumbers {
    fn from(standing: &Standing) -> Self {
        Self {
            revenue: shown(standing.value(Measure::Revenue)),
            net_revenue: shown(standing.value(Measure::NetRevenue)),
            orders: standing.count(Measure::Orders),
            units: standing.count(Measure::Units),
            buyers: standing.count(Measure::Buyers),
        }
    }
}

/// Which pages were seen most.
#[derive(SimpleObject)]
pub(in crate::graphql) struct TopPages {
    /// The first first.
    rows: Vec<TopPage>,
    /// All pages that are not listed, together; nothing if all are.
    others: Option<TopPageTotals>,
    /// All pages together. A user of several of them is one here.
    total: TopPageTotals,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A page's place.
#[derive(SimpleObject)]
struct TopPage {
    /// From 1.
    rank: usize,
    /// Its address.
    page_url: String,
    /// Its part of the total, of what the list is ordered by; nothing of a total of nothing.
    share: Option<Decimal>,
    #[graphql(flatten)]
    numbers: TopPageNumbers,
    /// The same of the range of `compareTo`.
    compared: Option<TopPageNumbers>,
}

/// What several pages have together.
#[derive(SimpleObject)]
struct TopPageTotals {
    #[graphql(flatten)]
    numbers: TopPageNumbers,
    /// The same of the range of `compareTo`.
    compared: Option<TopPageNumbers>,
}

/// How often pages were seen, and what began on them.
#[derive(SimpleObject)]
struct TopPageNumbers {
    /// How often they were seen.
    pageviews: Option<i64>,
    /// How many different users saw them.
    #[graphql(complexity = 50)]
    users: Option<i64>,
    /// How many sessions began on them.
    #[graphql(complexity = 50)]
    sessions: Option<i64>,
    /// The share of those sessions that had no other event, from 0 to 1.
    #[graphql(complexity = 50)]
    bounce_rate: Option<Decimal>,
}

impl From<&Standing> for TopPageNumbers {
    fn from(standing: &Standing) -> Self {
        Self {
            pageviews: standing.count(Measure::Pageviews),
            users: standing.count(Measure::Users),
            sessions: standing.count(Measure::Sessions),
            bounce_rate: shown(standing.value(Measure::BounceRate)),
        }
    }
}

impl From<TopAnswer> for TopProducts {
    fn from(answer: TopAnswer) -> Self {
        let totals = |standing: &Standing| TopProductTotals {
            numbers: standing.into(),
            compared: standing.compared().as_ref().map(Into::into),
        };
        let row = |row: TopRow| TopProduct {
            rank: row.rank,
            share: shown(row.share),
            numbers: (&row.standing).into(),
            compared: row.standing.compared().as_ref().map(Into::into),
            product_id: row.key,
        };
        Self {
            currency: answer.currency.code(),
            rows: answer.rows.into_iter().map(row).collect(),
            others: answer.others.as_ref().map(totals),
            total: totals(&answer.total),
            provenance: answer.provenance.into(),
        }
    }
}

impl From<TopAnswer> for TopPages {
    fn from(answer: TopAnswer) -> Self {
        let totals = |standing: &Standing| TopPageTotals {
            numbers: standing.into(),
            compared: standing.compared().as_ref().map(Into::into),
        };
        let row = |row: TopRow| TopPage {
            rank: row.rank,
            share: shown(row.share),
            numbers: (&row.standing).into(),
            compared: row.standing.compared().as_ref().map(Into::into),
            page_url: row.key,
        };
        Self {
            rows: answer.rows.into_iter().map(row).collect(),
            others: answer.others.as_ref().map(totals),
            total: totals(&answer.total),
            provenance: answer.provenance.into(),
        }
    }
}
