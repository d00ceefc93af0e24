//! JSON objects, one a line: events as the API takes them, or order lines with a mapping.

use serde_json::{Map, Value};

use super::columns::Columns;
use super::mapping::Mapping;
use super::source::{Lines, Numbered, Seen};
use crate::cli::Failure;

/// Reads NDJSON.
#[derive(Debug)]
pub(super) enum Reader {
    /// Events, and which of those without an id were seen.
    Events(Seen),
    /// Order lines.
    Orders(Columns),
}

impl Reader {
    pub(super) fn new(mapping: Mapping) -> Result<Self, Failure> {
        if mapping.is_empty() {
            return Ok(Self::Events(Seen::default()));
        }
        Ok(Self::Orders(mapping.into_columns()?))
    }
}

impl Lines for Reader {
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure> {
        if line.trim().is_empty() {
            return Ok(Vec::new());
        }
        let object = object(line);
        match self {
            Self::Events(seen) => {
                let mut object = object?;
                if object.get("eventId").is_none_or(Value::is_null) {
                    let id = seen.next_id(&format!("event/{line}"));
                    object.insert("eventId".to_owned(), id.to_string().into());
                }
                Ok(vec![(number, object.into())])
            }
            Self::Orders(columns) => {
                let object = object.map_err(|error| columns.unreadable(number, &error))?;
                columns.read(number, |name| match object.get(name)? {
                    Value::String(text) => Some(text.clone()),
                    Value::Null => None,
                    other => Some(other.to_string()),
                })
            }
        }
    }

    fn finish(&mut self) -> Numbered {
        match self {
            Self::Events(_) => Vec::new(),
            Self::Orders(columns) => columns.finish(),
        }
    }
}

fn object(line: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(line)? {
        Value::Object(object) => Ok(object),
        _ => Err("not a JSON object".into()),
    }
}
