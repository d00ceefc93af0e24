//! From a draft to an [`Event`]: every rule about what an event may be, one after the other.

mod order;

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Duration, Utc};
use serde_json::Value;
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::bots::is_bot;
use super::judge::{Rejection, SentId};
use super::parse::Draft;
use super::properties;
use crate::domain::batch::Protocol;
use crate::domain::event::{self, Event, EventType, Link, LinkKind, UserRef};
use crate::domain::tenant::{Sender, TenantId};
use crate::error::Code;

/// How far ahead of the server's clock an event may lie.
const MAX_AHEAD: Duration = Duration::days(1);
/// How many lines an order may have.
pub(super) const MAX_LINES: usize = 500;
const MAX_URL: usize = 2_048;
const MAX_USER_AGENT: usize = 1_024;
const MAX_ID: usize = 256;
const MAX_WORD: usize = 128;
/// The types that tell of a user, and the one that makes two users one.
const IDENTIFY: &str = "identify";
const SIGN_UP: &str = "sign_up";
const ALIAS: &str = "alias";

/// Judges a draft; `spare_id` becomes its id if it has none.
///
/// # Errors
/// The first rule that it breaks, and where.
pub(super) fn validate(
    draft: &Draft<'_>,
    sender: &Sender,
    received_at: DateTime<Utc>,
    spare_id: impl FnOnce() -> Uuid,
) -> Result<Event, Rejection> {
    let names = draft.names;
    let event_type = event_type(draft)?;
    let (properties, properties_digest) = properties_of(draft)?;
    let (timestamp, claimed) = timestamp(draft, received_at)?;
    let user = user(draft, &event_type, &properties, sender.tenant)?;
    let user_agent = user_agent(draft)?;
    let mut event = Event {
        id: event_id(draft, sender.tenant)?.unwrap_or_else(spare_id),
        timestamp,
        session_id: word(draft.session_id.as_ref(), names.session_id)?,
        region: word(draft.region.as_ref(), names.region)?,
        channel: word(draft.channel.as_ref(), names.channel)?,
        campaign: word(draft.campaign.as_ref(), names.campaign)?,
        page_url: page_url(draft, &event_type)?,
        bot: user_agent.as_deref().is_some_and(is_bot),
        user_agent,
        order: order::order(draft, &event_type, sender.currency)?,
        link: link(draft, &event_type, &user, sender.tenant)?,
        user,
        event_type,
        properties,
        digest: 0,
    };
    event.digest = content_digest(&event, claimed, properties_digest);
    Ok(event)
}

fn event_id(draft: &Draft<'_>, tenant: TenantId) -> Result<Option<Uuid>, Rejection> {
    let id = draft.sent_id();
    if draft.event_id.is_some() && id == SentId::None {
        return Err(Rejection::new(Code::InvalidEventId, "eventId"));
    }
    if let SentId::Text(text) = id {
        bounded(text, MAX_ID, draft.names.message_id)?;
    }
    Ok(id.event_id(tenant))
}

fn event_type(draft: &Draft<'_>) -> Result<EventType, Rejection> {
    let path = draft.names.event_type;
    let text = required(draft.event_type.as_ref(), path)?;
    EventType::parse(text).ok_or_else(|| match draft.protocol {
        Protocol::Native => Rejection::new(Code::InvalidEventType, path),
        _ => {
            let detail = "The name has no letter or digit of A-Z, a-z and 0-9.";
            Rejection::with(Code::InvalidEventType, path, detail)
        }
    })
}

/// When it happened by our clock, and by the sender's.
fn timestamp(
    draft: &Draft<'_>,
    received_at: DateTime<Utc>,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Rejection> {
    let names = draft.names;
    let claimed = match (&draft.timestamp, draft.protocol) {
        (None, Protocol::Native) => {
            return Err(Rejection::new(Code::MissingField, names.timestamp));
        }
        (text, _) => text.as_ref().map(|text| instant(text, names.timestamp)),
    };
    let claimed = claimed.transpose()?;
    let sent_at = draft.sent_at.as_ref();
    let sent_at = sent_at
        .map(|text| instant(text, names.sent_at))
        .transpose()?;
    let age = draft.age_ms.as_ref().map(|text| age(text)).transpose()?;
    let happened = match (claimed, sent_at, age) {
        // What passed between the two by the sender's clock has passed by ours.
        (Some(claimed), Some(sent_at), _) => {
            received_at.checked_sub_signed(sent_at.signed_duration_since(claimed))
        }
        (Some(claimed), None, _) => Some(claimed),
        (None, _, Some(age)) => received_at.checked_sub_signed(age),
        (None, _, None) => Some(received_at),
    };
    let fits = |at: &DateTime<Utc>| at.year() >= 1970 && *at <= received_at + MAX_AHEAD;
    let happened = happened
        .filter(fits)
        .ok_or_else(|| Rejection::new(Code::TimestampOutOfRange, names.timestamp))?;
    let fits_64_bits = |at: DateTime<Utc>| Some(at).filter(|at| at.year().abs() < 100_000);
    Ok((
        to_micros(happened),
        claimed.and_then(fits_64_bits).map(to_micros),
    ))
}

fn instant(text: &str, path: &str) -> Result<DateTime<Utc>, Rejection> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|_| match path {
            "timestamp" => Rejection::new(Code::InvalidTimestamp, path),
            _ => {
                let detail = format!("`{path}` is not an RFC 3339 date and time with an offset.");
                Rejection::with(Code::InvalidTimestamp, path, detail)
            }
        })
}

/// `PostHog`'s `offset`.
fn age(text: &str) -> Result<Duration, Rejection> {
    let whole = text.split('.').next().unwrap_or_default();
    let age = whole.parse().ok().and_then(Duration::try_milliseconds);
    age.ok_or_else(|| {
        let detail = "`offset` is not a number of milliseconds.";
        Rejection::with(Code::InvalidTimestamp, "offset", detail)
    })
}

/// `PostgreSQL` keeps microseconds and no leap seconds (23:59:60 is the next day's midnight); what is
/// hashed and summed must be what is stored.
fn to_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    let stored = DateTime::from_timestamp_micros(at.timestamp_micros());
    stored.expect("chrono's range is wider than RFC 3339's years")
}

fn user(
    draft: &Draft<'_>,
    event_type: &EventType,
    properties: &str,
    tenant: TenantId,
) -> Result<UserRef, Rejection> {
    let names = draft.names;
    let (text, path, anonymous) = match (&draft.user_id, &draft.anonymous_id) {
        (Some(id), _) => (id, names.user_id, false),
        (None, Some(id)) => (id, names.anonymous_id, true),
        (None, None) => {
            let detail = match draft.protocol {
                Protocol::Posthog => "An event has a `distinct_id`.",
                _ => "An event has a `userId` or an `anonymousId`.",
            };
            return Err(Rejection::with(Code::MissingField, names.user_id, detail));
        }
    };
    let external_id = bounded(text, MAX_ID, path)?;
    let tells_of_user = matches!(event_type.as_str(), SIGN_UP | IDENTIFY);
    let object: Option<serde_json::Map<String, Value>> = tells_of_user
        .then(|| serde_json::from_str(properties).ok())
        .flatten();
    let told = |name| {
        let object = object.as_ref()?;
        // PostHog keeps what it knows of the person apart.
        let person = object.get("$set").and_then(Value::as_object);
        let property = person.and_then(|person| person.get(name));
        short_text(property.or_else(|| object.get(name))?)
    };
    let username = told("username");
    Ok(UserRef {
        id: event::user_id(tenant, &external_id, anonymous),
        username: match draft.protocol {
            Protocol::Native => username,
            _ => username.or_else(|| told("name")),
        },
        email: told("email"),
        external_id,
        anonymous,
    })
}

/// The id that turns out to be of the event's user.
fn link(
    draft: &Draft<'_>,
    event_type: &EventType,
    user: &UserRef,
    tenant: TenantId,
) -> Result<Option<Link>, Rejection> {
    let names = draft.names;
    let (kind, id, path, anonymous) = match event_type.as_str() {
        IDENTIFY => match (&draft.user_id, &draft.anonymous_id) {
            (Some(_), Some(id)) => (LinkKind::Identify, id, names.anonymous_id, true),
            _ => return Ok(None),
        },
        ALIAS => match (&draft.previous_id, &draft.previous_user_id) {
            (Some(_), Some(_)) => {
                let detail = "Give `previousId` or `previousUserId`, not both.";
                let code = Code::UnexpectedField;
                return Err(Rejection::with(code, "previousUserId", detail));
            }
            (Some(id), None) => (LinkKind::Alias, id, names.previous_id, true),
            (None, Some(id)) if draft.protocol == Protocol::Native => {
                (LinkKind::Alias, id, "previousUserId", false)
            }
            (None, Some(id)) => (LinkKind::Alias, id, names.previous_id, false),
            (None, None) => return Err(Rejection::new(Code::MissingField, names.previous_id)),
        },
        _ => {
            if draft.protocol == Protocol::Native {
                belongs_elsewhere(draft.previous_id.is_some(), "previousId", ALIAS)?;
                belongs_elsewhere(draft.previous_user_id.is_some(), "previousUserId", ALIAS)?;
            }
            return Ok(None);
        }
    };
    let external_id = bounded(id, MAX_ID, path)?;
    let user_id = event::user_id(tenant, &external_id, anonymous);
    Ok((user_id != user.id).then_some(Link {
        kind,
        user_id,
        external_id,
        anonymous,
    }))
}

/// A property that is a text and not overlong.
fn short_text(property: &Value) -> Option<String> {
    let text = property.as_str()?;
    (!text.is_empty() && text.len() <= MAX_ID).then(|| text.to_owned())
}

fn properties_of(draft: &Draft<'_>) -> Result<(String, u64), Rejection> {
    let text = draft.properties.as_deref().unwrap_or("{}");
    let digest = properties::digest(text).map_err(|why| {
        Rejection::with(
            Code::InvalidProperties,
            draft.properties_path.unwrap_or(draft.names.properties),
            format!("The properties cannot be stored: {why}."),
        )
    })?;
    Ok((text.to_owned(), digest))
}

fn page_url(draft: &Draft<'_>, event_type: &EventType) -> Result<Option<String>, Rejection> {
    if event_type.as_str() != event::PAGEVIEW {
        return belongs_elsewhere(draft.url.is_some(), "url", event::PAGEVIEW).map(|()| None);
    }
    let path = draft.names.url;
    let url = required(draft.url.as_ref(), path)?;
    let unfit = |c: char| c.is_whitespace() || c.is_control();
    if url.is_empty() || url.len() > MAX_URL || url.contains(unfit) {
        return Err(Rejection::new(Code::InvalidUrl, path));
    }
    Ok(Some(url.to_owned()))
}

fn user_agent(draft: &Draft<'_>) -> Result<Option<String>, Rejection> {
    let text = draft.user_agent.as_ref();
    text.map(|text| bounded(text, MAX_USER_AGENT, draft.names.user_agent))
        .transpose()
}

fn required<'a>(field: Option<&'a Cow<'_, str>>, path: &str) -> Result<&'a str, Rejection> {
    field
        .map(AsRef::as_ref)
        .ok_or_else(|| Rejection::new(Code::MissingField, path))
}

fn word(field: Option<&Cow<'_, str>>, path: &str) -> Result<Option<String>, Rejection> {
    field.map(|text| bounded(text, MAX_WORD, path)).transpose()
}

fn bounded(text: &str, max: usize, path: &str) -> Result<String, Rejection> {
    if text.is_empty() || text.len() > max || text.contains('\0') {
        let detail = format!("`{path}` has 1 to {max} bytes and no NUL character.");
        return Err(Rejection::with(Code::InvalidText, path, detail));
    }
    Ok(text.to_owned())
}

fn belongs_elsewhere(given: bool, path: &str, event_type: &str) -> Result<(), Rejection> {
    if given {
        let detail = format!(
            "`{path}` belongs to events of type `{event_type}`; elsewhere it is one of the `properties`."
        );
        return Err(Rejection::with(Code::UnexpectedField, path, detail));
    }
    Ok(())
}

/// Hashes what the sender said; every part is led by its length, so that no two contents run
/// together. When it was sent and received is not in it: the same sent again is the same.
fn content_digest(event: &Event, claimed: Option<DateTime<Utc>>, properties: u64) -> i64 {
    let mut hash = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(event.event_type.as_str().as_bytes());
    match claimed {
        Some(claimed) => part(&claimed.timestamp_micros().to_le_bytes()),
        None => part(&[]),
    }
    part(event.user.id.as_bytes());
    part(&properties.to_le_bytes());
    for optional in [
        &event.session_id,
        &event.region,
        &event.channel,
        &event.campaign,
        &event.page_url,
    ] {
        part(optional.as_deref().unwrap_or_default().as_bytes());
    }
    if let Some(order) = &event.order {
        part(order.currency.code().as_bytes());
        for line in &order.lines {
            part(line.product_id.as_bytes());
            part(&line.quantity.to_le_bytes());
            part(&line.amount.to_le_bytes());
        }
    }
    // What came later has a name and is there or not, so that older digests hold.
    let order_id = event
        .order
        .as_ref()
        .and_then(|order| order.order_id.as_ref());
    for (name, optional) in [
        ("orderId", order_id),
        ("userAgent", event.user_agent.as_ref()),
    ] {
        if let Some(text) = optional {
            part(name.as_bytes());
            part(text.as_bytes());
        }
    }
    if let Some(link) = &event.link {
        part(b"link");
        part(link.user_id.as_bytes());
    }
    hash.digest().cast_signed()
}

#[cfg(test)]
mod tests;
