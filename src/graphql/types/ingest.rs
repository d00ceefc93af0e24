//! Events as input, receipts as output.

use async_graphql::{Enum, InputObject, Json, SimpleObject};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::money::Decimal;
use crate::ingest::{self, Receipts, Status};

/// An event to store. See docs/API.md for what each field may hold.
#[derive(InputObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct EventInput {
    /// A UUID; made if absent, but then a resend is a new event.
    event_id: Option<String>,
    /// Instead of `eventId`: any text of up to 256 bytes, which the event's id follows from.
    message_id: Option<String>,
    /// What happened: `pageview`, `purchase`, or any word of `a-z 0-9 _ . : -`.
    #[graphql(name = "type")]
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// When it happened: RFC 3339 with an offset.
    timestamp: Option<String>,
    /// The shop's id of a known user.
    user_id: Option<String>,
    /// The id of a visitor who is not known.
    anonymous_id: Option<String>,
    /// The `anonymousId` that is to be one with the user's, for `alias`.
    previous_id: Option<String>,
    /// The same, if it is a `userId`.
    previous_user_id: Option<String>,
    /// The visit it belongs to.
    session_id: Option<String>,
    /// Where the user is.
    region: Option<String>,
    /// What brought the user.
    channel: Option<String>,
    /// Which campaign brought the user.
    campaign: Option<String>,
    /// The page, for pageviews.
    url: Option<String>,
    /// What the user's program calls itself.
    user_agent: Option<String>,
    /// The shop's id of the order, for purchases and refunds.
    order_id: Option<String>,
    /// Of the lines: ISO 4217, for purchases and refunds.
    currency: Option<String>,
    /// What was bought, or paid back.
    lines: Option<Vec<LineInput>>,
    /// Everything else: an object.
    #[serde(serialize_with = "value")]
    properties: Option<Json<Value>>,
}

/// A line of an order. For refunds only the amount is needed.
#[derive(InputObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct LineInput {
    /// The shop's id of the product.
    product_id: Option<String>,
    /// How many: 1 to 1 000 000.
    quantity: Option<i64>,
    /// The line's total.
    #[serde(serialize_with = "decimal")]
    amount: Option<Decimal>,
}

#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
fn value<S: Serializer>(json: &Option<Json<Value>>, to: S) -> Result<S::Ok, S::Error> {
    json.as_ref().map(|Json(value)| value).serialize(to)
}

#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
fn decimal<S: Serializer>(amount: &Option<Decimal>, to: S) -> Result<S::Ok, S::Error> {
    amount.as_ref().map(|amount| &amount.0).serialize(to)
}

impl EventInput {
    /// The event as `POST /v1/batch` takes it.
    pub(in crate::graphql) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and JSON values can be written")
    }
}

/// What became of an event.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "ingest::Status")]
pub(in crate::graphql) enum ReceiptStatus {
    /// Stored, durably.
    Accepted,
    /// Stored before; nothing changed.
    Duplicate,
    /// Another content was stored under this id before; that one stays.
    Conflict,
    /// Kept aside, with the reason; it can be replayed.
    Quarantined,
    /// Not kept; sending the same again will not help.
    Rejected,
    /// Taken, durably, but not stored yet: of batches asked for later alone.
    Pending,
}

/// What the sender gets for one event.
#[derive(SimpleObject)]
struct Receipt {
    /// The sender's id, or the one made; nothing if a rejected event's id could not be read.
    event_id: Option<Uuid>,
    /// What became of it.
    status: ReceiptStatus,
    /// Why it was not accepted, from the table of codes.
    code: Option<&'static str>,
    /// The same in words.
    message: Option<String>,
    /// The offending field, as in `lines[0].amount`.
    path: Option<String>,
    /// It is accepted, but happened before the ids began that are still known (seven days, unless
    /// set otherwise): had another event been sent under its id that long ago, that would not be
    /// noticed. False in receipts asked for later.
    outside_idempotency_window: bool,
}

/// What the sender gets for a batch.
#[derive(SimpleObject)]
pub(in crate::graphql) struct IngestPayload {
    /// Names the batch.
    batch_id: Uuid,
    /// What the receipts are worth: `committed` (in the database), or of a stream `always` (on
    /// Redis' disk), `everysec` (on it within two seconds) or `none`.
    durability: &'static str,
    /// How many events were stored.
    accepted: usize,
    /// How many were stored before.
    duplicates: usize,
    /// How many came with an id that another event has.
    conflicts: usize,
    /// How many break a rule and are kept aside.
    quarantined: usize,
    /// How many are not kept.
    rejected: usize,
    /// How many of the stored ones happened before the idempotency window.
    outside_idempotency_window: usize,
    /// One for each event, in order.
    receipts: Vec<Receipt>,
}

impl From<Receipts> for IngestPayload {
    fn from(receipts: Receipts) -> Self {
        Self {
            batch_id: receipts.batch_id,
            durability: receipts.durability.name(),
            accepted: receipts.count(Status::Accepted),
            duplicates: receipts.count(Status::Duplicate),
            conflicts: receipts.count(Status::Conflict),
            quarantined: receipts.count(Status::Quarantined),
            rejected: receipts.count(Status::Rejected),
            outside_idempotency_window: receipts.count_outside_window(),
            receipts: receipts
                .receipts
                .into_iter()
                .map(|receipt| Receipt {
                    event_id: receipt.event_id,
                    status: receipt.status.into(),
                    code: receipt.code.map(crate::error::Code::name),
                    message: receipt.message,
                    path: receipt.path,
                    outside_idempotency_window: receipt.outside_window,
                })
                .collect(),
        }
    }
}
