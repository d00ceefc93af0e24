//! Events of PostHog's batch API: what they know is in their properties.
//!
//! PostHog has one space of ids. Here a `distinct_id` is a `userId`, unless the event says that its
//! visitor is not known: then it is an `anonymousId`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Members, fill, lenient_text, non_null, object, text, text_or_number};
use super::words::event_word;
use super::{Around, Draft, names, order};
use crate::domain::event::{PAGEVIEW, PURCHASE, REFUND};
use crate::error::Code;
use crate::ingest::Rejection;

pub(super) fn read<'a>(members: &Members<'a>, around: Around<'a>) -> Result<Draft<'a>, Rejection> {
    let mut draft = Draft {
        names: &names::POSTHOG,
        ..Draft::default()
    };
    let (mut event, mut distinct_id, mut properties) = (None, None, None);
    let (mut offset, mut message_id) = (None, None);
    for (name, value) in members {
        let Some(value) = non_null(value) else {
            continue;
        };
        let path = name.as_ref();
        match path {
            "event" => fill(&mut event, Some(text(value, path)?), path)?,
            "distinct_id" => fill(&mut distinct_id, Some(text_or_number(value, path)?), path)?,
            "uuid" => fill(&mut draft.message_id, Some(text(value, path)?), path)?,
            // What the Python SDK once called it.
            "messageId" => message_id = lenient_text(value),
            "timestamp" => fill(&mut draft.timestamp, Some(text(value, path)?), path)?,
            "sent_at" => fill(&mut draft.sent_at, Some(text(value, path)?), path)?,
            "offset" => fill(&mut offset, Some(text_or_number(value, path)?), path)?,
            "properties" => fill(&mut properties, Some(value), path)?,
            _ => {}
        }
    }
    draft.message_id = draft.message_id.or(message_id);
    if draft.sent_at.is_none() {
        let sent_at = around.sent_at.map(|raw| text(raw, "sent_at"));
        draft.sent_at = sent_at.transpose()?;
    }
    draft.age_ms = offset.filter(|_| draft.timestamp.is_none());
    let inner = properties.map(|raw: &RawValue| object(raw.get(), "properties"));
    let known = Known::read(&inner.transpose()?.unwrap_or_default());
    draft.session_id = known.session_id;
    draft.user_agent = known.user_agent;
    draft.region = known.country;
    draft.channel = known.medium.or(known.source);
    draft.campaign = known.campaign;

    let name = event.ok_or_else(|| Rejection::new(Code::MissingField, "event"))?;
    let id = distinct_id
        .or(known.distinct_id)
        .filter(|id| !id.is_empty());
    let on_device = id.is_some() && id == known.device_id;
    match name.as_ref() {
        "$identify" => {
            draft.event_type = Some("identify".into());
            draft.anonymous_id = known
                .anonymous_id
                .filter(|other| Some(other) != id.as_ref());
            draft.user_id = id;
        }
        "$create_alias" => {
            draft.event_type = Some("alias".into());
            draft.previous_id = known.alias;
            draft.user_id = id;
        }
        "$merge_dangerously" => {
            draft.event_type = Some("alias".into());
            draft.previous_user_id = known.alias;
            draft.user_id = id;
        }
        _ => {
            draft.event_type = Some(word(name));
            if known.is_anonymous || on_device {
                draft.anonymous_id = id;
            } else {
                draft.user_id = id;
            }
        }
    }
    match draft.event_type.as_deref() {
        Some(PAGEVIEW) => draft.url = known.url,
        Some(word @ (PURCHASE | REFUND)) => {
            let refund = word == REFUND;
            order::read(&mut draft, refund, properties)?;
        }
        _ => {}
    }
    draft.properties = properties.map(|raw| raw.get().into());
    Ok(draft)
}

/// The type of an event that is spoilt otherwise.
pub(super) fn salvaged_type(members: &Members<'_>) -> Option<String> {
    let (_, raw) = members.iter().find(|(name, _)| name == "event")?;
    lenient_text(raw).map(|name| word(name).into_owned())
}

fn word(name: Cow<'_, str>) -> Cow<'_, str> {
    match name.as_ref() {
        "$groupidentify" => "group".into(),
        _ => event_word(name),
    }
}

/// The properties that have a place of their own in an event.
#[derive(Default)]
struct Known<'a> {
    distinct_id: Option<Cow<'a, str>>,
    device_id: Option<Cow<'a, str>>,
    anonymous_id: Option<Cow<'a, str>>,
    alias: Option<Cow<'a, str>>,
    session_id: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    country: Option<Cow<'a, str>>,
    campaign: Option<Cow<'a, str>>,
    medium: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    /// It is said that the visitor is not known.
    is_anonymous: bool,
}

impl<'a> Known<'a> {
    fn read(members: &Members<'a>) -> Self {
        let mut known = Self::default();
        for (name, raw) in members {
            let slot = match name.as_ref() {
                "distinct_id" => &mut known.distinct_id,
                "$device_id" => &mut known.device_id,
                "$anon_distinct_id" => &mut known.anonymous_id,
                "alias" => &mut known.alias,
                "$session_id" => &mut known.session_id,
                "$raw_user_agent" => &mut known.user_agent,
                "$current_url" => &mut known.url,
                "$geoip_country_code" => &mut known.country,
                "utm_campaign" => &mut known.campaign,
                "utm_medium" => &mut known.medium,
                "utm_source" => &mut known.source,
                "$is_identified" | "$process_person_profile" => {
                    known.is_anonymous |= raw.get() == "false";
                    continue;
                }
                _ => continue,
            };
            *slot = lenient_text(raw);
        }
        known
    }
}
