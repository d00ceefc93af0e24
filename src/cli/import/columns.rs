//! From the columns of anyone's order lines to purchases.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use clap::Args;
use serde_json::{Value, json};

use super::source::{Numbered, event_id};
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
    /// The currency where no column holds it: ISO 4217.
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
        Ok(Columns {
            maps,
            currency,
            zone: self.timezone,
            open: None,
            spoilt: None,
            seen: HashMap::new(),
        })
    }
}

/// Gathers lines into orders.
#[derive(Debug)]
pub(super) struct Columns {
    maps: HashMap<String, String>,
    currency: Currency,
    zone: Tz,
    /// The order that more lines may follow for.
    open: Option<Order>,
    /// The order of which a line could not be read: nothing of it is stored.
    spoilt: Option<String>,
    /// How often a content was seen, for orders without an id.
    seen: HashMap<String, u32>,
}

#[derive(Debug)]
struct Order {
    /// The line that it begins at.
    number: u64,
    id: Option<String>,
    event: Value,
}

impl Columns {
    /// Reads a line; answers the order that is complete now.
    pub(super) fn read(
        &mut self,
        number: u64,
        column: impl Fn(&str) -> Option<String>,
    ) -> Result<Numbered, Failure> {
        let id = self.maps.get("orderId").and_then(|name| column(name));
        let id = id.filter(|id| !id.is_empty());
        if id.is_some() && id == self.spoilt {
            return Ok(Vec::new());
        }
        let result = self.read_line(number, id.clone(), column);
        if result.is_err() && id.is_some() {
            self.open.take_if(|open| open.id == id);
            self.spoilt = id;
        }
        result
    }

    fn read_line(
        &mut self,
        number: u64,
        id: Option<String>,
        column: impl Fn(&str) -> Option<String>,
    ) -> Result<Numbered, Failure> {
        let field = |name: &str| {
            self.maps
                .get(name)
                .and_then(|name| column(name))
                .filter(|text| !text.is_empty())
        };
        let need = |name: &str| {
            field(name).ok_or_else(|| {
                format!(
                    "column {} is empty or missing",
                    self.maps.get(name).map_or(name, String::as_str)
                )
            })
        };

        let currency = match field("currency") {
            Some(code) => {
                Currency::from_code(&code).ok_or_else(|| format!("{code} is not a currency"))?
            }
            None => self.currency,
        };
        let quantity: i64 = match field("quantity") {
            Some(text) => text
                .parse()
                .map_err(|_| format!("{text} is not a quantity"))?,
            None => 1,
        };
        let amount = match field("unitPrice") {
            Some(price) => {
                let price = currency
                    .parse_amount(&price)
                    .map_err(|_| format!("{price} is not a price"))?;
                currency.format_amount(
                    price
                        .checked_mul(quantity)
                        .ok_or("the amount is too large")?,
                )
            }
            None => need("amount")?,
        };
        let line = json!({"productId": need("productId")?, "quantity": quantity, "amount": amount});

        if let Some(open) = &mut self.open
            && id.is_some()
            && open.id == id
        {
            let lines = open.event["lines"].as_array_mut();
            lines.expect("an order has lines").push(line);
            return Ok(Vec::new());
        }
        let mut event = json!({
            "type": "purchase",
            "timestamp": self.time(&need("timestamp")?)?.to_rfc3339(),
            "userId": need("userId")?,
            "currency": currency.code(),
            "lines": [line],
        });
        for name in ["region", "channel", "campaign"] {
            if let Some(text) = field(name) {
                event[name] = text.into();
            }
        }
        let finished = self.finish();
        self.open = Some(Order { number, id, event });
        Ok(finished)
    }

    /// Answers the order that is open.
    pub(super) fn finish(&mut self) -> Numbered {
        let Some(Order {
            number,
            id,
            mut event,
        }) = self.open.take()
        else {
            return Vec::new();
        };
        let id = match id {
            Some(id) => event_id(&format!("order/{id}"), 1),
            None => {
                let content = format!("line/{event}");
                let occurrence = self.seen.entry(content.clone()).or_default();
                *occurrence += 1;
                event_id(&content, *occurrence)
            }
        };
        event["eventId"] = id.to_string().into();
        vec![(number, event)]
    }

    fn time(&self, text: &str) -> Result<DateTime<Utc>, Failure> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(at.with_timezone(&Utc));
        }
        let clock = [
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M",
        ]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let noon = || {
            NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()?
                .and_hms_opt(12, 0, 0)
        };
        let clock = clock
            .or_else(noon)
            .ok_or_else(|| format!("{text} is not a time"))?;
        let at = self.zone.from_local_datetime(&clock).earliest();
        let at = at.ok_or_else(|| format!("{text} does not exist in {}", self.zone))?;
        Ok(at.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(maps: &[&str]) -> Columns {
        Mapping {
            maps: maps.iter().map(|text| pair(text).unwrap()).collect(),
            currency: "EUR".into(),
            timezone: Tz::Europe__Berlin,
        }
        .into_columns()
        .unwrap()
    }

    fn row<'a>(values: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            values
                .iter()
                .find(|(column, _)| *column == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn lines_of_one_order_become_one_purchase() {
        let mut columns = columns(&[
            "orderId=no",
            "timestamp=when",
            "userId=who",
            "productId=sku",
            "quantity=n",
            "unitPrice=each",
        ]);
        let first = [
            ("no", "7"),
            ("when", "2026-07-01 10:00:00"),
            ("who", "u"),
            ("sku", "a"),
            ("n", "3"),
            ("each", "1.50"),
        ];
        let second = [
            ("no", "7"),
            ("when", "2026-07-01 10:00:00"),
            ("who", "u"),
            ("sku", "b"),
            ("n", "1"),
            ("each", "2"),
        ];
        assert!(columns.read(2, row(&first)).unwrap().is_empty());
        assert!(columns.read(3, row(&second)).unwrap().is_empty());
        let (number, order) = columns.finish().remove(0);
        assert_eq!(number, 2);
        assert_eq!(order["timestamp"], "2026-07-01T08:00:00+00:00");
        assert_eq!(order["lines"][0]["amount"], "4.50");
        assert_eq!(order["lines"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_same_line_twice_without_an_order_id_is_two_orders_and_again_the_same_two() {
        let ids = || {
            let mut columns = columns(&[
                "timestamp=when",
                "userId=who",
                "productId=sku",
                "amount=total",
            ]);
            let line = [
                ("when", "2026-07-01"),
                ("who", "u"),
                ("sku", "a"),
                ("total", "5"),
            ];
            let mut events = columns.read(2, row(&line)).unwrap();
            events.extend(columns.read(2, row(&line)).unwrap());
            events.extend(columns.finish());
            events
                .into_iter()
                .map(|(_, event)| event["eventId"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids().len(), 2);
        assert_ne!(ids()[0], ids()[1]);
        assert_eq!(ids(), ids());
    }

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
