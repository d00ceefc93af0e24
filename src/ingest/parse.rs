//! From bytes to drafts: events with their fields told apart, but not yet judged.
//!
//! Texts are borrowed from the body. A field of a wrong type spoils its event, not the batch. Each
//! protocol has a file: [`native`], [`segment`], [`posthog`].

mod body;
mod json;
mod lines;
mod names;
mod native;
mod order;
mod posthog;
mod segment;
mod words;

use std::borrow::Cow;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::judge::{Kept, SentId};
use super::{MAX_EVENT_BYTES, Rejection};
use crate::domain::batch::Protocol;
use crate::domain::person::shown;
use crate::error::Code;
use json::{Members, lenient_text, object};

pub use body::{Parsed, parse_batch, parse_line, parse_message, parse_posthog};
pub use lines::{Line, Lines};
pub use names::Names;
pub use segment::KINDS;

/// An event as sent.
#[derive(Clone, Default)]
pub struct Draft<'a> {
    /// How it was written.
    pub protocol: Protocol,
    /// Its JSON.
    pub raw: &'a str,
    /// What the request around it says of it.
    pub around: Around<'a>,
    /// What its sender calls the fields below.
    pub names: &'static Names,
    /// A UUID.
    pub event_id: Option<Cow<'a, str>>,
    /// The sender's own id of it, any text; one of the two.
    pub message_id: Option<Cow<'a, str>>,
    /// What happened, in our words.
    pub event_type: Option<Cow<'a, str>>,
    /// RFC 3339.
    pub timestamp: Option<Cow<'a, str>>,
    /// When it was sent by the same clock, which may be off: RFC 3339.
    pub sent_at: Option<Cow<'a, str>>,
    /// How long before it was sent it happened, in milliseconds, where it has no timestamp.
    pub age_ms: Option<Cow<'a, str>>,
    /// The shop's id of a known user.
    pub user_id: Option<Cow<'a, str>>,
    /// The id of a visitor who is not known.
    pub anonymous_id: Option<Cow<'a, str>>,
    /// The visit.
    pub session_id: Option<Cow<'a, str>>,
    /// Where.
    pub region: Option<Cow<'a, str>>,
    /// Through what.
    pub channel: Option<Cow<'a, str>>,
    /// Through which campaign.
    pub campaign: Option<Cow<'a, str>>,
    /// The page of a pageview.
    pub url: Option<Cow<'a, str>>,
    /// The currency of a purchase or a refund.
    pub currency: Option<Cow<'a, str>>,
    /// The lines of a purchase or a refund.
    pub lines: Option<Vec<LineDraft<'a>>>,
    /// Where the amount stands, if not in the lines.
    pub sum_path: Option<&'static str>,
    /// The shop's id of the order that was bought or paid back.
    pub order_id: Option<Cow<'a, str>>,
    /// An `anonymousId` that is to be one with the user's, for `alias`.
    pub previous_id: Option<Cow<'a, str>>,
    /// The same, if it is a `userId`.
    pub previous_user_id: Option<Cow<'a, str>>,
    /// What the user's program calls itself.
    pub user_agent: Option<Cow<'a, str>>,
    /// The text of a JSON object.
    pub properties: Option<Cow<'a, str>>,
    /// Where they stand, if not where the names say.
    pub properties_path: Option<&'static str>,
}

shown!(Draft<'_> as "Draft" { protocol, event_id, event_type, timestamp });

/// An order's line as sent.
#[derive(Clone, Debug, Default)]
pub struct LineDraft<'a> {
    /// The shop's id.
    pub product_id: Option<Cow<'a, str>>,
    /// The digits of a whole number.
    pub quantity: Option<Cow<'a, str>>,
    /// A decimal: the line's total.
    pub amount: Option<Cow<'a, str>>,
    /// A decimal: the price of one, where the total is not given.
    pub unit_price: Option<Cow<'a, str>>,
}

/// What the request around an event says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The type of message that the address implies.
    kind: Option<&'static str>,
    sent_at: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
}

impl Around<'_> {
    /// What of it an event of this protocol knows.
    fn of(self, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Native => Self::default(),
            Protocol::Segment => self,
            Protocol::Posthog => Self {
                sent_at: self.sent_at,
                ..Self::default()
            },
        }
    }
}

impl Draft<'_> {
    /// The sender's own id of the event, where it is no UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        match self.sent_id() {
            SentId::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The sender's id of the event.
    pub(super) fn sent_id(&self) -> SentId<&str> {
        sent_id(self.event_id.as_deref(), self.message_id.as_deref())
    }

    /// The rejection of this draft, with what is to be kept of it.
    pub(super) fn kept_with(&self, rejection: Rejection) -> Rejection {
        let id = match self.sent_id() {
            SentId::None => SentId::None,
            SentId::Uuid(id) => SentId::Uuid(id),
            SentId::Text(text) => SentId::Text(text.to_owned()),
        };
        let event_type = self.event_type.as_deref().map(str::to_owned);
        keep(
            rejection,
            self.protocol,
            self.raw,
            self.around,
            id,
            event_type,
        )
    }
}

fn sent_id<'t>(event_id: Option<&'t str>, message_id: Option<&'t str>) -> SentId<&'t str> {
    let uuid = |text: &str| Uuid::parse_str(text).ok();
    match (event_id, message_id) {
        (Some(text), _) => uuid(text).map_or(SentId::None, SentId::Uuid),
        (None, Some(text)) => uuid(text).map_or(SentId::Text(text), SentId::Uuid),
        (None, None) => SentId::None,
    }
}

/// Reads an event that was kept as [`super::judge::Kept::payload`].
///
/// # Errors
/// When a field cannot be read.
pub fn parse_one(protocol: Protocol, payload: &str) -> Result<Draft<'_>, Rejection> {
    read(payload, Some(protocol), Around::default())
}

/// Reads an event; without a protocol it is what it looks like.
fn read<'a>(
    raw: &'a str,
    protocol: Option<Protocol>,
    around: Around<'a>,
) -> Result<Draft<'a>, Rejection> {
    if raw.len() > MAX_EVENT_BYTES {
        return Err(too_large(raw.len()));
    }
    if !raw.trim_start().starts_with('{') {
        let detail = "An event must be an object.";
        return Err(Rejection::with(Code::InvalidType, "", detail));
    }
    let members = match object(raw, "") {
        Ok(members) => members,
        Err(rejection) => {
            let protocol = protocol.unwrap_or_default();
            return Err(keep(rejection, protocol, raw, around, SentId::None, None));
        }
    };
    let protocol = protocol.unwrap_or_else(|| {
        if segment::is_message(&members) {
            Protocol::Segment
        } else {
            Protocol::Native
        }
    });
    let around = around.of(protocol);
    let draft = match protocol {
        Protocol::Native => native::read(&members),
        Protocol::Segment => segment::read(&members, around),
        Protocol::Posthog => posthog::read(&members, around),
    };
    match draft {
        Ok(draft) => Ok(Draft {
            protocol,
            raw,
            around,
            ..draft
        }),
        Err(rejection) => {
            let event_type = match protocol {
                Protocol::Native => salvaged(&members, "type").map(Cow::into_owned),
                Protocol::Segment => segment::salvaged_type(&members, around.kind),
                Protocol::Posthog => posthog::salvaged_type(&members),
            };
            let id = salvaged_id(&members, protocol);
            Err(keep(rejection, protocol, raw, around, id, event_type))
        }
    }
}

/// The judgement of what has too many bytes: of it nothing is kept.
pub(super) fn too_large(bytes: usize) -> Rejection {
    let detail = format!("The event has {bytes} bytes, the most is {MAX_EVENT_BYTES}.");
    Rejection::with(Code::EventTooLarge, "", detail)
}

/// The id of an event that is spoilt otherwise, so that its sender can tell which one it is.
fn salvaged_id(members: &Members<'_>, protocol: Protocol) -> SentId<String> {
    let event_id = salvaged(members, "eventId").filter(|_| protocol == Protocol::Native);
    let message_id = match protocol {
        Protocol::Posthog => salvaged(members, "uuid"),
        _ => salvaged(members, "messageId"),
    };
    match sent_id(event_id.as_deref(), message_id.as_deref()) {
        SentId::Text(text) => SentId::Text(text.to_owned()),
        SentId::Uuid(id) => SentId::Uuid(id),
        SentId::None => SentId::None,
    }
}

fn salvaged<'a>(members: &Members<'a>, wanted: &str) -> Option<Cow<'a, str>> {
    let (_, raw) = members.iter().find(|(name, _)| name == wanted)?;
    lenient_text(raw)
}

fn keep(
    rejection: Rejection,
    protocol: Protocol,
    raw: &str,
    around: Around<'_>,
    id: SentId<String>,
    event_type: Option<String>,
) -> Rejection {
    let sent_at = if protocol == Protocol::Posthog {
        "sent_at"
    } else {
        "sentAt"
    };
    let kept = Kept {
        protocol,
        payload: whole(raw, around, sent_at),
        essence: without(raw, sent_at, around.kind),
        id,
        event_type,
    };
    Rejection {
        kept: Some(Box::new(kept)),
        ..rejection
    }
}

/// Where protocols have the key of who sends: it is not kept.
const KEYS: [&str; 3] = ["writeKey", "api_key", "token"];

/// The event's JSON with what the request around it said of it, and without a key.
fn whole(raw: &str, around: Around<'_>, sent_at: &str) -> String {
    let kind = around.kind.map(|kind| format!("\"{kind}\""));
    let told = [
        ("type", kind.as_deref()),
        (sent_at, around.sent_at.map(RawValue::get)),
        ("context", around.context.map(RawValue::get)),
    ];
    let own = object(raw, "").unwrap_or_default();
    let has = |wanted: &str| {
        own.iter()
            .any(|(name, raw)| name == wanted && raw.get() != "null")
    };
    let more: Vec<(&str, &str)> = told
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, _)| *name == "type" || !has(name))
        .collect();
    let is_key = |name: &str| KEYS.contains(&name);
    if more.is_empty() && !own.iter().any(|(name, _)| is_key(name)) {
        return raw.to_owned();
    }
    let mask = RawValue::from_string("\"***\"".to_owned()).expect("it is JSON");
    // A name that is given twice would be told from the first.
    let stale = |name: &str| more.iter().any(|(known, _)| *known == name);
    let rest = own.iter().filter(|(name, _)| !stale(name));
    // Each in its place, so that it is judged again as it was.
    let rest = rest.map(|(name, raw)| (name.clone(), if is_key(name) { &*mask } else { *raw }));
    json::with_members(&json::written(rest.collect::<Vec<_>>().iter()), &more)
}

/// The event's JSON without the time of sending.
fn without(raw: &str, sent_at: &str, kind: Option<&str>) -> String {
    let Ok(own) = object(raw, "") else {
        return raw.to_owned();
    };
    let rest = json::written(own.iter().filter(|(name, _)| name != sent_at));
    kind.map_or(rest.clone(), |kind| format!("{kind}/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(body: &str) -> Result<Draft<'_>, Rejection> {
        parse_batch(body.as_bytes()).unwrap().drafts.remove(0)
    }

    #[test]
    fn both_shapes_of_a_batch_are_read() {
        for body in [r#"[{"type":"a"}]"#, r#" {"batch":[{"type":"a"}]}"#] {
            assert_eq!(only(body).unwrap().event_type.as_deref(), Some("a"));
        }
    }

    #[test]
    fn texts_are_borrowed_unless_they_hold_escapes() {
        let draft = only(r#"[{"type":"a","region":"caf\u00e9"}]"#).unwrap();
        assert!(matches!(draft.event_type, Some(Cow::Borrowed("a"))));
        assert_eq!(draft.region.as_deref(), Some("café"));
    }

    #[test]
    fn an_amount_keeps_every_digit_as_number_or_text() {
        let draft =
            only(r#"[{"lines":[{"amount":0.10,"quantity":2},{"amount":"5.00"}]}]"#).unwrap();
        let amounts: Vec<_> = draft
            .lines
            .unwrap()
            .into_iter()
            .map(|line| line.amount.unwrap())
            .collect();
        assert_eq!(amounts, ["0.10", "5.00"]);
    }

    #[test]
    fn a_spoilt_field_is_named_with_its_path() {
        let cases = [
            (r#"[{"type":1}]"#, Code::InvalidType, "type"),
            (r#"[{"colour":"red"}]"#, Code::UnknownField, "colour"),
            (r#"[{"type":"a","type":"b"}]"#, Code::DuplicateField, "type"),
            (r#"[{"lines":{}}]"#, Code::InvalidType, "lines"),
            (
                r#"[{"lines":[{"quantity":"two"}]}]"#,
                Code::InvalidType,
                "lines[0].quantity",
            ),
            (
                r#"[{"lines":[{}, {"price":1}]}]"#,
                Code::UnknownField,
                "lines[1].price",
            ),
            ("[7]", Code::InvalidType, ""),
        ];
        for (body, code, path) in cases {
            let rejection = only(body).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.path.as_str()),
                (code, path),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_that_is_no_batch_says_why() {
        let cases: [(&[u8], Code); 6] = [
            (b"", Code::MalformedJson),
            (b"[{]", Code::MalformedJson),
            (b"[{}] x", Code::MalformedJson),
            (b"\"text\"", Code::MalformedBatch),
            (b"{\"events\":[]}", Code::MalformedBatch),
            (b"[\"\xff\"]", Code::MalformedJson),
        ];
        for (body, code) in cases {
            assert_eq!(
                parse_batch(body).unwrap_err().code,
                code,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
