//! `--map FIELD=COLUMN` and what goes with it: which column of anyone's order lines holds what.

use std::collections::HashMap;

use chrono_tz::Tz;
use clap::Args;

use super::columns::Columns;
use crate::cli::Failure;
use crate::domain::money::Currency;

const NAMES: [&str; 11] = [
    "orderId",
    "timestamp",
    "userId",
    "productId",
    "quantity",
    "amount",
    "unitPrice",
    "currency",
    "region",
    "channel",
    "campaign",
];

/// Which column holds what.
#[derive(Args, Clone, Debug)]
pub(super) struct Mapping {
    /// A field and the column that holds it, as in `--map userId=customer`. Fields: orderId (lines
    /// of one order follow each other), timestamp, userId, productId, quantity (1 if not mapped),
    /// amount (the line's total) or unitPrice, currency, region, channel, campaign.
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    maps: Vec<(String, String)>,
    /// The currency of orders whose first line does not hold it: ISO 4217.
    #[arg(long, default_value = "USD")]
    currency: String,
    /// The time zone of times without an offset; a date alone is noon of that day.
    #[arg(long, default_value = "UTC")]
    timezone: Tz,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, column) = text.split_once('=').ok_or("expected FIELD=COLUMN")?;
    if !NAMES.contains(&field) {
        return Err(format!("{field} is not one of {}", NAMES.join(", ")));
    }
    Ok((field.to_owned(), column.to_owned()))
}

impl Mapping {
    /// Whether nothing is mapped.
    pub(super) fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The mapping, if it maps what an order cannot do without.
    pub(super) fn into_columns(self) -> Result<Columns, Failure> {
        let currency = Currency::from_code(&self.currency)
            .ok_or_else(|| format!("{} is not a currency", self.currency))?;
        let maps: HashMap<String, String> = self.maps.into_iter().collect();
        for needed in ["timestamp", "userId", "productId"] {
            if !maps.contains_key(needed) {
                return Err(format!("--map {needed}=COLUMN is needed").into());
            }
        }
        if maps.contains_key("amount") == maps.contains_key("unitPrice") {
            return Err("--map either amount=COLUMN or unitPrice=COLUMN".into());
        }
        Ok(Columns::new(maps, currency, self.timezone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_cannot_do_says_so() {
        assert!(pair("colour=red").is_err());
        let incomplete = Mapping {
            maps: vec![],
            currency: "EUR".into(),
            timezone: Tz::UTC,
        };
        assert!(
            incomplete
                .into_columns()
                .unwrap_err()
                .to_string()
                .contains("--map timestamp")
        );
    }
}
