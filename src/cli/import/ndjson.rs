//! JSON objects, one a line: events as the API takes them, or order lines with a mapping.

use std::collections::HashMap;

use serde_json::Value;

use super::columns::{Columns, Mapping};
use super::source::{Lines, Numbered, event_id};
use crate::cli::Failure;

/// Reads NDJSON.
#[derive(Debug)]
pub(super) enum Reader {
    /// Events; how often the content of those without an id was seen.
    Events(HashMap<String, u32>),
    /// Order lines.
    Orders(Columns),
}

impl Reader {
    pub(super) fn new(mapping: Mapping) -> Result<Self, Failure> {
        if mapping.is_empty() {
            return Ok(Self::Events(HashMap::new()));
        }
        Ok(Self::Orders(mapping.into_columns()?))
    }
}

impl Lines for Reader {
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure> {
        if line.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut value: Value = serde_json::from_str(line)?;
        let Some(object) = value.as_object_mut() else {
            return Err("not a JSON object".into());
        };
        match self {
            Self::Events(seen) => {
                if object.get("eventId").is_none_or(Value::is_null) {
                    let occurrence = seen.entry(line.to_owned()).or_default();
                    *occurrence += 1;
                    let id = event_id(&format!("event/{line}"), *occurrence);
                    object.insert("eventId".to_owned(), id.to_string().into());
                }
                Ok(vec![(number, value)])
            }
            Self::Orders(columns) => columns.read(number, |name| match object.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            }),
        }
    }

    fn finish(&mut self) -> Numbered {
        match self {
            Self::Events(_) => Vec::new(),
            Self::Orders(columns) => columns.finish(),
        }
    }
}
