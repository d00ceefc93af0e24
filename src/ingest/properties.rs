//! Walks an event's properties once, without building them: checks that PostgreSQL can store them
//! as jsonb and hashes them so that the order of keys makes no difference.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How deep objects and arrays may nest.
pub const MAX_DEPTH: u32 = 16;
/// How many decimals PostgreSQL's numbers have at most, written without an exponent.
const MAX_DECIMALS: i64 = 16_383;
/// How many bytes they may have once no number has an exponent: PostgreSQL writes them out, so that
/// `1e-300` is stored, and read, as 302 digits.
const MAX_WRITTEN_OUT: usize = 2 * MAX_BYTES;
/// How many bytes the text of one event's properties may have.
pub const MAX_BYTES: usize = 32 * 1024;

/// Checks the text of a JSON object and hashes its meaning.
///
/// # Errors
/// What about it cannot be stored, in words for the sender.
pub fn digest(json: &str) -> Result<u64, String> {
    if json.len() > MAX_BYTES {
        return Err(format!("the properties have more than {MAX_BYTES} bytes"));
    }
    if !json.trim_start().starts_with('{') {
        return Err("the properties are not an object".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let some_float = Cell::new(false);
    let walk = Walk {
        depth: 0,
        some_float: &some_float,
    };
    let hash = walk
        .deserialize(&mut deserializer)
        .map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    if some_float.get() && !numbers_fit(json) {
        return Err(format!(
            "a number has more than {MAX_DECIMALS} decimals, or the numbers without their exponents more than {MAX_WRITTEN_OUT} bytes"
        ));
    }
    Ok(hash)
}

/// Whether PostgreSQL can store every number of this valid JSON: floats hide how they were written,
/// `1e-20000` is read as 0.
fn numbers_fit(json: &str) -> bool {
    // Every second piece between quotes is a text, once those that are escaped are gone.
    let plain = json.replace("\\\\", "").replace("\\\"", "");
    let between = plain.split('"').step_by(2);
    let mut numbers = between.flat_map(|piece| {
        piece.split(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.' | 'e' | 'E'))
    });
    let mut written_out = json.len();
    numbers.all(|number| {
        let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let decimals = digits
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        // The last letter of `true` and `false` is no exponent.
        let exponent = if exponent.is_empty() {
            0
        } else {
            exponent.parse().unwrap_or(i64::MIN)
        };
        let decimals = i64::try_from(decimals).unwrap_or(i64::MAX);
        let digits = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
        written_out = written_out.saturating_add(digits);
        written_out <= MAX_WRITTEN_OUT && decimals.saturating_sub(exponent) <= MAX_DECIMALS
    })
}

fn hash(kind: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, kind)
}

/// The kinds of JSON values, so that `1` and `"1"` differ.
mod kind {
    pub(super) const NULL: u64 = 1;
    pub(super) const BOOL: u64 = 2;
    pub(super) const NUMBER: u64 = 3;
    pub(super) const TEXT: u64 = 4;
    pub(super) const ARRAY: u64 = 5;
    pub(super) const OBJECT: u64 = 6;
    pub(super) const ENTRY: u64 = 7;
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    depth: u32,
    /// Set at the first number with a point or an exponent.
    some_float: &'a Cell<bool>,
}

impl Walk<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self {
            depth: self.depth + 1,
            some_float: self.some_float,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = u64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(hash(kind::NULL, &[]))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(hash(kind::BOOL, &[u8::from(value)]))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(hash(kind::NUMBER, value.to_string().as_bytes()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(hash(kind::NUMBER, value.to_string().as_bytes()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        self.some_float.set(true);
        Ok(hash(kind::NUMBER, value.to_string().as_bytes()))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
        if value.contains('\0') {
            return Err(E::custom("a text holds a NUL character"));
        }
        Ok(hash(kind::TEXT, value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let inner = self.deeper()?;
        let mut all = hash(kind::ARRAY, &[]);
        while let Some(item) = items.next_element_seed(inner)? {
            all = hash(all, &item.to_le_bytes());
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
        let inner = self.deeper()?;
        // A sum does not depend on the order of the entries.
        let mut all = 0_u64;
        while let Some(key) = entries.next_key_seed(inner)? {
            let value = entries.next_value_seed(inner)?;
            all = all.wrapping_add(hash(
                hash(kind::ENTRY, &key.to_le_bytes()),
                &value.to_le_bytes(),
            ));
        }
        Ok(hash(kind::OBJECT, &all.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_and_white_space_make_no_difference() {
        let one = digest(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#);
        assert_eq!(one, digest(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
        assert!(one.is_ok());
    }

    #[test]
    fn the_order_of_items_kinds_and_nesting_do() {
        let texts = [
            r"{}",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[[1],2]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"b":{"a":1}}"#,
            r#"{"a":true}"#,
            r#"{"a":null}"#,
        ];
        let mut digests: Vec<u64> = texts.iter().map(|text| digest(text).unwrap()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), texts.len());
    }

    #[test]
    fn what_postgres_cannot_store_is_refused() {
        for bad in [
            r#"{"a":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":1e-16384}"#,
            r#"{"a":0e9999999999}"#,
            r#"{"a":"\\","b":[true,0.5E-16383]}"#,
            r#"{"a":1e-99999999999999999999}"#,
            "[]",
            "1",
            "",
            r#"{"a":1} x"#,
        ] {
            assert!(digest(bad).is_err(), "{bad}");
        }
        assert!(digest(r#"{"a":[1e-16383,0.5e-16382,"\"1e-99999",false,null]}"#).is_ok());
        assert!(digest(&format!("{{\"a\":0.{}1}}", "0".repeat(16_383))).is_err());
        let many = |count: usize| format!("{{\"a\":[{}0]}}", "1e-300,".repeat(count));
        assert!(digest(&many(200)).is_ok());
        assert!(digest(&many(220)).is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(20), "]".repeat(20));
        assert!(digest(&deep).unwrap_err().contains("nested deeper"));
        assert!(digest(&format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES))).is_err());
    }
}
