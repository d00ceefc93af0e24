//! Every rule of an event in our own words.

use serde_json::{Value, json};

use super::*;
use crate::domain::event::Line;
use crate::domain::money::Currency;
use crate::ingest::parse::parse_batch;

const NOW: &str = "2026-11-20T12:00:00Z";

fn sender() -> Sender {
    Sender {
        tenant: TenantId(1),
        zone: chrono_tz::Tz::UTC,
        currency: Currency::from_code("EUR").unwrap(),
    }
}

fn judge(event: &Value) -> Result<Event, Rejection> {
    let body = json!([event]).to_string();
    let draft = parse_batch(body.as_bytes()).unwrap().drafts.remove(0)?;
    validate(&draft, &sender(), NOW.parse().unwrap(), Uuid::nil)
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
    let click =
        json!({"type": "click", "timestamp": NOW, "userId": "u", "url": "https://shop.example/"});
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
