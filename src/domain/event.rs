//! What shops send: an event, who did it, and the page or the order in it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::money::Currency;
use super::tenant::TenantId;

/// The type of the events that carry a page's URL.
pub const PAGEVIEW: &str = "pageview";
/// The type of the events that carry the lines of an order.
pub const PURCHASE: &str = "purchase";

/// An event's type: open, but bounded. `page_view` is read as `pageview`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The order, for purchases.
    pub order: Option<Order>,
    /// A hash of all of the above but the id: equal for a resend, whatever the order of keys.
    pub digest: i64,
}

/// The user of an event as the sender names them.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What was bought together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of all the lines.
    pub currency: Currency,
    /// At least one.
    pub lines: Vec<Line>,
}

/// One product of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A page that was seen.
    Pageview,
    /// A line of an order.
    Purchase,
}

/// The id of an event's n-th detail: its first 48 bits are the event's time in milliseconds, so a
/// look-up by this id alone knows where to look; the rest is a hash, so a replay makes the same.
#[must_use]
pub fn detail_id(event: &Event, kind: Detail, n: usize) -> Uuid {
    let name = match kind {
        Detail::Pageview => format!("pageview/{n}"),
        Detail::Purchase => format!("purchase/{n}"),
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
