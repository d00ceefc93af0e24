//! What is sent, and problems, as they are described. They are read and written elsewhere, by hand
//! (`ingest::parse`, `http::problem`).

use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A batch of events, or an array of them by itself.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Batch {
    /// The events: at most 2,500, in at most 4 MiB. Messages of the Segment API may stand between
    /// them.
    batch: Vec<EventBody>,
}

/// An event. Lengths are in bytes of UTF-8; all of it has at most 32,768.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventToSend)]
pub(in crate::http) struct EventBody {
    /// A UUID of any version, unique within the tenant; an event without an id counts again when it
    /// is sent again.
    event_id: Option<String>,
    /// Instead of `eventId`: any text of 1 to 256 bytes, which the event's id follows from.
    message_id: Option<String>,
    /// What happened: 1 to 64 characters of `a-z`, `0-9`, `_`, `.`, `:`, `-`, the first a letter.
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened: RFC 3339 with an offset, from 1970 to a day ahead; kept to the microsecond.
    timestamp: DateTime<FixedOffset>,
    /// The shop's id of a known user: 1 to 256 bytes. This or `anonymousId` is needed.
    user_id: Option<String>,
    /// The id of a visitor who is not known: 1 to 256 bytes.
    anonymous_id: Option<String>,
    /// For `alias`: the `anonymousId` that is to be one with the user's.
    previous_id: Option<String>,
    /// For `alias`: the same, if it is a `userId`.
    previous_user_id: Option<String>,
    /// The visit it belongs to: 1 to 128 bytes.
    session_id: Option<String>,
    /// Where the user is, in your own words: 1 to 128 bytes.
    region: Option<String>,
    /// What brought the user: 1 to 128 bytes.
    channel: Option<String>,
    /// Which campaign brought the user: 1 to 128 bytes.
    campaign: Option<String>,
    /// What the user's program calls itself: 1 to 1,024 bytes.
    user_agent: Option<String>,
    /// The page, for `pageview`: 1 to 2,048 bytes without spaces and control characters.
    url: Option<String>,
    /// The shop's id of the order, for `purchase` and `refund`: 1 to 256 bytes.
    order_id: Option<String>,
    /// Of all lines, for `purchase` and `refund`: ISO 4217.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// What was bought or paid back, for `purchase` and `refund`: 1 to 500 lines.
    lines: Option<Vec<LineBody>>,
    /// Anything else: an object, nested up to 16 deep.
    #[schema(value_type = Option<Object>)]
    properties: Option<Value>,
}

/// A line of an order, or of what was paid back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LineToSend)]
pub(in crate::http) struct LineBody {
    /// The shop's id of the product: 1 to 128 bytes. A refund may leave it out.
    product_id: Option<String>,
    /// How many pieces: a whole number from 1 to 1,000,000. A refund may leave it out.
    quantity: Option<i64>,
    /// The line's total: a decimal of the currency, best as a text, from 0 to 10¹² minor units.
    #[schema(example = "29.90")]
    amount: String,
}

/// A message of the Segment API; `docs/API.md` says what becomes of each field.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SegmentMessage {
    /// The event's id follows from it: 1 to 256 bytes.
    message_id: Option<String>,
    /// The shop's id of a known user.
    user_id: Option<String>,
    /// The id of a visitor who is not known.
    anonymous_id: Option<String>,
    /// Of `track`: what happened, as in `Order Completed`.
    event: Option<String>,
    /// When it happened, by the sender's clock: RFC 3339 with an offset.
    timestamp: Option<DateTime<FixedOffset>>,
    /// When it was sent, by the same clock: RFC 3339 with an offset.
    sent_at: Option<DateTime<FixedOffset>>,
    /// Of `track`, `page` and `screen`: anything else.
    #[schema(value_type = Option<Object>)]
    properties: Option<Value>,
    /// Of `identify` and `group`: what is known of the user or the group.
    #[schema(value_type = Option<Object>)]
    traits: Option<Value>,
    /// Where it came from: the user agent, the session, the campaign and the like.
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
}

/// Why a request failed as a whole (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(in crate::http) struct ProblemBody {
    /// `urn:tidewater:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What the code means, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong in this case, for people.
    detail: String,
    /// Which problem, for programs.
    code: String,
}
