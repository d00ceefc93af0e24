//! What the shop sells: takes the catalogue in.

use std::collections::HashSet;

use serde_json::Value;

use super::Reports;
use crate::domain::money::Currency;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::entity::product::{self, CATEGORY_SEPARATOR};
use crate::storage::writes::products;

/// How many products may be put at once.
pub const MAX_PRODUCTS: usize = 500;
const MAX_ID: usize = 128;
const MAX_TITLE: usize = 512;
const MAX_DESCRIPTION: usize = 16 * 1024;
const MAX_CATEGORY_DEPTH: usize = 8;
const MAX_CATEGORY_NAME: usize = 128;

/// A product as the shop tells it.
#[derive(Clone, Debug)]
pub struct ProductDraft {
    /// The shop's id.
    pub product_id: String,
    /// What it is called.
    pub title: String,
    /// What there is to say of it.
    pub description: String,
    /// The path in the catalogue, the department first.
    pub category: Vec<String>,
    /// A decimal.
    pub price: Option<String>,
    /// Of the price; the tenant's if absent.
    pub currency: Option<String>,
    /// How many there are.
    pub stock: Option<i32>,
    /// How long new stock takes.
    pub lead_time_days: Option<i32>,
    /// A JSON object.
    pub attributes: Value,
}

impl Reports {
    /// Stores products; one that is there is replaced. All or none; returns how many.
    ///
    /// # Errors
    /// The first product that cannot be stored, or that the database is away.
    pub async fn put_products(
        &self,
        tenant: TenantId,
        tenant_currency: Currency,
        drafts: Vec<ProductDraft>,
    ) -> Result<usize, Problem> {
        if drafts.len() > MAX_PRODUCTS {
            return Err(invalid(&format!(
                "At most {MAX_PRODUCTS} products can be put at once."
            )));
        }
        let mut ids = HashSet::new();
        let mut rows = Vec::with_capacity(drafts.len());
        for (n, draft) in drafts.into_iter().enumerate() {
            let now = self.clock.now();
            let row = validate(draft, tenant, tenant_currency, now)
                .map_err(|why| invalid(&format!("products[{n}]: {why}.")))?;
            if !ids.insert(row.product_id.clone()) {
                return Err(invalid(&format!(
                    "products[{n}]: the product is given twice."
                )));
            }
            rows.push(row);
        }
        let count = rows.len();
        products::put(self.db.control(), rows, self.clock.now()).await?;
        Ok(count)
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::with(Code::InvalidProduct, detail)
}

fn validate(
    draft: ProductDraft,
    tenant: TenantId,
    tenant_currency: Currency,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<product::Model, String> {
    let currency = match &draft.currency {
        Some(code) => Currency::from_code(code).ok_or("the currency is not an ISO 4217 code")?,
        None => tenant_currency,
    };
    let price = draft
        .price
        .map(|price| currency.parse_amount(&price))
        .transpose();
    let price = price.map_err(|_| "the price is not an amount of its currency")?;
    if draft.stock.is_some_and(|stock| stock < 0) {
        return Err("the stock is negative".to_owned());
    }
    if draft
        .lead_time_days
        .is_some_and(|days| !(0..=3_650).contains(&days))
    {
        return Err("the lead time is not 0 to 3650 days".to_owned());
    }
    let attributes = draft.attributes.to_string();
    if !draft.attributes.is_object()
        || attributes.len() > MAX_DESCRIPTION
        || attributes.contains("\\u0000")
    {
        return Err(
            "the attributes are not a JSON object of at most 16 KiB without NUL".to_owned(),
        );
    }
    Ok(product::Model {
        tenant_id: tenant.0,
        product_id: bounded(draft.product_id, 1, MAX_ID, "productId")?,
        title: bounded(draft.title, 1, MAX_TITLE, "title")?,
        description: bounded(draft.description, 0, MAX_DESCRIPTION, "description")?,
        category: category_path(&draft.category)?,
        price,
        currency: price.map(|_| currency.code().to_owned()),
        stock: draft.stock,
        lead_time_days: draft.lead_time_days,
        attributes: draft.attributes,
        updated_at: now,
    })
}

fn bounded(text: String, min: usize, max: usize, name: &str) -> Result<String, String> {
    if text.len() < min || text.len() > max || text.contains('\0') {
        return Err(format!(
            "`{name}` has {min} to {max} bytes and no NUL character"
        ));
    }
    Ok(text)
}

fn category_path(names: &[String]) -> Result<String, String> {
    let unfit = |name: &String| {
        name.trim().is_empty() || name.len() > MAX_CATEGORY_NAME || name.contains(['>', '\0'])
    };
    if names.len() > MAX_CATEGORY_DEPTH || names.iter().any(unfit) {
        return Err(format!(
            "the category has at most {MAX_CATEGORY_DEPTH} names, each of 1 to {MAX_CATEGORY_NAME} bytes without `>`"
        ));
    }
    Ok(names.join(CATEGORY_SEPARATOR))
}

impl product::Model {
    /// The names of the category's path; none if it has no category.
    #[must_use]
    pub fn category_names(&self) -> Vec<String> {
        let names = self.category.split(CATEGORY_SEPARATOR);
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
