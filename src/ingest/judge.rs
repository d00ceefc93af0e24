//! The judgement of one event: it can be stored, it is kept aside, or it cannot be kept.
//!
//! Whatever is a JSON object of a bounded size is kept: an event that breaks a rule goes to
//! quarantine as it was sent, with the rule, and [`super::parse::parse_one`] reads it again.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::parse::Draft;
use super::rules::{Breach, Verdict};
use super::validate::validate;
use crate::domain::batch::{Held, Protocol, Refusal};
use crate::domain::event::Event;
use crate::domain::person::shown;
use crate::domain::tenant::{Sender, TenantId};
use crate::error::Code;

/// How many bytes of a sender's words a judgement repeats.
const MAX_REPEATED: usize = 512;

/// What an event is.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are of the largest kind"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It can be stored.
    Good(Event),
    /// It breaks a rule of its tenant, which says that it is to be stored nevertheless.
    Warned(Event, Refusal),
    /// It breaks a rule, and is kept as it was sent.
    Held(Held),
    /// It is not kept: no object, or over a limit.
    Rejected(Refusal),
}

/// Why an event cannot be taken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which rule it breaks.
    pub code: Code,
    /// The offending field, as in `lines[0].amount`; empty for the event as a whole.
    pub path: String,
    /// What exactly, if there is more to say than the code's sentence.
    pub detail: Option<String>,
    /// The event itself, if it can be kept.
    pub kept: Option<Box<Kept>>,
}

/// An event that breaks a rule, as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// How the payload is to be read.
    pub protocol: Protocol,
    /// Its JSON, with what the request around it said of it.
    pub payload: String,
    /// The same without the time of sending, which differs when it is sent again.
    pub essence: String,
    /// The sender's id of it, if it has one.
    pub id: SentId<String>,
    /// Its type, if that can be told.
    pub event_type: Option<String>,
}

shown!(Kept as "Kept" { protocol, event_type });

/// The id that a sender gave an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SentId<T> {
    /// None that can be read.
    #[default]
    None,
    /// A UUID: the event's id.
    Uuid(Uuid),
    /// Another text, which the event's id follows from.
    Text(T),
}

impl<T: AsRef<str>> SentId<T> {
    /// The event's id.
    #[must_use]
    pub fn event_id(&self, tenant: TenantId) -> Option<Uuid> {
        const NAMESPACE: Uuid = Uuid::from_u128(0x3b0e_7c52_94f1_4d0b_a1c6_5f0d_22e8_7b43);
        match self {
            Self::None => None,
            Self::Uuid(id) => Some(*id),
            Self::Text(text) => {
                let name = format!("{}/{}", tenant.0, text.as_ref());
                Some(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
            }
        }
    }
}

impl Rejection {
    pub(super) fn new(code: Code, path: impl Into<String>) -> Self {
        Self {
            code,
            path: path.into(),
            detail: None,
            kept: None,
        }
    }

    pub(super) fn with(code: Code, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(code, path)
        }
    }

    /// The sender's own id of the event, where it is no UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        match &self.kept.as_ref()?.id {
            SentId::Text(text) => Some(text),
            _ => None,
        }
    }

    fn judged(self, sender: &Sender) -> Judged {
        let id = self.kept.as_ref().map(|kept| &kept.id);
        let refusal = Refusal {
            event_id: id.and_then(|id| id.event_id(sender.tenant)),
            code: self.code.name().to_owned(),
            path: repeated(&self.path),
            message: self
                .detail
                .map_or_else(|| self.code.sentence().to_owned(), |text| repeated(&text)),
        };
        let Some(kept) = self.kept else {
            return Judged::Rejected(refusal);
        };
        Judged::Held(Held {
            quarantine_id: quarantine_id(sender.tenant, &kept),
            protocol: kept.protocol,
            payload: kept.payload,
            event_type: kept.event_type.as_deref().map(repeated),
            refusal,
        })
    }
}

/// Judges an event that was sent. `spare_id` becomes its id if it has none. `received_at` corrects
/// clocks that are off: for an event out of quarantine it is the time that it first came. `check` is
/// what the tenant's rules say.
pub fn judge(
    draft: Result<Draft<'_>, Rejection>,
    sender: &Sender,
    received_at: DateTime<Utc>,
    spare_id: impl FnOnce() -> Uuid,
    check: impl FnOnce(&Event) -> Verdict,
) -> Judged {
    let judged = draft.and_then(|draft| {
        let event = validate(&draft, sender, received_at, spare_id);
        let event = event.map_err(|rejection| draft.kept_with(rejection))?;
        match check(&event) {
            Verdict::Pass => Ok(Judged::Good(event)),
            Verdict::Warn(breach) => {
                let refusal = breach.refusal(Some(event.id));
                Ok(Judged::Warned(event, refusal))
            }
            Verdict::Hold(Breach {
                code,
                path,
                message,
            }) => Err(draft.kept_with(Rejection::with(code, path, message))),
        }
    });
    judged.unwrap_or_else(|rejection| rejection.judged(sender))
}

/// Follows from what was sent, so that the same sent again is held once.
fn quarantine_id(tenant: TenantId, kept: &Kept) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x51c7_20ab_8e6d_4f3f_9d02_b8a4_613f_0c95);
    let name = format!("{}/{}/{}", tenant.0, kept.protocol.name(), kept.essence);
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A sender's words as they can be shown and stored: bounded and without control characters.
fn repeated(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let end = text.floor_char_boundary(MAX_REPEATED);
    text[..end].chars().map(plain).collect()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
