//! Events as input, receipts as output.

use std::borrow::Cow;

use async_graphql::{Enum, InputObject, Json, SimpleObject};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::money::Decimal;
use crate::ingest::parse::{Draft, LineDraft};
use crate::ingest::{self, Receipts, Status};

/// An event to store. See docs/API.md for what each field may hold.
#[derive(InputObject)]
pub(in crate::graphql) struct EventInput {
    /// A UUID; made if absent, but then a resend is a new event.
    event_id: Option<String>,
    /// What happened: `pageview`, `purchase`, or any word of `a-z 0-9 _ . : -`.
    #[graphql(name = "type")]
    event_type: Option<String>,
    /// When it happened: RFC 3339 with an offset.
    timestamp: Option<String>,
    /// The shop's id of a known user.
    user_id: Option<String>,
    /// The id of a visitor who is not known.
    anonymous_id: Option<String>,
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
    /// Of the lines: ISO 4217, for purchases.
    currency: Option<String>,
    /// What was bought, for purchases.
    lines: Option<Vec<LineInput>>,
    /// Everything else: an object.
    properties: Option<Json<Value>>,
}

/// A line of an order.
#[derive(InputObject)]
pub(in crate::graphql) struct LineInput {
    /// The shop's id of the product.
    product_id: Option<String>,
    /// How many: 1 to 1 000 000.
    quantity: Option<i64>,
    /// The line's total.
    amount: Option<Decimal>,
}

impl From<EventInput> for Draft<'static> {
    fn from(input: EventInput) -> Self {
        let owned = |text: Option<String>| text.map(Cow::Owned);
        let line = |line: LineInput| LineDraft {
            product_id: owned(line.product_id),
            quantity: owned(line.quantity.map(|quantity| quantity.to_string())),
            amount: owned(line.amount.map(|amount| amount.0)),
        };
        Self {
            event_id: owned(input.event_id),
            event_type: owned(input.event_type),
            timestamp: owned(input.timestamp),
            user_id: owned(input.user_id),
            anonymous_id: owned(input.anonymous_id),
            session_id: owned(input.session_id),
            region: owned(input.region),
            channel: owned(input.channel),
            campaign: owned(input.campaign),
            url: owned(input.url),
            currency: owned(input.currency),
            lines: input
                .lines
                .map(|lines| lines.into_iter().map(line).collect()),
            order_id: None,
            previous_id: None,
            user_agent: None,
            properties: owned(input.properties.map(|Json(value)| value.to_string())),
        }
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
}

/// What the sender gets for a batch.
#[derive(SimpleObject)]
pub(in crate::graphql) struct IngestPayload {
    /// Names the batch.
    batch_id: Uuid,
    /// How many events were stored.
    accepted: usize,
    /// How many were stored before.
    duplicates: usize,
    /// How many came with an id that another event has.
    conflicts: usize,
    /// How many cannot be stored.
    rejected: usize,
    /// One for each event, in order.
    receipts: Vec<Receipt>,
}

impl From<Receipts> for IngestPayload {
    fn from(receipts: Receipts) -> Self {
        Self {
            batch_id: receipts.batch_id,
            accepted: receipts.count(Status::Accepted),
            duplicates: receipts.count(Status::Duplicate),
            conflicts: receipts.count(Status::Conflict),
            rejected: receipts.count(Status::Rejected),
            receipts: receipts
                .receipts
                .into_iter()
                .map(|receipt| Receipt {
                    event_id: receipt.event_id,
                    status: receipt.status.into(),
                    code: receipt.code.map(crate::error::Code::name),
                    message: receipt.message,
                    path: receipt.path,
                })
                .collect(),
        }
    }
}
