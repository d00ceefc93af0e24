//! From the columns of anyone's order lines to purchases.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use uuid::Uuid;

use super::source::{Numbered, Seen, event_id};
use crate::cli::Failure;
use crate::domain::money::Currency;

/// Gathers lines into orders.
#[derive(Debug)]
pub(super) struct Columns {
    maps: HashMap<String, String>,
    currency: Currency,
    zone: Tz,
    /// The order that more lines may follow for.
    open: Option<Order>,
    /// The orders, by a hash of their ids, that are left out whole.
    spoilt: HashSet<Uuid>,
    /// The line before, if it may be the first of the next order.
    in_doubt: Option<u64>,
    /// Which orders without an id were seen.
    seen: Seen,
}

#[derive(Debug)]
struct Order {
    /// The line that it begins at.
    number: u64,
    id: Option<String>,
    currency: Currency,
    event: Value,
}

impl Order {
    /// Refuses a later line that says otherwise than the first. A field left empty says nothing.
    fn agree(&self, said: [(&str, Option<String>); 3]) -> Result<(), String> {
        let difference = |(name, said): (&str, Option<String>)| {
            let (first, said) = (self.event[name].as_str()?, said?);
            (said != first)
                .then(|| format!("{name} is {said} where line {} has {first}", self.number))
        };
        let differences: Vec<String> = said.into_iter().filter_map(difference).collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(differences.join(", "))
    }
}

impl Columns {
    pub(super) fn new(maps: HashMap<String, String>, currency: Currency, zone: Tz) -> Self {
        Self {
            maps,
            currency,
            zone,
            open: None,
            spoilt: HashSet::new(),
            in_doubt: None,
            seen: Seen::default(),
        }
    }

    /// The columns that are mapped to fields.
    pub(super) fn mapped(&self) -> impl Iterator<Item = &String> {
        self.maps.values()
    }

    /// Reads a line; answers the order that is complete now.
    pub(super) fn read(
        &mut self,
        number: u64,
        column: impl Fn(&str) -> Option<String>,
    ) -> Result<Numbered, Failure> {
        let in_doubt = self.in_doubt.take();
        let id = self.maps.get("orderId").and_then(|name| column(name));
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            let result = self.read_line(number, None, column);
            return result.map_err(|error| self.unreadable(number, &error));
        };
        if self.spoilt.contains(&event_id(&id, 0)) {
            return Ok(Vec::new());
        }
        if let Some(line) = in_doubt {
            let why = format!("line {line}, which cannot be read, may belong to the same order");
            return Err(self.spoil(&id, &why));
        }
        let result = self.read_line(number, Some(&id), column);
        result.map_err(|error| self.spoil(&id, &error))
    }

    /// Takes note of a line of which not even the order is known: it may belong to the open one, or
    /// be the first of the next. Stored without it, they would be in conflict with the mended file.
    pub(super) fn unreadable(&mut self, number: u64, why: &dyn Display) -> Failure {
        if self.maps.contains_key("orderId") {
            self.in_doubt = Some(number);
            if let Some(id) = self.open.as_ref().and_then(|open| open.id.clone()) {
                return self.spoil(&id, why);
            }
        }
        why.to_string().into()
    }

    /// Leaves an order out, with all its lines.
    fn spoil(&mut self, id: &str, why: &dyn Display) -> Failure {
        self.open.take_if(|open| open.id.as_deref() == Some(id));
        self.spoilt.insert(event_id(id, 0));
        format!("{why}; order {id} is left out whole").into()
    }

    fn read_line(
        &mut self,
        number: u64,
        id: Option<&str>,
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

        let open = self.open.as_ref();
        let open = open.filter(|open| id.is_some() && open.id.as_deref() == id);
        let currency = match field("currency") {
            Some(code) => {
                Currency::from_code(&code).ok_or_else(|| format!("{code} is not a currency"))?
            }
            None => open.map_or(self.currency, |open| open.currency),
        };
        let time = field("timestamp")
            .map(|text| self.time(&text))
            .transpose()?;
        let time = time.map(|at| at.to_rfc3339());
        if let Some(open) = open {
            open.agree([
                ("userId", field("userId")),
                ("timestamp", time.clone()),
                ("currency", Some(currency.code().to_owned())),
            ])?;
        }
        let quantity: i64 = match field("quantity") {
            Some(text) => text
                .parse()
                .map_err(|_| format!("{text} is not a quantity"))?,
            None => 1,
        };
        let amount = if self.maps.contains_key("unitPrice") {
            let price = need("unitPrice")?;
            let price = currency
                .parse_amount(&price)
                .map_err(|_| format!("{price} is not a price"))?;
            let amount = price.checked_mul(quantity);
            currency.format_amount(amount.ok_or("the amount is too large")?)
        } else {
            need("amount")?
        };
        let line = json!({"productId": need("productId")?, "quantity": quantity, "amount": amount});

        if let Some(open) = &mut self.open
            && id.is_some()
            && open.id.as_deref() == id
        {
            let lines = open.event["lines"].as_array_mut();
            lines.expect("an order has lines").push(line);
            return Ok(Vec::new());
        }
        let mut event = json!({
            "type": "purchase",
            "timestamp": time.map_or_else(|| need("timestamp"), Ok)?,
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
        self.open = Some(Order {
            number,
            id: id.map(str::to_owned),
            currency,
            event,
        });
        Ok(finished)
    }

    /// Answers the order that is open.
    pub(super) fn finish(&mut self) -> Numbered {
        let Some(Order {
            number,
            id,
            mut event,
            ..
        }) = self.open.take()
        else {
            return Vec::new();
        };
        let id = match id {
            Some(id) => event_id(&format!("order/{id}"), 1),
            None => self.seen.next_id(&format!("line/{event}")),
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
        let pair = |text: &&str| {
            let (field, column) = text.split_once('=').unwrap();
            (field.to_owned(), column.to_owned())
        };
        let euro = Currency::from_code("EUR").unwrap();
        Columns::new(maps.iter().map(pair).collect(), euro, Tz::Europe__Berlin)
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
}
