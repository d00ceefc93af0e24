//! Erasures, and what a tenant decides about people's data.

use async_graphql::{Enum, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::ip_address;
use crate::ingest::erasures::{self, Receipt};
use crate::reports::privacy::PrivacyPolicy as Policy;

/// What becomes of what a person did.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "erasures::Mode")]
pub(in crate::graphql) enum ErasureMode {
    /// It goes, and every sum that it is in is made anew.
    Delete,
    /// It stays, so no sum changes, without anything that leads back to the person: ids are random,
    /// properties, programs, order ids and the ends of addresses are cleared.
    Anonymise,
}

/// How far an erasure is.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum ErasureState {
    /// It is being worked on, or will be: it goes on by itself.
    Running,
    /// Everything is done.
    Done,
}

/// Of a kind of rows, how many there were and are.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ErasureCount {
    /// What is counted.
    kind: String,
    /// How many of the person's there were when the erasure was asked for.
    before: i64,
    /// How many there are; nothing while it is not done.
    after: Option<i64>,
}

/// What became of a request to take a person out of everything that is kept.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Erasure {
    /// Names it.
    id: Uuid,
    /// How.
    mode: ErasureMode,
    /// How far it is.
    state: ErasureState,
    /// Of facts from this moment on; nothing: of all, and of the person themselves.
    range_from: Option<DateTime<Utc>>,
    /// Of facts before this moment.
    range_to: Option<DateTime<Utc>>,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
    /// Who asked.
    requested_by: String,
    /// A keyed hash of the person's id: the same for two erasures of one person.
    subject: String,
    /// Everything of before this moment is gone, or will be, and is not stored again.
    erased_at: DateTime<Utc>,
    /// When it was done.
    finished_at: Option<DateTime<Utc>>,
    /// What keeps it from going on, if anything does.
    waits_for: Option<String>,
    /// What there was and is.
    counts: Vec<ErasureCount>,
}

impl From<Receipt> for Erasure {
    fn from(receipt: Receipt) -> Self {
        let count = |count: erasures::Counts| ErasureCount {
            kind: count.kind,
            before: count.before,
            after: count.after,
        };
        Self {
            id: receipt.id,
            mode: receipt.mode.into(),
            state: if receipt.finished_at.is_some() {
                ErasureState::Done
            } else {
                ErasureState::Running
            },
            range_from: receipt.range.map(|range| range.from),
            range_to: receipt.range.map(|range| range.to),
            requested_at: receipt.requested_at,
            requested_by: receipt.requested_by,
            subject: receipt.subject,
            erased_at: receipt.erased_at,
            finished_at: receipt.finished_at,
            waits_for: receipt.waits_for,
            counts: receipt.counts.into_iter().map(count).collect(),
        }
    }
}

/// What is kept of IP addresses in events.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "ip_address::IpAddresses")]
pub(in crate::graphql) enum IpAddresses {
    /// All of them.
    Full,
    /// Their networks: the first 24 bits of IPv4, the first 48 of IPv6.
    Truncated,
    /// Nothing: null stands in their place.
    Dropped,
}

/// What a tenant decides about people's data. What is absent is as the server is set.
#[derive(InputObject)]
pub(in crate::graphql) struct PrivacyPolicyInput {
    /// What is kept of IP addresses, in events that come from now on.
    ip_addresses: Option<IpAddresses>,
    /// For how many days events are kept, by their own time and the tenant's days; for ever if
    /// absent.
    events_days: Option<i32>,
    /// For how many days quarantined events are kept after their receipt.
    quarantine_days: Option<i32>,
    /// For how many days receipts are kept.
    receipts_days: Option<i32>,
    /// For how many hours the files of exports are kept.
    exports_hours: Option<i32>,
}

impl From<PrivacyPolicyInput> for Policy {
    fn from(input: PrivacyPolicyInput) -> Self {
        Self {
            ip_addresses: input.ip_addresses.map(Into::into),
            events_days: input.events_days,
            quarantine_days: input.quarantine_days,
            receipts_days: input.receipts_days,
            exports_hours: input.exports_hours,
            kept_from: None,
        }
    }
}

/// What a tenant decided about people's data. What is absent is as the server is set.
#[derive(SimpleObject)]
pub(in crate::graphql) struct PrivacyPolicy {
    /// What is kept of IP addresses.
    ip_addresses: Option<IpAddresses>,
    /// For how many days events are kept.
    events_days: Option<i32>,
    /// For how many days quarantined events are kept.
    quarantine_days: Option<i32>,
    /// For how many days receipts are kept.
    receipts_days: Option<i32>,
    /// For how many hours the files of exports are kept.
    exports_hours: Option<i32>,
    /// Events of before this moment are gone, or are being taken out.
    kept_from: Option<DateTime<Utc>>,
}

impl From<Policy> for PrivacyPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            ip_addresses: policy.ip_addresses.map(Into::into),
            events_days: policy.events_days,
            quarantine_days: policy.quarantine_days,
            receipts_days: policy.receipts_days,
            exports_hours: policy.exports_hours,
            kept_from: policy.kept_from,
        }
    }
}
