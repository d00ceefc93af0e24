//! Products.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Row, amount, time};
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::http::rest::table::Table;
use crate::reports::records::Records;
use crate::storage::entity::product::{self, CATEGORY_SEPARATOR};

/// Something the shop sells.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Product {
    /// The shop's own id.
    product_id: String,
    /// What it is called.
    title: String,
    /// What there is to say of it.
    description: String,
    /// The path in the catalogue, the department first; in a table as in `Kitchen > Coffee`.
    category: Vec<String>,
    /// What one costs: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    price: Option<String>,
    /// Of the price: ISO 4217.
    currency: Option<String>,
    /// How many pieces there are.
    stock: Option<i32>,
    /// How many days new stock takes.
    lead_time_days: Option<i32>,
    /// Colour, size and the like: an object.
    #[schema(value_type = Object)]
    attributes: Value,
    /// When it was last put: RFC 3339, UTC, to the microsecond.
    updated_at: DateTime<Utc>,
}

impl From<product::Model> for Product {
    fn from(row: product::Model) -> Self {
        let currency = row.currency.as_deref();
        Self {
            category: row.category_names(),
            price: row
                .price
                .zip(currency)
                .and_then(|(n, code)| amount(n, code)),
            product_id: row.product_id,
            title: row.title,
            description: row.description,
            currency: row.currency,
            stock: row.stock,
            lead_time_days: row.lead_time_days,
            attributes: row.attributes,
            updated_at: row.updated_at,
        }
    }
}

impl Row for Product {
    type Of = product::Entity;
    const COLUMNS: &'static [&'static str] = &[
        "productId",
        "title",
        "description",
        "category",
        "price",
        "currency",
        "stock",
        "leadTimeDays",
        "attributes",
        "updatedAt",
    ];

    async fn of_page(
        _: &Records<'_>,
        _: &View,
        page: Vec<product::Model>,
    ) -> Result<Vec<Self>, Problem> {
        Ok(page.into_iter().map(Self::from).collect())
    }

    fn write(&self, table: &mut Table) {
        table.text(self.product_id.as_str());
        table.text(self.title.as_str());
        table.text(self.description.as_str());
        table.text(self.category.join(CATEGORY_SEPARATOR).as_str());
        table.plain(self.price.clone());
        table.text(self.currency.as_deref());
        table.plain(self.stock.map(|pieces| pieces.to_string()));
        table.plain(self.lead_time_days.map(|days| days.to_string()));
        table.text(self.attributes.to_string().as_str());
        table.plain(time(self.updated_at));
    }
}
