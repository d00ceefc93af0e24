//! Messages of the Segment tracking API. A field that is not known is no error here: senders have
//! many, and most are for others.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Members, fill, lenient_text, non_null, object, text, text_or_number};
use super::words::event_word;
use super::{Around, Draft, names, order};
use crate::domain::event::{PAGEVIEW, PURCHASE, REFUND};
use crate::error::Code;
use crate::ingest::Rejection;

/// The types of messages of the Segment API.
pub const KINDS: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];

/// Whether an event of a batch is a message of this protocol: it has one of its types and no
/// `eventId`.
pub(super) fn is_message(members: &Members<'_>) -> bool {
    let known = |raw: &RawValue| {
        let word = raw.get().trim_matches('"');
        KINDS.contains(&word)
    };
    members
        .iter()
        .any(|(name, raw)| name == "type" && known(raw))
        && !members
            .iter()
            .any(|(name, raw)| name == "eventId" && non_null(raw).is_some())
}

/// What of a message is not taken over as it is.
#[derive(Default)]
struct Rest<'a> {
    kind: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    original_timestamp: Option<Cow<'a, str>>,
    context: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
    traits: Option<&'a RawValue>,
    /// Members beside the properties that belong to them: a page's name, a group's id.
    beside: [(&'static str, Option<&'a RawValue>); 3],
}

pub(super) fn read<'a>(members: &Members<'a>, around: Around<'a>) -> Result<Draft<'a>, Rejection> {
    let mut draft = Draft {
        names: &names::SEGMENT,
        ..Draft::default()
    };
    let mut rest = Rest {
        beside: [("name", None), ("category", None), ("groupId", None)],
        ..Rest::default()
    };
    for (name, value) in members {
        let Some(value) = non_null(value) else {
            continue;
        };
        let path = name.as_ref();
        match path {
            // The address says it.
            "type" if around.kind.is_some() => {}
            "type" => fill(&mut rest.kind, Some(text(value, path)?), path)?,
            "event" => fill(&mut rest.event, Some(text(value, path)?), path)?,
            "messageId" => fill(&mut draft.message_id, Some(text(value, path)?), path)?,
            "timestamp" => fill(&mut draft.timestamp, Some(text(value, path)?), path)?,
            "originalTimestamp" => {
                fill(&mut rest.original_timestamp, Some(text(value, path)?), path)?;
            }
            "sentAt" => fill(&mut draft.sent_at, Some(text(value, path)?), path)?,
            "userId" => fill(&mut draft.user_id, Some(text_or_number(value, path)?), path)?,
            "anonymousId" => {
                let id = text_or_number(value, path)?;
                fill(&mut draft.anonymous_id, Some(id), path)?;
            }
            "previousId" => {
                let id = text_or_number(value, path)?;
                fill(&mut draft.previous_id, Some(id), path)?;
            }
            "context" => fill(&mut rest.context, Some(value), path)?,
            "properties" => fill(&mut rest.properties, Some(value), path)?,
            "traits" => fill(&mut rest.traits, Some(value), path)?,
            _ => {
                if let Some((_, slot)) = rest.beside.iter_mut().find(|(known, _)| name == known) {
                    fill(slot, Some(value), path)?;
                }
            }
        }
    }
    rest.into_draft(draft, around)
}

impl<'a> Rest<'a> {
    fn into_draft(self, mut draft: Draft<'a>, around: Around<'a>) -> Result<Draft<'a>, Rejection> {
        if self.original_timestamp.is_some() {
            draft.timestamp = self.original_timestamp;
            draft.names = &names::SEGMENT_ORIGINAL;
        }
        if draft.sent_at.is_none() {
            let sent_at = around.sent_at.map(|raw| text(raw, "sentAt"));
            draft.sent_at = sent_at.transpose()?;
        }
        // An id that is not known yet is often sent empty.
        let there = |id: &Cow<'_, str>| !id.is_empty();
        draft.user_id = draft.user_id.filter(there);
        draft.anonymous_id = draft.anonymous_id.filter(there);

        let context = self.context.or(around.context);
        let context = context.map(|raw| object(raw.get(), "context"));
        let context = Context::read(&context.transpose()?.unwrap_or_default());
        draft.user_agent = context.user_agent;
        draft.session_id = context.session_id;
        draft.region = context.region;
        draft.channel = context.medium.or(context.source);
        draft.campaign = context.campaign;

        let kind = around.kind.map(Cow::Borrowed).or(self.kind);
        let kind = kind.as_deref().unwrap_or_default();
        draft.event_type = Some(event_type(kind, self.event)?);
        let traits = self.traits.or(context.traits);
        let of_traits = matches!(kind, "identify" | "group");
        let properties = match traits.filter(|_| of_traits) {
            Some(traits) => {
                draft.properties_path = Some("traits");
                Some(traits)
            }
            None => self.properties,
        };
        match draft.event_type.as_deref() {
            Some(PAGEVIEW) => draft.url = page_url(properties)?.or(context.page_url),
            Some(word @ (PURCHASE | REFUND)) => {
                let refund = word == REFUND;
                order::read(&mut draft, refund, properties)?;
            }
            _ => {}
        }
        draft.properties = if matches!(kind, "page" | "screen" | "group") {
            with_beside(properties, &self.beside)
        } else {
            properties.map(|raw| raw.get().into())
        };
        Ok(draft)
    }
}

fn event_type<'a>(kind: &str, event: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Rejection> {
    Ok(match kind {
        "track" => {
            let name = event.ok_or_else(|| Rejection::new(Code::MissingField, "event"))?;
            event_word(name)
        }
        "page" => PAGEVIEW.into(),
        _ => match KINDS.iter().find(|known| **known == kind) {
            Some(known) => Cow::Borrowed(*known),
            None => {
                let detail = format!("`type` is one of {}.", KINDS.join(", "));
                return Err(Rejection::with(Code::InvalidEventType, "type", detail));
            }
        },
    })
}

/// The type of a message that is spoilt otherwise.
pub(super) fn salvaged_type(members: &Members<'_>, kind: Option<&str>) -> Option<String> {
    let find = |wanted: &str| members.iter().find(|(name, _)| name == wanted);
    let word = |wanted: &str| find(wanted).and_then(|(_, raw)| lenient_text(raw));
    let own = word("type");
    let kind = kind.or(own.as_deref())?;
    event_type(kind, word("event")).ok().map(Cow::into_owned)
}

fn page_url(properties: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Rejection> {
    let Some(properties) = properties else {
        return Ok(None);
    };
    let members = object(properties.get(), "properties")?;
    let url = members.into_iter().find(|(name, _)| name == "url");
    Ok(url.and_then(|(_, raw)| lenient_text(raw)))
}

/// The properties with what stands beside them, unless they say the same themselves.
fn with_beside<'a>(
    properties: Option<&'a RawValue>,
    beside: &[(&'static str, Option<&'a RawValue>)],
) -> Option<Cow<'a, str>> {
    let text = properties.map_or("{}", RawValue::get);
    let own = object(text, "").unwrap_or_default();
    let mut more: Vec<(&str, &str)> = beside
        .iter()
        .filter_map(|(name, raw)| Some((*name, raw.as_ref()?.get())))
        .collect();
    more.retain(|(name, _)| !own.iter().any(|(known, _)| known == name));
    if more.is_empty() || !text.starts_with('{') {
        return properties.map(|raw| raw.get().into());
    }
    Some(super::json::with_members(text, &more).into())
}

/// What of the context has a place of its own in an event; the rest is not kept.
#[derive(Default)]
struct Context<'a> {
    user_agent: Option<Cow<'a, str>>,
    session_id: Option<Cow<'a, str>>,
    page_url: Option<Cow<'a, str>>,
    region: Option<Cow<'a, str>>,
    campaign: Option<Cow<'a, str>>,
    medium: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    traits: Option<&'a RawValue>,
}

impl<'a> Context<'a> {
    /// Leaves out what is of another form than expected: the context is not the event.
    fn read(members: &Members<'a>) -> Self {
        let mut context = Self::default();
        for (name, raw) in members {
            let inner = || object(raw.get(), "").unwrap_or_default().into_iter();
            match name.as_ref() {
                "userAgent" => context.user_agent = lenient_text(raw),
                "sessionId" => context.session_id = lenient_text(raw),
                "traits" => context.traits = non_null(raw),
                "page" => {
                    let url = inner().find(|(name, _)| name == "url");
                    context.page_url = url.and_then(|(_, raw)| lenient_text(raw));
                }
                "location" => {
                    let country = inner().find(|(name, _)| name == "country");
                    context.region = country.and_then(|(_, raw)| lenient_text(raw));
                }
                "campaign" => {
                    for (name, raw) in inner() {
                        match name.as_ref() {
                            "name" => context.campaign = lenient_text(raw),
                            "medium" => context.medium = lenient_text(raw),
                            "source" => context.source = lenient_text(raw),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        context
    }
}
