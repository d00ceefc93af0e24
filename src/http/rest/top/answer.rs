//! The answers of top lists.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::measure::Measure;
use crate::domain::money::Currency;
use crate::domain::number::Number;
use crate::http::rest::Sourced;
use crate::http::rest::provenance::Provenance;
use crate::reports::top::{Standing, TopAnswer, TopRow};

/// Which products sold best.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopProducts {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// The first first.
    rows: Vec<TopProduct>,
    /// All products that are not listed, together; null if all are.
    others: Option<TopProductTotals>,
    /// All products together. An order of several of them is one here.
    total: TopProductTotals,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A product's place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopProduct {
    /// From 1.
    rank: usize,
    /// The shop's id; empty for refunds that name no product.
    product_id: String,
    /// What the catalogue calls it; null if it does not know it.
    title: Option<String>,
    /// Its part of the total, of what the list is ordered by: a decimal as a text; null of a total of
    /// nothing.
    #[schema(example = "0.250000")]
    share: Option<String>,
    #[serde(flatten)]
    totals: TopProductTotals,
}

/// What was sold and paid back, and in the range of `compareTo`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopProductTotals {
    #[serde(flatten)]
    numbers: TopProductNumbers,
    /// The same of the range of `compareTo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<TopProductNumbers>,
}

/// What was sold and paid back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopProductNumbers {
    /// What was paid: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    revenue: Option<String>,
    /// Revenue without refunds: a decimal of the currency as a text; below zero where more was paid
    /// back than paid.
    #[schema(example = "29.90")]
    net_revenue: Option<String>,
    /// How many orders.
    orders: Option<i64>,
    /// How many pieces.
    units: Option<i64>,
    /// With `include=BUYERS`: how many different users bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyers: Option<i64>,
}

/// Which pages were seen most.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopPages {
    /// The first first.
    rows: Vec<TopPage>,
    /// All pages that are not listed, together; null if all are.
    others: Option<TopPageTotals>,
    /// All pages together. A user of several of them is one here.
    total: TopPageTotals,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// A page's place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopPage {
    /// From 1.
    rank: usize,
    /// Its address.
    page_url: String,
    /// Its part of the total, of what the list is ordered by: a decimal as a text; null of a total of
    /// nothing.
    #[schema(example = "0.250000")]
    share: Option<String>,
    #[serde(flatten)]
    totals: TopPageTotals,
}

/// What pages have, and had in the range of `compareTo`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopPageTotals {
    #[serde(flatten)]
    numbers: TopPageNumbers,
    /// The same of the range of `compareTo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<TopPageNumbers>,
}

/// How often pages were seen, and what began on them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TopPageNumbers {
    /// How often they were seen.
    pageviews: Option<i64>,
    /// With `include=USERS`: how many different users saw them.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<i64>,
    /// With `include=SESSIONS`: how many sessions began on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<i64>,
    /// With `include=BOUNCE_RATE`: the share of those sessions that had no other event, from 0 to 1,
    /// a decimal as a text; left out where no session began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.250000")]
    bounce_rate: Option<String>,
}

fn shown(number: Option<Number>) -> Option<String> {
    number.map(|number| number.to_string())
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

impl From<&Standing> for TopProductTotals {
    fn from(standing: &Standing) -> Self {
        Self {
            numbers: standing.into(),
            compared: standing.compared().as_ref().map(Into::into),
        }
    }
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

impl From<&Standing> for TopPageTotals {
    fn from(standing: &Standing) -> Self {
        Self {
            numbers: standing.into(),
            compared: standing.compared().as_ref().map(Into::into),
        }
    }
}

impl TopProducts {
    /// The answer, with what the catalogue calls its products.
    pub(super) fn of(answer: TopAnswer, titles: &HashMap<String, String>) -> Self {
        let row = |row: TopRow| TopProduct {
            rank: row.rank,
            title: titles.get(&row.key).cloned(),
            product_id: row.key,
            share: shown(row.share),
            totals: (&row.standing).into(),
        };
        Self {
            currency: Currency::code(answer.currency),
            rows: answer.rows.into_iter().map(row).collect(),
            others: answer.others.as_ref().map(Into::into),
            total: (&answer.total).into(),
            provenance: answer.provenance.into(),
        }
    }
}

impl From<TopAnswer> for TopPages {
    fn from(answer: TopAnswer) -> Self {
        let row = |row: TopRow| TopPage {
            rank: row.rank,
            page_url: row.key,
            share: shown(row.share),
            totals: (&row.standing).into(),
        };
        Self {
            rows: answer.rows.into_iter().map(row).collect(),
            others: answer.others.as_ref().map(Into::into),
            total: (&answer.total).into(),
            provenance: answer.provenance.into(),
        }
    }
}

impl Sourced for TopProducts {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl Sourced for TopPages {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}
