//! What an entry of a stream holds: whole batches, or parts of them, packed together.
//!
//! A version (1 byte), the packet's id (16), a hash of the rest (8), and batches, one after the
//! other. The id is made once: a packet that is appended twice, because the first answer was lost,
//! is stored once. The layout of a version never changes: a program that knows only older ones must
//! not misread it.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::batch::Batch;

const VERSION: u8 = 1;
const HEAD: usize = 25;

/// Why what lies in a stream cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Unreadable {
    #[error("it is no packet")]
    NoPacket,
    #[error("it is of version {0}, which this program does not know")]
    Version(u8),
    #[error("it is damaged")]
    Damaged,
    #[error("its batches cannot be read: {0}")]
    Batches(#[from] postcard::Error),
}

/// A batch as bytes.
pub(super) fn encode(batch: &Batch) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_stdvec(batch)
}

/// A packet in the making.
pub(super) struct Packet {
    bytes: Vec<u8>,
    events: usize,
}

impl Packet {
    pub(super) fn new(id: Uuid) -> Self {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.push(VERSION);
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes, events: 0 }
    }

    /// Adds an encoded batch of so many events.
    pub(super) fn push(&mut self, batch: &[u8], events: usize) {
        self.bytes.extend_from_slice(batch);
        self.events += events;
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// What to append.
    pub(super) fn seal(mut self) -> Vec<u8> {
        let hash = xxh3_64(&self.bytes[HEAD..]);
        self.bytes[HEAD - 8..HEAD].copy_from_slice(&hash.to_be_bytes());
        self.bytes
    }
}

/// Reads a packet: its id and its batches.
pub(super) fn decode(bytes: &[u8]) -> Result<(Uuid, Vec<Batch>), Unreadable> {
    let version = *bytes.first().ok_or(Unreadable::NoPacket)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (head, mut body) = bytes.split_at_checked(HEAD).ok_or(Unreadable::NoPacket)?;
    let id = Uuid::from_slice(&head[1..HEAD - 8]).map_err(|_| Unreadable::NoPacket)?;
    if head[HEAD - 8..] != xxh3_64(body).to_be_bytes() {
        return Err(Unreadable::Damaged);
    }
    let mut batches = Vec::new();
    while !body.is_empty() {
        let (batch, rest) = postcard::take_from_bytes(body)?;
        batches.push(batch);
        body = rest;
    }
    Ok((id, batches))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::domain::batch::{Held, Placed, Protocol, Refusal};
    use crate::domain::event::{
        Event, EventType, Line, Link, LinkKind, Order, OrderKind, UserRef, user_id,
    };
    use crate::domain::money::Currency;
    use crate::domain::tenant::TenantId;

    /// A batch with something in every field.
    fn batch() -> Batch {
        let tenant = TenantId(7);
        let text = |text: &str| Some(text.to_owned());
        let refusal = Refusal {
            event_id: Some(Uuid::from_u128(9)),
            code: "invalid_url".to_owned(),
            path: "url".to_owned(),
            message: "no".to_owned(),
        };
        let link = Link {
            kind: LinkKind::Alias,
            user_id: user_id(tenant, "v", true),
            external_id: "v".to_owned(),
            anonymous: true,
        };
        let order = Order {
            kind: OrderKind::Refund,
            order_id: text("o1"),
            currency: Currency::from_code("JPY").unwrap(),
            lines: vec![Line {
                product_id: "mug".to_owned(),
                quantity: 2,
                amount: -3,
            }],
        };
        let event = Event {
            id: Uuid::from_u128(1),
            event_type: EventType::parse("refund").unwrap(),
            timestamp: "2026-03-01T12:00:00.000001Z".parse().unwrap(),
            user: UserRef {
                id: user_id(tenant, "u", false),
                external_id: "u".to_owned(),
                anonymous: false,
                username: text("Ü"),
                email: text("u@example.com"),
            },
            session_id: text("s"),
            region: text("r"),
            channel: text("c"),
            campaign: text("k"),
            properties: "{\"a\":[1,null]}".to_owned(),
            page_url: text("/"),
            user_agent: text("agent"),
            bot: true,
            order: Some(order),
            link: Some(link),
            digest: -5,
        };
        let held = Held {
            quarantine_id: Uuid::from_u128(2),
            protocol: Protocol::Posthog,
            payload: "{}".to_owned(),
            event_type: None,
            refusal: refusal.clone(),
        };
        Batch {
            id: Uuid::from_u128(3),
            tenant,
            zone: chrono_tz::Asia::Kathmandu,
            received_at: "2026-03-01T12:00:01.123456789Z".parse().unwrap(),
            events: vec![Placed {
                position: 0,
                what: event,
            }],
            held: vec![Placed {
                position: 1,
                what: held,
            }],
            rejected: vec![Placed {
                position: 2,
                what: refusal.clone(),
            }],
            warnings: vec![Placed {
                position: 0,
                what: refusal,
            }],
        }
    }

    fn packed() -> Vec<u8> {
        let bytes = encode(&batch()).unwrap();
        let mut packet = Packet::new(Uuid::from_u128(4));
        packet.push(&bytes, 1);
        packet.push(&bytes, 1);
        assert_eq!(packet.events(), 2);
        packet.seal()
    }

    #[test]
    fn what_is_packed_is_unpacked_whole() {
        let (id, batches) = decode(&packed()).unwrap();
        assert_eq!(id, Uuid::from_u128(4));
        let bytes: Vec<_> = batches.iter().map(|one| encode(one).unwrap()).collect();
        assert_eq!(
            bytes,
            [encode(&batch()).unwrap(), encode(&batch()).unwrap()]
        );
    }

    #[test]
    fn what_is_no_packet_is_told_apart_and_damage_is_seen() {
        let packed = packed();
        for end in 0..packed.len() {
            assert!(decode(&packed[..end]).is_err(), "cut at {end}");
        }
        for at in 17..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged).unwrap_err(), Unreadable::Damaged);
        }
        let mut newer = packed;
        newer[0] = 2;
        assert_eq!(decode(&newer).unwrap_err(), Unreadable::Version(2));
    }

    /// Entries outlive programs: one that was written by another layout would be misread.
    #[test]
    fn the_layout_of_this_version_is_what_it_was() {
        let hash = Sha256::digest(encode(&batch()).unwrap());
        assert_eq!(
            (VERSION, &hash[..8]),
            (1, &[0x2c, 0x7c, 0x2f, 0x09, 0x85, 0x19, 0xe3, 0x83][..]),
            "`Batch` is laid out anew: give it a new VERSION, once this one was released"
        );
    }
}
