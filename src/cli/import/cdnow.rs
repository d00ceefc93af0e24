//! CDNOW's transaction log (Fader and Hardie): customer, date, number of CDs, dollars; in the
//! sample the customer's number in the sample stands second.

use serde_json::json;

use super::source::{Lines, Numbered, Seen};
use crate::cli::Failure;

/// The log does not say what was bought, only how many.
const PRODUCT: &str = "CD";

/// Reads the log. The master and the sample give the same ids to the orders that are in both.
#[derive(Debug, Default)]
pub(in crate::cli) struct Reader {
    /// A customer may well buy the same twice on one day.
    seen: Seen,
}

impl Lines for Reader {
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (customer, date, units, dollars) = match fields[..] {
            [] | ["customer_id", ..] => return Ok(Vec::new()),
            [customer, date, units, dollars] | [customer, _, date, units, dollars] => {
                (customer, date, units, dollars)
            }
            _ => return Err("not a line of CDNOW's log: customer, date, CDs, dollars".into()),
        };
        let date = chrono::NaiveDate::parse_from_str(date, "%Y%m%d")
            .map_err(|_| format!("{date} is not a date"))?;
        let units: i32 = units
            .parse()
            .map_err(|_| format!("{units} is not a number of CDs"))?;
        let content = format!("cdnow/{customer}/{date}/{units}/{dollars}");
        let event = json!({
            "eventId": self.seen.next_id(&content),
            "type": "purchase",
            "timestamp": format!("{date}T12:00:00Z"),
            "userId": format!("cdnow-{customer}"),
            "currency": "USD",
            "lines": [{"productId": PRODUCT, "quantity": units, "amount": dollars}],
        });
        Ok(vec![(number, event)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_and_sample_agree_on_an_order() {
        let master = Reader::default()
            .read(1, " 00004 19970101  2   29.33")
            .unwrap();
        let sample = Reader::default()
            .read(1, " 00004 0001 19970101  2   29.33")
            .unwrap();
        assert_eq!(master, sample);
        assert_eq!(master[0].1["timestamp"], "1997-01-01T12:00:00Z");
    }

    #[test]
    fn the_same_order_twice_is_two_orders() {
        let mut reader = Reader::default();
        let line = " 00004 19970101  2   29.33";
        let (first, second) = (reader.read(1, line).unwrap(), reader.read(1, line).unwrap());
        assert_ne!(first[0].1["eventId"], second[0].1["eventId"]);
    }

    #[test]
    fn the_header_is_passed_over_and_rubbish_is_not() {
        let mut reader = Reader::default();
        assert!(
            reader
                .read(1, " customer_id  date number_of_cds  dollar_value")
                .unwrap()
                .is_empty()
        );
        assert!(reader.read(1, "00004 yesterday 2 29.33").is_err());
        assert!(reader.read(1, "hello").is_err());
    }
}
