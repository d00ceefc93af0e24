//! Requests as they come: the parameters of GraphQL over HTTP, in the JSON of a body or of a
//! message, or in an address.

use std::collections::HashMap;

use async_graphql::{Request, Value, Variables};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::limits::VALUES;
use crate::error::{Code, Problem};

/// What stands for a document in the extensions of a request, once it was read: no client can send
/// this name.
pub(super) const DOCUMENT_ID: &str = " documentId";

/// The parameters of a request.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object with `query` or `documentId`"
)]
struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<HashMap<String, Value>>,
}

/// The same in an address: objects are texts of JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// What a body holds.
pub enum Asked {
    /// One request.
    One(Box<Request>),
    /// A batch of them.
    Batch(Vec<Request>),
}

impl Asked {
    /// Reads a body; a batch may have so many requests, none if 0.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8], batch: usize) -> Result<Self, Problem> {
        check_values(body)?;
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'[') {
            return Ok(Self::One(Box::new(request(from_json(body)?)?)));
        }
        if batch == 0 {
            let detail = "This server takes no batches: send one request at a time.";
            return Err(Problem::with(Code::MalformedRequest, detail));
        }
        let all: Vec<Parameters> = from_json(body)?;
        if all.is_empty() {
            let detail = "The batch is empty.";
            return Err(Problem::with(Code::MalformedRequest, detail));
        }
        if all.len() > batch {
            let detail = format!("The batch holds more than {batch} requests. Split it.");
            return Err(Problem::with(Code::BatchTooLarge, detail));
        }
        all.into_iter()
            .map(request)
            .collect::<Result<_, _>>()
            .map(Self::Batch)
    }
}

/// Reads what a message of a socket asks.
///
/// # Errors
/// What is wrong with it.
pub fn read_message(payload: &[u8]) -> Result<Request, Problem> {
    check_values(payload)?;
    request(from_json(payload)?)
}

/// The request of an address. Texts that are empty are none.
///
/// # Errors
/// What is wrong with it.
pub fn read_address(address: Address) -> Result<Request, Problem> {
    fn read<T: DeserializeOwned>(name: &str, text: Option<String>) -> Result<Option<T>, Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        check_values(text.as_bytes())?;
        serde_json::from_str(&text).map_err(|error| {
            let detail = format!("`{name}` is not a JSON object: {error}.");
            Problem::with(Code::MalformedRequest, detail)
        })
    }
    let told = |text: Option<String>| text.filter(|text| !text.is_empty());
    request(Parameters {
        query: told(address.query),
        document_id: told(address.document_id),
        operation_name: told(address.operation_name),
        variables: read("variables", address.variables)?,
        extensions: read("extensions", address.extensions)?,
    })
}

fn request(asked: Parameters) -> Result<Request, Problem> {
    let persisted = |all: &HashMap<_, _>| all.contains_key("persistedQuery");
    let has_document = asked.query.is_some()
        || asked.document_id.is_some()
        || asked.extensions.as_ref().is_some_and(persisted);
    if !has_document {
        let detail = "There is no document: send it as `query`, or its id as `documentId`.";
        return Err(Problem::with(Code::MalformedRequest, detail));
    }
    let mut request = Request::new(asked.query.unwrap_or_default());
    request.variables = asked.variables.unwrap_or_default();
    request.operation_name = asked.operation_name.filter(|name| !name.is_empty());
    for (name, value) in asked.extensions.unwrap_or_default() {
        request.extensions.insert(name, value);
    }
    request.extensions.remove(DOCUMENT_ID);
    if let Some(id) = asked.document_id {
        request.extensions.insert(DOCUMENT_ID.to_owned(), id.into());
    }
    Ok(request)
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| {
        if error.is_data() {
            let detail = format!("The body is not a GraphQL request: {error}.");
            return Problem::with(Code::MalformedRequest, detail);
        }
        Problem::with(
            Code::MalformedJson,
            format!("The body is not valid JSON: {error}."),
        )
    })
}

/// Passes JSON of few values: each takes many times its bytes once it is read.
fn check_values(json: &[u8]) -> Result<(), Problem> {
    let (mut values, mut in_text, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    if values > VALUES {
        return Err(Code::TooManyValues.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_what_is_in_texts_is_not() {
        let commas = ",[{".repeat(VALUES);
        let json = format!(r#"{{"query": "{{ a(b: \"{commas}\") }}"}}"#);
        assert!(check_values(json.as_bytes()).is_ok());
        let json = format!(
            r#"{{"query": "", "variables": [{}]}}"#,
            "[],".repeat(VALUES)
        );
        assert!(check_values(json.as_bytes()).is_err());
    }

    #[test]
    fn null_and_nothing_are_the_same() {
        let json = br#"{"query": "{ a }", "variables": null, "operationName": null, "extensions": null, "more": 1}"#;
        let request = read_message(json).ok().unwrap();
        assert_eq!(
            (request.query.as_str(), request.operation_name),
            ("{ a }", None)
        );
        for wrong in [
            "",
            "1",
            "[]",
            "{}",
            r#"{"query": null}"#,
            r#"{"query": 1}"#,
            r#"{"query": "", "query": ""}"#,
            r#"{"query": "", "variables": []}"#,
            r#"{"query": "", "extensions": ""}"#,
            r#"{"query": "", "operationName": {}}"#,
        ] {
            assert!(read_message(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
