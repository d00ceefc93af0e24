//! The messages of graphql-transport-ws: what clients say, and what they are told.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Code, Problem};
use crate::graphql::{Request, read_message};

/// Why a conversation ends: the close codes of the protocol, and those of WebSocket itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End(pub(super) u16, pub(super) String);

impl End {
    /// A message that is none, and why.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self(4400, why.into())
    }

    pub(super) fn unauthorized() -> Self {
        Self(4401, "Unauthorized".to_owned())
    }

    pub(super) fn forbidden() -> Self {
        Self(4403, "Forbidden".to_owned())
    }

    /// Why a key opens nothing, or no longer.
    pub(super) fn of(code: Code) -> Self {
        Self(4403, code.sentence().to_owned())
    }

    pub(super) fn unacceptable() -> Self {
        Self(4406, "Subprotocol not acceptable".to_owned())
    }

    pub(super) fn silent() -> Self {
        Self(4408, "Connection initialisation timeout".to_owned())
    }

    pub(super) fn taken(id: &str) -> Self {
        Self(4409, format!("Subscriber for {id} already exists"))
    }

    pub(super) fn twice() -> Self {
        Self(4429, "Too many initialisation requests".to_owned())
    }

    /// Clients connect again.
    pub(super) fn restart() -> Self {
        Self(1012, "The server is stopping".to_owned())
    }

    /// Clients connect again, later.
    pub(super) fn later() -> Self {
        Self(
            1013,
            "The server cannot tell who you are; try again later".to_owned(),
        )
    }
}

/// What a client says.
pub(super) enum Said {
    /// Who it is.
    Init(HashMap<String, serde_json::Value>),
    /// Whether we are there.
    Ping(Option<Box<RawValue>>),
    /// That it is there.
    Pong,
    /// What it wants to know, under this id.
    Subscribe(String, Result<Box<Request>, Problem>),
    /// That it wants to know no more of it.
    Complete(String),
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Said, End> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object")]
    struct Message {
        #[serde(rename = "type")]
        kind: String,
        id: Option<String>,
        payload: Option<Box<RawValue>>,
    }
    if !text.trim_start().starts_with('{') {
        return Err(End::invalid("Invalid message: it is no JSON object"));
    }
    let message: Message = serde_json::from_str(text)
        .map_err(|error| End::invalid(format!("Invalid message: {error}")))?;
    let payload = message.payload.filter(|payload| payload.get() != "null");
    let is_object = |payload: &RawValue| payload.get().starts_with('{');
    if payload
        .as_deref()
        .is_some_and(|payload| !is_object(payload))
    {
        return Err(End::invalid("Invalid message: `payload` is no object"));
    }
    let id = || {
        let id = message.id.filter(|id| !id.is_empty());
        id.ok_or_else(|| End::invalid("Invalid message: `id` is missing or empty"))
    };
    Ok(match message.kind.as_str() {
        "connection_init" => {
            let payload = payload.map_or(Ok(HashMap::new()), |payload| {
                serde_json::from_str(payload.get())
            });
            Said::Init(payload.map_err(|error| End::invalid(format!("Invalid message: {error}")))?)
        }
        "ping" => Said::Ping(payload),
        "pong" => Said::Pong,
        "subscribe" => {
            let id = id()?;
            let payload = payload.ok_or_else(|| End::invalid("Invalid message: no `payload`"))?;
            match read_message(payload.get().as_bytes()) {
                Ok(request) => Said::Subscribe(id, Ok(Box::new(request))),
                Err(problem) if problem.code.status() == 400 => {
                    return Err(End::invalid(
                        "Invalid message: `payload` is no GraphQL request",
                    ));
                }
                Err(problem) => Said::Subscribe(id, Err(problem)),
            }
        }
        "complete" => Said::Complete(id()?),
        _ => return Err(End::invalid("Invalid message: its type is not known")),
    })
}

/// That the client is who it says.
pub(super) const ACK: &str = r#"{"type":"connection_ack"}"#;

/// The answer to a ping.
pub(super) fn pong(payload: Option<&RawValue>) -> String {
    payload.map_or_else(
        || r#"{"type":"pong"}"#.to_owned(),
        |payload| format!(r#"{{"type":"pong","payload":{}}}"#, payload.get()),
    )
}

/// A message about the operation of this id.
pub(super) fn about(id: &str, kind: &str, payload: Option<&str>) -> String {
    let id = serde_json::Value::from(id);
    let payload = payload.map_or_else(String::new, |json| format!(r#","payload":{json}"#));
    format!(r#"{{"id":{id},"type":"{kind}"{payload}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_told_so() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "hello",
            r#"{"type": 1}"#,
            r#"{"type": "start"}"#,
            r#"{"type": "subscribe"}"#,
            r#"{"type": "subscribe", "id": "1"}"#,
            r#"{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}"#,
            r#"{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": 1}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": ["{ a }"]}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {}}"#,
            r#"{"type": "complete"}"#,
            r#"{"type": "ping", "payload": 1}"#,
            r#"{"type": "connection_init", "payload": "key"}"#,
        ] {
            assert_eq!(read(text).err().map(|end| end.0), Some(4400), "{text}");
        }
        for text in [
            r#"{"type": "connection_init"}"#,
            r#"{"type": "connection_init", "payload": null}"#,
            r#" {"type": "ping", "payload": {"a": 1}, "more": true}"#,
            r#"{"type": "pong"}"#,
            r#"{"type": "complete", "id": "1"}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": "{", "variables": null}}"#,
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        assert_eq!(
            about("a\"", "next", Some("{}")),
            r#"{"id":"a\"","type":"next","payload":{}}"#
        );
    }
}
