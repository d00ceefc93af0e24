//! Ids that name a record among all that there is, and what has one.

use std::fmt::Display;

use async_graphql::{ID, Interface};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::audit::AuditEntry;
use super::event::Event;
use super::pageview::Pageview;
use super::product::Product;
use super::purchase::Purchase;
use super::quarantine::QuarantinedEvent;
use super::refund::Refund;
use super::user::User;
use super::user_agent::UserAgent;
use crate::error::{Code, Problem};

/// What has an `id`, by which `node` finds it again.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Names it among all that there is: `node` finds it again."
))]
pub(in crate::graphql) enum Node {
    /// An entry of the audit log.
    AuditEntry(AuditEntry),
    /// An event.
    Event(Event),
    /// A pageview.
    Pageview(Pageview),
    /// A product.
    Product(Product),
    /// A purchase.
    Purchase(Purchase),
    /// An event in quarantine.
    QuarantinedEvent(QuarantinedEvent),
    /// A refund.
    Refund(Refund),
    /// A user.
    User(User),
    /// A user agent.
    UserAgent(UserAgent),
}

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Kind {
    AuditEntry,
    Event,
    Pageview,
    Product,
    Purchase,
    QuarantinedEvent,
    Refund,
    User,
    UserAgent,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::AuditEntry,
        Self::Event,
        Self::Pageview,
        Self::Product,
        Self::Purchase,
        Self::QuarantinedEvent,
        Self::Refund,
        Self::User,
        Self::UserAgent,
    ];

    /// The name of its type.
    const fn name(self) -> &'static str {
        match self {
            Self::AuditEntry => "AuditEntry",
            Self::Event => "Event",
            Self::Pageview => "Pageview",
            Self::Product => "Product",
            Self::Purchase => "Purchase",
            Self::QuarantinedEvent => "QuarantinedEvent",
            Self::Refund => "Refund",
            Self::User => "User",
            Self::UserAgent => "UserAgent",
        }
    }
}

/// The id of a record with this key of its own.
pub(in crate::graphql) fn global_id(kind: Kind, key: &impl Display) -> ID {
    URL_SAFE_NO_PAD
        .encode(format!("{}:{key}", kind.name()))
        .into()
}

/// What an id names, and the key of its own.
///
/// # Errors
/// [`Code::InvalidId`].
pub(in crate::graphql) fn read(id: &ID) -> Result<(Kind, String), Problem> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?).ok()?;
        let (name, key) = text.split_once(':')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
        Some((kind, key.to_owned()))
    };
    read().ok_or_else(|| Code::InvalidId.into())
}

/// A key of an id as what it is.
///
/// # Errors
/// [`Code::InvalidId`].
pub(in crate::graphql) fn key<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Code::InvalidId.into())
}
