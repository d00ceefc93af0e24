//! Orders as Segment's e-commerce events tell them: in the properties.

use serde_json::value::RawValue;

use super::json::{AtMost, Members, fill, lenient_text, non_null, object, text_or_number};
use super::{Draft, LineDraft};
use crate::error::Code;
use crate::ingest::Rejection;
use crate::ingest::validate::MAX_LINES;

/// What names a product, the best first.
const PRODUCT_IDS: [&str; 4] = ["product_id", "productId", "sku", "id"];
/// What tells the sum of a refund that names no products, the best first.
const SUMS: [(&str, &str); 3] = [
    ("total", "properties.total"),
    ("value", "properties.value"),
    ("revenue", "properties.revenue"),
];
const PRODUCTS: &str = "properties.products";

/// Reads the order of a purchase or a refund.
pub(super) fn read<'a>(
    draft: &mut Draft<'a>,
    refund: bool,
    properties: Option<&'a RawValue>,
) -> Result<(), Rejection> {
    let members = properties.map(|raw| object(raw.get(), "properties"));
    let members = members.transpose()?.unwrap_or_default();
    let find = |wanted: &str| {
        let member = members.iter().find(|(name, _)| name == wanted);
        member.and_then(|(_, raw)| non_null(raw))
    };
    draft.order_id = find("order_id")
        .or_else(|| find("orderId"))
        .and_then(lenient_text);
    draft.currency = find("currency").and_then(lenient_text);
    let products = find("products").map(products).transpose()?;
    let products = products.filter(|products| !(refund && products.is_empty()));
    let priced = |lines: &Vec<LineDraft<'_>>| lines.iter().any(|line| line.unit_price.is_some());
    if !refund || products.as_ref().is_some_and(priced) {
        draft.lines = products;
        return Ok(());
    }
    let sum = SUMS
        .iter()
        .find_map(|(name, path)| Some((*path, find(name)?)));
    let Some((path, raw)) = sum else {
        draft.lines = products;
        return Ok(());
    };
    draft.lines = Some(vec![LineDraft {
        amount: Some(text_or_number(raw, path)?),
        ..LineDraft::default()
    }]);
    draft.sum_path = Some(path);
    Ok(())
}

fn products(raw: &RawValue) -> Result<Vec<LineDraft<'_>>, Rejection> {
    if !raw.get().starts_with('[') {
        let detail = format!("`{PRODUCTS}` must be an array of objects.");
        return Err(Rejection::with(Code::InvalidType, PRODUCTS, detail));
    }
    let AtMost::<MAX_LINES>(items) = serde_json::from_str(raw.get())
        .map_err(|_| Rejection::new(Code::InvalidLines, PRODUCTS))?;
    let items = items.into_iter().enumerate();
    items
        .map(|(n, raw)| {
            let members = object(raw.get(), &format!("{PRODUCTS}[{n}]"))?;
            product(&members, n)
        })
        .collect()
}

fn product<'a>(members: &Members<'a>, n: usize) -> Result<LineDraft<'a>, Rejection> {
    let mut line = LineDraft::default();
    let mut rank = PRODUCT_IDS.len();
    for (name, raw) in members {
        let Some(raw) = non_null(raw) else {
            continue;
        };
        let path = || format!("{PRODUCTS}[{n}].{name}");
        match name.as_ref() {
            "quantity" => {
                let quantity = text_or_number(raw, &path())?;
                fill(&mut line.quantity, Some(quantity), &path())?;
            }
            "price" => {
                let price = text_or_number(raw, &path())?;
                fill(&mut line.unit_price, Some(price), &path())?;
            }
            _ => {
                let better = PRODUCT_IDS[..rank].iter().position(|known| name == known);
                if let Some(better) = better {
                    line.product_id = Some(text_or_number(raw, &path())?);
                    rank = better;
                }
            }
        }
    }
    line.quantity.get_or_insert("1".into());
    Ok(line)
}
