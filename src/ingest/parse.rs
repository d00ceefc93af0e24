//! From bytes to drafts: events with their fields told apart, but not yet judged.
//!
//! Texts are borrowed from the body. A field of a wrong type spoils its event, not the batch.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::validate::MAX_LINES;
use super::{MAX_EVENTS, Rejection};
use crate::error::{Code, Problem};

/// An event as sent.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    /// A UUID.
    pub event_id: Option<Cow<'a, str>>,
    /// What happened.
    pub event_type: Option<Cow<'a, str>>,
    /// RFC 3339.
    pub timestamp: Option<Cow<'a, str>>,
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
    /// The currency of a purchase.
    pub currency: Option<Cow<'a, str>>,
    /// The lines of a purchase or a refund.
    pub lines: Option<Vec<LineDraft<'a>>>,
    /// The shop's id of the order that was bought or paid back.
    pub order_id: Option<Cow<'a, str>>,
    /// An id that is to be one with the user's, for `alias`.
    pub previous_id: Option<Cow<'a, str>>,
    /// What the user's program calls itself.
    pub user_agent: Option<Cow<'a, str>>,
    /// The text of a JSON object.
    pub properties: Option<Cow<'a, str>>,
}

/// An order's line as sent.
#[derive(Clone, Debug, Default)]
pub struct LineDraft<'a> {
    /// The shop's id.
    pub product_id: Option<Cow<'a, str>>,
    /// The digits of a whole number.
    pub quantity: Option<Cow<'a, str>>,
    /// A decimal.
    pub amount: Option<Cow<'a, str>>,
}

/// Reads a body: a JSON array of events or an object with a `batch` array.
///
/// # Errors
/// When the body as a whole cannot be read or holds too many events.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Result<Draft<'_>, Rejection>>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Envelope<'a> {
        #[serde(borrow)]
        batch: Vec<&'a RawValue>,
    }

    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let events = match first {
        Some(b'[') => serde_json::from_slice(body),
        Some(b'{') => serde_json::from_slice(body).map(|Envelope { batch }| batch),
        Some(_) => return Err(whole_body_problem(body)),
        None => return Err(Problem::with(Code::MalformedJson, "The body is empty.")),
    };
    let events: Vec<&RawValue> = events.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::with(Code::MalformedBatch, sentence(&error)),
        _ => Problem::with(Code::MalformedJson, sentence(&error)),
    })?;
    if events.len() > MAX_EVENTS {
        let sent = events.len();
        return Err(Problem::with(
            Code::BatchTooLarge,
            format!("The batch holds {sent} events, the most is {MAX_EVENTS}. Split it."),
        ));
    }
    let drafts = events.into_iter().map(|raw| {
        parse_event(raw).map_err(|rejection| Rejection {
            event_id: salvaged_id(raw),
            ..rejection
        })
    });
    Ok(drafts.collect())
}

/// The id of an event that is spoilt otherwise, so that its sender can tell which one it is.
fn salvaged_id(raw: &RawValue) -> Option<Uuid> {
    let members = object(raw, "").ok()?;
    let (_, id) = members.into_iter().find(|(name, _)| name == "eventId")?;
    Uuid::parse_str(&text(id, "eventId").ok()?).ok()
}

fn whole_body_problem(body: &[u8]) -> Problem {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => Code::MalformedBatch.into(),
        Err(error) => Problem::with(Code::MalformedJson, sentence(&error)),
    }
}

fn sentence(error: &serde_json::Error) -> String {
    format!("The body cannot be read: {error}.")
}

fn parse_event(raw: &RawValue) -> Result<Draft<'_>, Rejection> {
    let mut draft = Draft::default();
    for (name, value) in object(raw, "")? {
        let slot = match name.as_ref() {
            "eventId" => &mut draft.event_id,
            "type" => &mut draft.event_type,
            "timestamp" => &mut draft.timestamp,
            "userId" => &mut draft.user_id,
            "anonymousId" => &mut draft.anonymous_id,
            "sessionId" => &mut draft.session_id,
            "region" => &mut draft.region,
            "channel" => &mut draft.channel,
            "campaign" => &mut draft.campaign,
            "url" => &mut draft.url,
            "currency" => &mut draft.currency,
            "properties" => {
                fill(
                    &mut draft.properties,
                    non_null(value).map(|raw| raw.get().into()),
                    &name,
                )?;
                continue;
            }
            "lines" => {
                let lines = non_null(value).map(parse_lines).transpose()?;
                fill(&mut draft.lines, lines, &name)?;
                continue;
            }
            _ => return Err(Rejection::new(Code::UnknownField, name)),
        };
        let text = non_null(value).map(|raw| text(raw, &name)).transpose()?;
        fill(slot, text, &name)?;
    }
    Ok(draft)
}

fn parse_lines(raw: &RawValue) -> Result<Vec<LineDraft<'_>>, Rejection> {
    if !raw.get().starts_with('[') {
        let detail = "`lines` must be an array of objects.";
        return Err(Rejection::with(Code::InvalidType, "lines", detail));
    }
    let AtMost(lines) =
        serde_json::from_str(raw.get()).map_err(|_| Rejection::new(Code::InvalidLines, "lines"))?;
    lines
        .into_iter()
        .enumerate()
        .map(|(n, line)| parse_line(line, n))
        .collect()
}

/// The items of an array; one that has more than [`MAX_LINES`] is not read to its end.
struct AtMost<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for AtMost<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    if all.len() == MAX_LINES {
                        return Err(serde::de::Error::custom("too many lines"));
                    }
                    all.push(item);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(Array).map(Self)
    }
}

fn parse_line(raw: &RawValue, n: usize) -> Result<LineDraft<'_>, Rejection> {
    let mut line = LineDraft::default();
    for (name, value) in object(raw, &format!("lines[{n}]"))? {
        let path = format!("lines[{n}].{name}");
        let value = non_null(value);
        match name.as_ref() {
            "productId" => fill(
                &mut line.product_id,
                value.map(|raw| text(raw, &path)).transpose()?,
                &path,
            )?,
            "quantity" => fill(
                &mut line.quantity,
                value.map(|raw| number(raw, &path)).transpose()?,
                &path,
            )?,
            "amount" => {
                let amount = value.map(|raw| number(raw, &path).or_else(|_| text(raw, &path)));
                fill(&mut line.amount, amount.transpose()?, &path)?;
            }
            _ => return Err(Rejection::new(Code::UnknownField, path)),
        }
    }
    Ok(line)
}

/// Puts a value in its place; a name that came before is an error, not a silent choice.
fn fill<T>(slot: &mut Option<T>, value: Option<T>, path: &str) -> Result<(), Rejection> {
    if slot.is_some() {
        return Err(Rejection::new(Code::DuplicateField, path));
    }
    *slot = value;
    Ok(())
}

fn non_null(raw: &RawValue) -> Option<&RawValue> {
    (raw.get() != "null").then_some(raw)
}

fn text<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Rejection> {
    // Only a text with escapes has to be copied.
    serde_json::from_str::<&str>(raw.get())
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str::<String>(raw.get()).map(Cow::Owned))
        .map_err(|_| Rejection::with(Code::InvalidType, path, format!("`{path}` must be a text.")))
}

fn number<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, Rejection> {
    let text = raw.get();
    if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Ok(text.into());
    }
    Err(Rejection::with(
        Code::InvalidType,
        path,
        format!("`{path}` must be a number."),
    ))
}

type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of a JSON object, values untouched.
fn object<'a>(raw: &'a RawValue, path: &str) -> Result<Members<'a>, Rejection> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Members<'de>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::with_capacity(12);
            while let Some(Name(name)) = map.next_key()? {
                members.push((name, map.next_value()?));
            }
            Ok(members)
        }
    }

    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer.deserialize_map(Object).map_err(|_| {
        Rejection::with(
            Code::InvalidType,
            path,
            "An event, and each of its lines, must be an object.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(body: &str) -> Result<Draft<'_>, Rejection> {
        parse_batch(body.as_bytes()).unwrap().remove(0)
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
