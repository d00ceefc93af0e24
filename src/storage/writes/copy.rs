//! PostgreSQL's binary COPY format, the cheapest way in: a header, then each row as a count of
//! fields and each field as its length and its bytes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Transaction;
use crate::storage::StorageError;

/// Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Rows on their way into a table.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    some: bool,
}

impl Rows {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut all = Vec::with_capacity(bytes + 64);
        all.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        // No flags, no header extension.
        all.extend_from_slice(&[0; 8]);
        Self {
            bytes: all,
            some: false,
        }
    }

    /// Begins a row of so many fields, which must follow in the order of the columns.
    pub(super) fn row(&mut self, fields: i16) -> &mut Self {
        self.some = true;
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub(super) fn int4(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(super) fn int8(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.field(&[u8::from(value)])
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.field(value)
    }

    pub(super) fn optional_int8(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.int8(value),
            None => self.null(),
        }
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    pub(super) fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.field(value.as_bytes())
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    pub(super) fn optional_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(super) fn timestamp(&mut self, value: DateTime<Utc>) -> &mut Self {
        self.int8(value.timestamp_micros() - POSTGRES_EPOCH)
    }

    pub(super) fn jsonb(&mut self, text: &str) -> &mut Self {
        // The format's version goes first.
        self.length(text.len() + 1);
        self.bytes.push(1);
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn length(&mut self, length: usize) {
        let length = i32::try_from(length).expect("validation bounds every field far below 2 GiB");
        self.bytes.extend_from_slice(&length.to_be_bytes());
    }

    /// Sends the rows, if there are any, with a `COPY … FROM STDIN (FORMAT binary)`.
    pub(super) async fn send(
        mut self,
        transaction: &mut Transaction,
        statement: &'static str,
    ) -> Result<(), StorageError> {
        if !self.some {
            return Ok(());
        }
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        let mut copy = transaction.copy_in_raw(statement).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }
}
