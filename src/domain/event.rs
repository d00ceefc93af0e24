//! What shops send: an event, who did it, and the page or the order in it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Currency;
use super::person::shown;
use super::tenant::TenantId;

/// The type of the events that carry a page's URL.
pub const PAGEVIEW: &str = "pageview";
/// The type of the events that carry the lines of an order.
pub const PURCHASE: &str = "purchase";
/// The type of the events that carry what of an order was paid back.
pub const REFUND: &str = "refund";

/// An event's type: open, but bounded. `page_view` is read as `pageview`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventType(String);

impl EventType {
    /// Reads 1 to 64 characters of `a-z 0-9 _ . : -`, the first a letter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed =
            |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
        let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts_well || text.len() > 64 || !text.bytes().all(allowed) {
            return None;
        }
        let canonical = if text == "page_view" { PAGEVIEW } else { text };
        Some(Self(canonical.to_owned()))
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event that passed validation: it can be stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The sender's id, or one made for it; unique within the tenant.
    pub id: Uuid,
    /// What happened.
    pub event_type: EventType,
    /// When it happened, to the microsecond.
    pub timestamp: DateTime<Utc>,
    /// Who did it.
    pub user: UserRef,
    /// The visit it belongs to.
    pub session_id: Option<String>,
    /// Where the user is, in the shop's own words.
    pub region: Option<String>,
    /// What brought the user: search, email, ads.
    pub channel: Option<String>,
    /// Which campaign brought the user.
    pub campaign: Option<String>,
    /// Everything else: the text of a JSON object.
    pub properties: String,
    /// The page, for pageviews.
    pub page_url: Option<String>,
    /// What the user's program calls itself.
    pub user_agent: Option<String>,
    /// Whether that program is a known bot.
    pub bot: bool,
    /// What was bought, for purchases, or paid back, for refunds.
    pub order: Option<Order>,
    /// Another id that turned out to be of the same user, for `identify` and `alias`.
    pub link: Option<Link>,
    /// A hash of all of the above but the id: equal for a resend, whatever the order of keys.
    pub digest: i64,
}

shown!(Event as "Event" { id, event_type, timestamp, bot });

/// The user of an event as the sender names them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// Follows from the tenant, the kind and the sender's id: needs no look-up.
    pub id: Uuid,
    /// The sender's `userId` or `anonymousId`.
    pub external_id: String,
    /// Whether it is an `anonymousId`.
    pub anonymous: bool,
    /// What the event tells of the user's name (`sign_up` and `identify`).
    pub username: Option<String>,
    /// What the event tells of the user's email address.
    pub email: Option<String>,
}

shown!(UserRef as "UserRef" { id, anonymous });

/// What was bought together, or paid back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which of the two.
    pub kind: OrderKind,
    /// The shop's id of the order.
    pub order_id: Option<String>,
    /// Of all the lines.
    pub currency: Currency,
    /// At least one.
    pub lines: Vec<Line>,
}

/// Whether money came in or went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderKind {
    /// The lines were bought.
    Purchase,
    /// The lines were paid back: amounts and quantities are positive here, too. A refund that names
    /// no products is one line without a product and of quantity 0.
    Refund,
}

/// An id that turned out to be of the event's user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// How it turned out.
    pub kind: LinkKind,
    /// Follows from the tenant, the kind and the sender's id, as [`UserRef::id`] does.
    pub user_id: Uuid,
    /// The sender's id.
    pub external_id: String,
    /// Whether it is an `anonymousId`.
    pub anonymous: bool,
}

shown!(Link as "Link" { kind, user_id, anonymous });

/// How two ids turned out to be of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkKind {
    /// A visitor told who they are. Of several users on one device, the first keeps its history.
    Identify,
    /// The shop says that both are one, whatever they are.
    Alias,
}

/// One product of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The shop's id of the product.
    pub product_id: String,
    /// How many.
    pub quantity: i32,
    /// The line's total in minor units.
    pub amount: i64,
}

/// The id of the user that a sender calls `external_id`.
#[must_use]
pub fn user_id(tenant: TenantId, external_id: &str, anonymous: bool) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_9d0e_5a57_4c0f_9b60_1d1d_2c5c_8a01);
    let kind = if anonymous { "anonymous" } else { "user" };
    let name = format!("{}/{kind}/{external_id}", tenant.0);
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// What kind of row tells more of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line of an order.
    Purchase,
    /// A line of what was paid back.
    Refund,
}

/// The id of an event's n-th detail: its first 48 bits are the event's time in milliseconds, so a
/// look-up by this id alone knows where to look; the rest is a hash, so a replay makes the same.
#[must_use]
pub fn detail_id(event: &Event, kind: Detail, n: usize) -> Uuid {
    let name = match kind {
        Detail::Purchase => format!("purchase/{n}"),
        Detail::Refund => format!("refund/{n}"),
    };
    let mut bytes = Uuid::new_v5(&event.id, name.as_bytes()).into_bytes();
    let millis = event.timestamp.timestamp_millis().to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The millisecond that a [`detail_id`] tells.
#[must_use]
pub fn detail_time(id: Uuid) -> Option<DateTime<Utc>> {
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    DateTime::from_timestamp_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_open_but_bounded() {
        for good in ["purchase", "add_to_cart", "a", "shop:click-2.0"] {
            assert_eq!(EventType::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(EventType::parse("page_view").unwrap().as_str(), "pageview");
        for bad in ["", "Purchase", "1st", "über", "a b", &"a".repeat(65)] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_user_and_an_anonymous_visitor_of_one_name_are_two_and_so_are_two_tenants() {
        let ids = [
            user_id(TenantId(1), "7", false),
            user_id(TenantId(1), "7", true),
            user_id(TenantId(2), "7", false),
        ];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        assert_eq!(ids[0], user_id(TenantId(1), "7", false));
    }
}
