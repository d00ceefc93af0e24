//! The type `Product` and its input.

use async_graphql::{ID, InputObject, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::node::{Kind, global_id};
use crate::domain::money::{Currency, Decimal};
use crate::graphql::scalars::decimal;
use crate::reports::catalogue::ProductDraft;
use crate::storage::entity::product;

/// A product.
pub(in crate::graphql) struct Product(product::Model);

impl From<product::Model> for Product {
    fn from(row: product::Model) -> Self {
        Self(row)
    }
}

/// Something the shop sells.
#[Object]
impl Product {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::Product, &self.0.product_id)
    }

    /// The shop's own id.
    async fn product_id(&self) -> &str {
        &self.0.product_id
    }

    /// What it is called.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What there is to say of it.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// The path in the catalogue, the department first.
    async fn category(&self) -> Vec<String> {
        self.0.category_names()
    }

    /// What one costs.
    async fn price(&self) -> Option<Decimal> {
        let currency = Currency::from_code(self.0.currency.as_deref()?)?;
        Some(decimal(self.0.price?, currency))
    }

    /// Of the price: ISO 4217.
    async fn currency(&self) -> Option<&str> {
        self.0.currency.as_deref()
    }

    /// How many there are.
    async fn stock(&self) -> Option<i32> {
        self.0.stock
    }

    /// How many days new stock takes.
    async fn lead_time_days(&self) -> Option<i32> {
        self.0.lead_time_days
    }

    /// Colour, size and the like.
    async fn attributes(&self) -> Json<&Value> {
        Json(&self.0.attributes)
    }

    /// When it was last put.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// A product to put in the catalogue; what is there under its id is replaced whole.
#[derive(InputObject)]
pub(in crate::graphql) struct ProductInput {
    /// The shop's own id: 1 to 128 bytes.
    product_id: String,
    /// What it is called: 1 to 512 bytes.
    title: String,
    /// What there is to say of it: up to 16 KiB.
    #[graphql(default)]
    description: String,
    /// The path in the catalogue, the department first: up to 8 names without `>`.
    #[graphql(default)]
    category: Vec<String>,
    /// What one costs.
    price: Option<Decimal>,
    /// Of the price: ISO 4217; the tenant's if absent.
    currency: Option<String>,
    /// How many there are.
    stock: Option<i32>,
    /// How many days new stock takes.
    lead_time_days: Option<i32>,
    /// Colour, size and the like: an object of up to 16 KiB.
    attributes: Option<Json<Value>>,
}

impl From<ProductInput> for ProductDraft {
    fn from(input: ProductInput) -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        Self {
            product_id: input.product_id,
            title: input.title,
            description: input.description,
            category: input.category,
            price: input.price.map(|price| price.0),
            currency: input.currency,
            stock: input.stock,
            lead_time_days: input.lead_time_days,
            attributes: input.attributes.map_or_else(empty, |Json(value)| value),
        }
    }
}

/// What became of a catalogue.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PutProductsPayload {
    /// How many products were stored.
    pub(in crate::graphql) stored: usize,
}
