//! From a draft to an [`Event`]: every rule about what an event may be, one after the other.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Duration, Utc};
use serde_json::Value;
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::parse::{Draft, LineDraft};
use super::{Rejection, properties};
use crate::domain::event::{self, Event, EventType, Line, Order, OrderKind, UserRef};
use crate::domain::money::{AmountError, Currency};
use crate::domain::tenant::TenantId;
use crate::error::Code;

/// How far ahead of the server's clock an event may lie.
const MAX_AHEAD: Duration = Duration::days(1);
/// How many lines an order may have.
pub(super) const MAX_LINES: usize = 500;
const MAX_QUANTITY: i32 = 1_000_000;
const MAX_URL: usize = 2_048;
const MAX_USER_ID: usize = 256;
const MAX_WORD: usize = 128;

/// Judges a draft; `spare_id` becomes its id if it has none.
///
/// # Errors
/// The first rule that it breaks, and where.
pub fn validate(
    draft: &Draft<'_>,
    tenant: TenantId,
    received_at: DateTime<Utc>,
    spare_id: impl FnOnce() -> Uuid,
) -> Result<Event, Rejection> {
    let event_type = event_type(draft)?;
    let (properties, properties_digest) = properties_of(draft)?;
    let mut event = Event {
        id: event_id(draft)?.unwrap_or_else(spare_id),
        timestamp: timestamp(draft, received_at)?,
        user: user(draft, &event_type, &properties, tenant)?,
        session_id: word(draft.session_id.as_ref(), "sessionId")?,
        region: word(draft.region.as_ref(), "region")?,
        channel: word(draft.channel.as_ref(), "channel")?,
        campaign: word(draft.campaign.as_ref(), "campaign")?,
        page_url: page_url(draft, &event_type)?,
        user_agent: None,
        bot: false,
        order: order(draft, &event_type)?,
        link: None,
        event_type,
        properties,
        digest: 0,
    };
    event.digest = content_digest(&event, properties_digest);
    Ok(event)
}

fn event_id(draft: &Draft<'_>) -> Result<Option<Uuid>, Rejection> {
    let parse = |text: &Cow<'_, str>| {
        Uuid::parse_str(text).map_err(|_| Rejection::new(Code::InvalidEventId, "eventId"))
    };
    draft.event_id.as_ref().map(parse).transpose()
}

fn event_type(draft: &Draft<'_>) -> Result<EventType, Rejection> {
    let text = required(draft.event_type.as_ref(), "type")?;
    EventType::parse(text).ok_or_else(|| Rejection::new(Code::InvalidEventType, "type"))
}

fn timestamp(draft: &Draft<'_>, received_at: DateTime<Utc>) -> Result<DateTime<Utc>, Rejection> {
    let text = required(draft.timestamp.as_ref(), "timestamp")?;
    let timestamp = DateTime::parse_from_rfc3339(text)
        .map_err(|_| Rejection::new(Code::InvalidTimestamp, "timestamp"))?
        .with_timezone(&Utc);
    if timestamp.year() < 1970 || timestamp > received_at + MAX_AHEAD {
        return Err(Rejection::new(Code::TimestampOutOfRange, "timestamp"));
    }
    // PostgreSQL keeps microseconds and no leap seconds (23:59:60 is the next day's midnight);
    // what is hashed and summed must be what is stored.
    let stored = DateTime::from_timestamp_micros(timestamp.timestamp_micros());
    Ok(stored.expect("chrono's range is wider than from 1970 to tomorrow"))
}

fn user(
    draft: &Draft<'_>,
    event_type: &EventType,
    properties: &str,
    tenant: TenantId,
) -> Result<UserRef, Rejection> {
    let (text, path, anonymous) = match (&draft.user_id, &draft.anonymous_id) {
        (Some(id), _) => (id, "userId", false),
        (None, Some(id)) => (id, "anonymousId", true),
        (None, None) => {
            let detail = "An event has a `userId` or an `anonymousId`.";
            return Err(Rejection::with(Code::MissingField, "userId", detail));
        }
    };
    let external_id = bounded(text, MAX_USER_ID, path)?;
    let tells_of_user = matches!(event_type.as_str(), "sign_up" | "identify");
    let object: Option<serde_json::Map<String, Value>> = tells_of_user
        .then(|| serde_json::from_str(properties).ok())
        .flatten();
    let told = |name| short_text(object.as_ref()?.get(name)?);
    Ok(UserRef {
        id: event::user_id(tenant, &external_id, anonymous),
        username: told("username"),
        email: told("email"),
        external_id,
        anonymous,
    })
}

/// A property that is a text and not overlong.
fn short_text(property: &Value) -> Option<String> {
    let text = property.as_str()?;
    (!text.is_empty() && text.len() <= MAX_USER_ID).then(|| text.to_owned())
}

fn properties_of(draft: &Draft<'_>) -> Result<(String, u64), Rejection> {
    let text = draft.properties.as_deref().unwrap_or("{}");
    let digest = properties::digest(text).map_err(|why| {
        Rejection::with(
            Code::InvalidProperties,
            "properties",
            format!("The properties cannot be stored: {why}."),
        )
    })?;
    Ok((text.to_owned(), digest))
}

fn page_url(draft: &Draft<'_>, event_type: &EventType) -> Result<Option<String>, Rejection> {
    if event_type.as_str() != event::PAGEVIEW {
        return belongs_elsewhere(draft.url.is_some(), "url", event::PAGEVIEW).map(|()| None);
    }
    let url = required(draft.url.as_ref(), "url")?;
    let unfit = |c: char| c.is_whitespace() || c.is_control();
    if url.is_empty() || url.len() > MAX_URL || url.contains(unfit) {
        return Err(Rejection::new(Code::InvalidUrl, "url"));
    }
    Ok(Some(url.to_owned()))
}

fn order(draft: &Draft<'_>, event_type: &EventType) -> Result<Option<Order>, Rejection> {
    if event_type.as_str() != event::PURCHASE {
        belongs_elsewhere(draft.currency.is_some(), "currency", event::PURCHASE)?;
        return belongs_elsewhere(draft.lines.is_some(), "lines", event::PURCHASE).map(|()| None);
    }
    let code = required(draft.currency.as_ref(), "currency")?;
    let currency = Currency::from_code(code)
        .ok_or_else(|| Rejection::new(Code::InvalidCurrency, "currency"))?;
    let lines = draft
        .lines
        .as_ref()
        .ok_or_else(|| Rejection::new(Code::MissingField, "lines"))?;
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(Rejection::new(Code::InvalidLines, "lines"));
    }
    let lines = lines
        .iter()
        .enumerate()
        .map(|(n, draft)| line(draft, n, currency));
    Ok(Some(Order {
        kind: OrderKind::Purchase,
        order_id: None,
        currency,
        lines: lines.collect::<Result<_, _>>()?,
    }))
}

fn line(draft: &LineDraft<'_>, n: usize, currency: Currency) -> Result<Line, Rejection> {
    let path = |field: &str| format!("lines[{n}].{field}");
    let product_id = required(draft.product_id.as_ref(), &path("productId"))?;
    let quantity = required(draft.quantity.as_ref(), &path("quantity"))?
        .parse()
        .ok()
        .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
        .ok_or_else(|| Rejection::new(Code::InvalidQuantity, path("quantity")))?;
    let amount = required(draft.amount.as_ref(), &path("amount"))?;
    let amount = currency.parse_amount(amount).map_err(|error| match error {
        AmountError::Malformed => Rejection::new(Code::InvalidAmount, path("amount")),
        AmountError::TooManyDecimals(decimals) => {
            let code = currency.code();
            let detail = format!("An amount in {code} has at most {decimals} decimals.");
            Rejection::with(Code::TooManyDecimals, path("amount"), detail)
        }
    })?;
    Ok(Line {
        product_id: bounded(product_id, MAX_WORD, &path("productId"))?,
        quantity,
        amount,
    })
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
/// together.
fn content_digest(event: &Event, properties: u64) -> i64 {
    let mut hash = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(event.event_type.as_str().as_bytes());
    part(&event.timestamp.timestamp_micros().to_le_bytes());
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
    hash.digest().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::parse::parse_batch;
    use serde_json::json;

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn judge(event: &Value) -> Result<Event, Rejection> {
        let body = json!([event]).to_string();
        let draft = parse_batch(body.as_bytes()).unwrap().remove(0)?;
        validate(&draft, TenantId(1), NOW.parse().unwrap(), Uuid::nil)
    }

    fn purchase() -> Value {
        json!({
            "eventId": "0193f3a0-0000-7000-8000-000000000001", "type": "purchase", "timestamp": NOW,
            "userId": "u1", "currency": "USD", "region": "DE", "properties": {"coupon": "X", "n": 1},
            "lines": [{"productId": "mug", "quantity": 2, "amount": "29.90"}],
        })
    }

    #[test]
    fn a_good_purchase_is_read_whole() {
        let event = judge(&purchase()).unwrap();
        let order = event.order.unwrap();
        assert_eq!(
            order.lines,
            [Line {
                product_id: "mug".into(),
                quantity: 2,
                amount: 2990
            }]
        );
        assert_eq!(
            (event.region.as_deref(), event.user.external_id.as_str()),
            (Some("DE"), "u1")
        );
    }

    #[test]
    fn every_broken_rule_has_its_code_and_path() {
        let cases = [
            ("/eventId", json!("x"), Code::InvalidEventId, "eventId"),
            (
                "/type",
                json!("Order Completed"),
                Code::InvalidEventType,
                "type",
            ),
            ("/type", json!(null), Code::MissingField, "type"),
            (
                "/timestamp",
                json!("yesterday"),
                Code::InvalidTimestamp,
                "timestamp",
            ),
            (
                "/timestamp",
                json!("1969-12-31T23:59:59Z"),
                Code::TimestampOutOfRange,
                "timestamp",
            ),
            (
                "/timestamp",
                json!("2026-11-21T12:00:01Z"),
                Code::TimestampOutOfRange,
                "timestamp",
            ),
            ("/userId", json!(null), Code::MissingField, "userId"),
            ("/userId", json!(""), Code::InvalidText, "userId"),
            ("/region", json!("a\u{0}b"), Code::InvalidText, "region"),
            ("/currency", json!("XYZ"), Code::InvalidCurrency, "currency"),
            ("/currency", json!(null), Code::MissingField, "currency"),
            ("/lines", json!([]), Code::InvalidLines, "lines"),
            (
                "/lines/0/quantity",
                json!(-1),
                Code::InvalidQuantity,
                "lines[0].quantity",
            ),
            (
                "/lines/0/quantity",
                json!(0),
                Code::InvalidQuantity,
                "lines[0].quantity",
            ),
            (
                "/lines/0/quantity",
                json!(1.5),
                Code::InvalidQuantity,
                "lines[0].quantity",
            ),
            (
                "/lines/0/amount",
                json!("1.005"),
                Code::TooManyDecimals,
                "lines[0].amount",
            ),
            (
                "/lines/0/amount",
                json!(-5),
                Code::InvalidAmount,
                "lines[0].amount",
            ),
            (
                "/lines/0/productId",
                json!(null),
                Code::MissingField,
                "lines[0].productId",
            ),
            (
                "/properties",
                json!({"a": "\u{0}"}),
                Code::InvalidProperties,
                "properties",
            ),
            (
                "/properties",
                json!([1]),
                Code::InvalidProperties,
                "properties",
            ),
        ];
        for (pointer, value, code, path) in cases {
            let mut event = purchase();
            *event.pointer_mut(pointer).unwrap() = value.clone();
            let rejection = judge(&event).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.path.as_str()),
                (code, path),
                "{pointer} = {value}"
            );
        }
    }

    #[test]
    fn a_page_belongs_to_pageviews_and_lines_to_purchases() {
        let click = json!({"type": "click", "timestamp": NOW, "userId": "u", "url": "https://shop.example/"});
        assert_eq!(judge(&click).unwrap_err().code, Code::UnexpectedField);
        let pageview =
            json!({"type": "page_view", "timestamp": NOW, "anonymousId": "a", "url": "/cart"});
        assert_eq!(judge(&pageview).unwrap().page_url.as_deref(), Some("/cart"));
        let bare = json!({"type": "pageview", "timestamp": NOW, "anonymousId": "a"});
        assert_eq!(judge(&bare).unwrap_err().code, Code::MissingField);
    }

    #[test]
    fn a_digest_tells_a_resend_from_a_conflict() {
        let first = judge(&purchase()).unwrap().digest;
        let mut reordered = purchase();
        reordered["properties"] = json!({"n": 1, "coupon": "X"});
        assert_eq!(judge(&reordered).unwrap().digest, first);
        for (pointer, value) in [
            ("/lines/0/amount", json!("29.91")),
            ("/userId", json!("u2")),
            ("/properties/n", json!(2)),
            ("/region", json!("FR")),
        ] {
            let mut other = purchase();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_ne!(judge(&other).unwrap().digest, first, "{pointer}");
        }
    }
}
