//! From a body to its events: the shapes of batches, and their limits.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::json::{AtMost, TOO_MANY, lenient_text, object};
use super::{Around, Draft, Line, read, salvaged, too_large};
use crate::domain::batch::Protocol;
use crate::error::{Code, Problem};
use crate::ingest::{MAX_EVENT_BYTES, MAX_EVENTS, MAX_FOREIGN_BYTES, Rejection};

/// A body with more items than this is not read to its end.
const MAX_ITEMS: usize = 4 * MAX_EVENTS;

/// A batch that was read.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The key that the body carries, for senders who cannot set a header.
    pub key: Option<Cow<'a, str>>,
    /// In the order of the body.
    pub drafts: Vec<Result<Draft<'a>, Rejection>>,
}

/// What stands around the events, in the words of all protocols; other words are for others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Option<AtMost<'a, MAX_ITEMS>>,
    #[serde(borrow, rename = "sentAt")]
    segment_sent_at: Option<&'a RawValue>,
    #[serde(borrow, rename = "sent_at")]
    posthog_sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow, rename = "writeKey")]
    write_key: Option<&'a RawValue>,
    #[serde(borrow)]
    api_key: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn key(&self) -> Option<Cow<'a, str>> {
        let keys = [self.write_key, self.api_key, self.token];
        keys.into_iter().flatten().find_map(lenient_text)
    }
}

/// Reads a body: a JSON array of events or an object with a `batch` array. Events in our own words
/// and messages of the Segment API may stand side by side.
///
/// # Errors
/// When the body as a whole cannot be read or holds too many events.
pub fn parse_batch(body: &[u8]) -> Result<Parsed<'_>, Problem> {
    let text = utf8(body)?;
    let envelope = match first_byte(text)? {
        b'[' => Envelope {
            batch: Some(from_json(text)?),
            ..Envelope::default()
        },
        b'{' => from_json(text)?,
        _ => return Err(no_batch(text)),
    };
    read_all(&envelope, None)
}

/// Reads a body that is one message of the Segment API, of the type that its address says.
///
/// # Errors
/// When the body cannot be read.
pub fn parse_message<'a>(body: &'a [u8], kind: &'static str) -> Result<Parsed<'a>, Problem> {
    let text = utf8(body)?;
    let first = first_byte(text)?;
    let message: &RawValue = from_json(text)?;
    if first != b'{' {
        return Err(Code::MalformedBatch.into());
    }
    let around = Around {
        kind: Some(kind),
        ..Around::default()
    };
    let members = object(message.get(), "").unwrap_or_default();
    Ok(Parsed {
        key: salvaged(&members, "writeKey"),
        drafts: vec![read(message.get(), Some(Protocol::Segment), around)],
    })
}

/// Reads a body of `PostHog`'s: a batch, an array of events, or one event.
///
/// # Errors
/// When the body as a whole cannot be read or holds too many events.
pub fn parse_posthog(body: &[u8]) -> Result<Parsed<'_>, Problem> {
    let text = utf8(body)?;
    let envelope = match first_byte(text)? {
        b'[' => Envelope {
            batch: Some(from_json(text)?),
            ..Envelope::default()
        },
        b'{' => {
            let mut envelope: Envelope<'_> = from_json(text)?;
            if envelope.batch.is_none() {
                envelope.batch = Some(AtMost(vec![from_json(text)?]));
            }
            envelope
        }
        _ => return Err(no_batch(text)),
    };
    read_all(&envelope, Some(Protocol::Posthog))
}

/// Reads a line of an upload: an event in our own words or a message of the Segment API.
///
/// # Errors
/// When it is no JSON, too long, or a field cannot be read.
pub fn parse_line<'a>(line: &Line, block: &'a [u8]) -> Result<Draft<'a>, Rejection> {
    let range = match line {
        Line::At(range) => range.clone(),
        Line::TooLong(bytes) => return Err(too_large(*bytes)),
    };
    if range.len() > MAX_EVENT_BYTES {
        return Err(too_large(range.len()));
    }
    let malformed = |detail| Rejection::with(Code::MalformedJson, "", detail);
    let text = std::str::from_utf8(&block[range]).map_err(|error| {
        let at = error.valid_up_to();
        malformed(format!(
            "The line is not UTF-8: the byte at offset {at} does not belong."
        ))
    })?;
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| malformed(format!("The line cannot be read: {error}.")))?;
    read(raw.get(), None, Around::default())
}

fn read_all<'a>(
    envelope: &Envelope<'a>,
    protocol: Option<Protocol>,
) -> Result<Parsed<'a>, Problem> {
    let Some(AtMost(events)) = &envelope.batch else {
        let detail = "The body has no `batch`.";
        return Err(Problem::with(Code::MalformedBatch, detail));
    };
    let around = Around {
        kind: None,
        sent_at: match protocol {
            Some(Protocol::Posthog) => envelope.posthog_sent_at,
            _ => envelope.segment_sent_at,
        },
        context: envelope.context,
    };
    let drafts = events.iter().map(|raw| read(raw.get(), protocol, around));
    let mut drafts: Vec<_> = drafts.take(MAX_EVENTS).collect();
    let foreign = |draft: &Result<Draft<'_>, Rejection>| match draft {
        Ok(draft) => draft.protocol != Protocol::Native,
        Err(rejection) => {
            let kept = rejection.kept.as_ref();
            kept.is_some_and(|kept| kept.protocol != Protocol::Native)
        }
    };
    if events.len() > MAX_EVENTS && !drafts.iter().any(foreign) {
        return Err(too_many(&events.len().to_string()));
    }
    let mut bytes = 0;
    for (draft, raw) in drafts.iter_mut().zip(events) {
        bytes += raw.get().len();
        if bytes > MAX_FOREIGN_BYTES && foreign(draft) {
            let detail = format!("A batch has at most {MAX_FOREIGN_BYTES} bytes. Split it.");
            *draft = Err(Rejection::with(Code::BatchTooLarge, "", detail));
        }
    }
    let beyond = events.iter().skip(MAX_EVENTS).map(|_| {
        let detail = format!("A batch has at most {MAX_EVENTS} events. Split it.");
        Err(Rejection::with(Code::BatchTooLarge, "", detail))
    });
    drafts.extend(beyond);
    Ok(Parsed {
        key: envelope.key(),
        drafts,
    })
}

/// The body as a text. JSON is UTF-8, and where it is not, the sender can find the place.
fn utf8(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let detail = format!("The body is not UTF-8: the byte at offset {at} does not belong.");
        Problem::with(Code::MalformedJson, detail)
    })
}

fn first_byte(text: &str) -> Result<u8, Problem> {
    let first = text.bytes().find(|byte| !byte.is_ascii_whitespace());
    first.ok_or_else(|| Problem::with(Code::MalformedJson, "The body is empty."))
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        if error.to_string().contains(TOO_MANY) {
            return too_many(&format!("more than {MAX_ITEMS}"));
        }
        match error.classify() {
            Category::Data => Problem::with(Code::MalformedBatch, sentence(&error)),
            _ => Problem::with(Code::MalformedJson, sentence(&error)),
        }
    })
}

fn too_many(sent: &str) -> Problem {
    let detail = format!("The batch holds {sent} events, the most is {MAX_EVENTS}. Split it.");
    Problem::with(Code::BatchTooLarge, detail)
}

fn no_batch(text: &str) -> Problem {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Code::MalformedBatch.into(),
        Err(error) => Problem::with(Code::MalformedJson, sentence(&error)),
    }
}

fn sentence(error: &serde_json::Error) -> String {
    format!("The body cannot be read: {error}.")
}
