//! Whose data it is, and how much of it one sees.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::condition::{Condition, MAX_VALUES};
use super::measure::Dimension;
use super::money::Currency;

/// A shop on this server. Every row carries it and every query takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantId(pub i32);

/// Who sends events: what of a tenant its events are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Whose events they become.
    pub tenant: TenantId,
    /// Whose days users are counted by.
    pub zone: Tz,
    /// The currency of orders that name none.
    pub currency: Currency,
}

/// Who asks: what they see, and what their questions have unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// What they see.
    pub view: View,
    /// Whose days and hours.
    pub zone: Tz,
    /// The currency of amounts.
    pub currency: Currency,
}

/// What one sees of a tenant: every row, or some.
///
/// What reads rows takes a view, so none can be read with the limits of a key forgotten; and what
/// is kept of answers is kept under the view it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<RowScope>,
}

impl View {
    /// Of every row of a tenant: for what the server does of its own accord, and for keys without
    /// limits.
    #[must_use]
    pub const fn whole(tenant: TenantId) -> Self {
        Self { tenant, rows: None }
    }

    /// Of some rows, if there is a limit.
    #[must_use]
    pub const fn of(tenant: TenantId, rows: Option<RowScope>) -> Self {
        Self { tenant, rows }
    }

    /// Whose rows.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Which rows, if not all.
    #[must_use]
    pub const fn rows(&self) -> Option<&RowScope> {
        self.rows.as_ref()
    }

    /// Whether it is of every row.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.rows.is_none()
    }
}

/// Some rows: those whose category, region and product are among these. What is empty limits
/// nothing; not all three are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowScope {
    /// Of any of these categories, or of one below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    /// Of any of these regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    regions: Vec<String>,
    /// Of any of these products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    products: Vec<String>,
}

impl RowScope {
    /// Rows of these categories, regions and products; none if that is no limit, or one that cannot
    /// be.
    #[must_use]
    pub fn new(
        categories: Vec<String>,
        regions: Vec<String>,
        products: Vec<String>,
    ) -> Option<Self> {
        let mut all = [categories, regions, products];
        for values in &mut all {
            values.sort_unstable();
            values.dedup();
        }
        let unfit = |value: &String| value.is_empty() || value.contains('\0');
        let fits = |values: &Vec<String>| values.len() <= MAX_VALUES && !values.iter().any(unfit);
        if !all.iter().all(fits) || all.iter().all(Vec::is_empty) {
            return None;
        }
        let [categories, regions, products] = all;
        Some(Self {
            categories,
            regions,
            products,
        })
    }

    /// The categories, if it is limited to some.
    #[must_use]
    pub fn categories(&self) -> Option<&[String]> {
        Some(&self.categories[..]).filter(|some| !some.is_empty())
    }

    /// The regions, if it is limited to some.
    #[must_use]
    pub fn regions(&self) -> Option<&[String]> {
        Some(&self.regions[..]).filter(|some| !some.is_empty())
    }

    /// The products, if it is limited to some.
    #[must_use]
    pub fn products(&self) -> Option<&[String]> {
        Some(&self.products[..]).filter(|some| !some.is_empty())
    }

    /// By what it is limited, and to which values.
    pub fn limits(&self) -> impl Iterator<Item = (Dimension, &[String])> {
        let all = [
            (Dimension::Category, self.categories()),
            (Dimension::Region, self.regions()),
            (Dimension::Product, self.products()),
        ];
        all.into_iter()
            .filter_map(|(dimension, values)| Some((dimension, values?)))
    }

    /// That a fact is in it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let among =
            |(dimension, values): (_, &[String])| Condition::Among(dimension, values.to_vec());
        Condition::All(self.limits().map(among).collect())
    }
}
