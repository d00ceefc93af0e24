//! The value of `liveSales`.

use async_graphql::{Enum, SimpleObject};

use crate::domain::money::{Currency, Decimal};
use crate::graphql::scalars::decimal;
use crate::realtime::hub;
use crate::realtime::window::View;

/// How far back a live window looks.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "hub::WindowLength")]
pub(in crate::graphql) enum LiveWindow {
    /// 60 seconds.
    OneMinute,
    /// 5 minutes.
    FiveMinutes,
    /// 60 minutes.
    OneHour,
}

/// What was sold in the window that ends now.
#[derive(SimpleObject)]
pub(in crate::graphql) struct LiveSales {
    /// Of all amounts: ISO 4217.
    currency: &'static str,
    /// What was paid.
    revenue: Decimal,
    /// How many orders.
    orders: i64,
    /// How many pieces.
    units: i64,
    /// The ten products with the most revenue, the most first.
    top_products: Vec<LiveProduct>,
}

/// What was sold of a product.
#[derive(SimpleObject)]
struct LiveProduct {
    /// The shop's id.
    product_id: String,
    /// What was paid for it.
    revenue: Decimal,
    /// How many pieces.
    units: i64,
}

impl LiveSales {
    pub(in crate::graphql) fn of(view: &View, currency: Currency) -> Self {
        let top = view.top_products.iter().map(|product| LiveProduct {
            product_id: product.product_id.clone(),
            revenue: decimal(product.revenue, currency),
            units: product.units,
        });
        Self {
            currency: currency.code(),
            revenue: decimal(view.revenue, currency),
            orders: view.orders,
            units: view.units,
            top_products: top.collect(),
        }
    }
}
