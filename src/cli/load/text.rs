//! Numbers, times and ids as text, written straight into a body: the generator shares its cores
//! with the server that it measures.

use chrono::{DateTime, Datelike};
use uuid::Uuid;

const MICROS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Writes a number.
pub(super) fn number(out: &mut Vec<u8>, n: u64) {
    padded(out, n, 1);
}

/// Writes a number with zeros in front up to a width.
pub(super) fn padded(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut begin = digits.len();
    while n > 0 {
        begin -= 1;
        digits[begin] = b"0123456789"[usize::try_from(n % 10).expect("a digit")];
        n /= 10;
    }
    out.extend_from_slice(&digits[begin.min(digits.len() - width)..]);
}

/// Writes minor units of a currency with two decimals.
pub(super) fn money(out: &mut Vec<u8>, minor: u64) {
    number(out, minor / 100);
    out.push(b'.');
    padded(out, minor % 100, 2);
}

/// Writes an id.
pub(super) fn id(out: &mut Vec<u8>, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
}

/// Writes times; remembers the text of the last day.
#[derive(Clone, Debug)]
pub(super) struct Times {
    day: i64,
    date: Vec<u8>,
}

impl Times {
    pub(super) fn new() -> Self {
        Self {
            day: i64::MIN,
            date: Vec::new(),
        }
    }

    /// Writes microseconds since 1970 as RFC 3339.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, micros: i64) {
        let seconds = micros.div_euclid(MICROS_A_SECOND);
        let day = seconds.div_euclid(SECONDS_A_DAY);
        if day != self.day {
            self.day = day;
            self.date.clear();
            let date = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            padded(&mut self.date, u64::from(date.year().unsigned_abs()), 4);
            self.date.push(b'-');
            padded(&mut self.date, u64::from(date.month()), 2);
            self.date.push(b'-');
            padded(&mut self.date, u64::from(date.day()), 2);
            self.date.push(b'T');
        }
        let of_day = seconds.rem_euclid(SECONDS_A_DAY).unsigned_abs();
        out.extend_from_slice(&self.date);
        padded(out, of_day / 3_600, 2);
        out.push(b':');
        padded(out, of_day / 60 % 60, 2);
        out.push(b':');
        padded(out, of_day % 60, 2);
        out.push(b'.');
        padded(out, micros.rem_euclid(MICROS_A_SECOND).unsigned_abs(), 6);
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_amounts_are_written_as_they_are() {
        assert_eq!(written(|out| number(out, 0)), "0");
        assert_eq!(written(|out| number(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| padded(out, 42, 6)), "000042");
        assert_eq!(written(|out| money(out, 5)), "0.05");
        assert_eq!(written(|out| money(out, 123_456)), "1234.56");
    }

    #[test]
    fn times_are_those_that_chrono_writes() {
        let mut times = Times::new();
        for text in [
            "2024-02-29T23:59:59.999999Z",
            "2026-03-01T00:00:00.000000Z",
            "2026-03-01T09:08:07.000001Z",
            "1970-01-01T00:00:00.500000Z",
        ] {
            let micros = text.parse::<DateTime<chrono::Utc>>().unwrap();
            let micros = micros.timestamp_micros();
            assert_eq!(written(|out| times.write(out, micros)), text);
        }
    }
}
