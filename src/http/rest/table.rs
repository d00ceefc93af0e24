//! CSV (RFC 4180): lines end with CRLF, cells are quoted where they must be.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a
//! formula, and what such a cell holds may be a visitor's words. So a text that begins so gets an
//! apostrophe in front. Numbers, times and ids stay as they are.

use std::fmt::{Display, Write as _};

const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Lines of a table.
#[derive(Debug, Default)]
pub(in crate::http) struct Table {
    text: String,
    /// Whether a cell stands before the next one in its line.
    begun: bool,
}

impl Table {
    /// What others wrote, or nothing.
    pub(in crate::http) fn text<'a>(&mut self, text: impl Into<Option<&'a str>>) {
        let text = text.into().unwrap_or_default();
        self.separate();
        let must_quote = |byte: u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
        let quoted = text.bytes().any(must_quote);
        if quoted {
            self.text.push('"');
        }
        if text.starts_with(FORMULAS) {
            self.text.push('\'');
        }
        if !quoted {
            self.text.push_str(text);
            return;
        }
        for (n, part) in text.split('"').enumerate() {
            if n > 0 {
                self.text.push_str("\"\"");
            }
            self.text.push_str(part);
        }
        self.text.push('"');
    }

    /// A number, a time, an id, or nothing: what can hold neither quotes nor separators.
    pub(in crate::http) fn plain(&mut self, value: impl Into<Option<String>>) {
        self.separate();
        self.text.push_str(&value.into().unwrap_or_default());
    }

    /// The same of what is there and can be written.
    pub(in crate::http) fn value(&mut self, value: impl Display) {
        self.separate();
        write!(self.text, "{value}").expect("writing to a text cannot fail");
    }

    /// Ends the line.
    pub(super) fn end_line(&mut self) {
        self.text.push_str("\r\n");
        self.begun = false;
    }

    /// The lines so far; what comes next stands behind them.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    fn separate(&mut self) {
        if self.begun {
            self.text.push(',');
        }
        self.begun = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_it_must_be_and_is_no_formula() {
        for (text, cell) in [
            ("mug", "mug"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("-5", "'-5"),
            ("@x,\"", "\"'@x,\"\"\""),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("a=1", "a=1"),
        ] {
            let mut table = Table::default();
            table.text(text);
            table.value(-5);
            table.end_line();
            table.text(None);
            assert_eq!(table.text, format!("{cell},-5\r\n"), "{text:?}");
        }
    }
}
