//! Whatever is sent: nothing panics, each event gets one judgement, and what is held reads again.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::money::Currency;
use crate::ingest::parse::{
    Lines, parse_batch, parse_line, parse_message, parse_one, parse_posthog,
};

fn judged(draft: Result<Draft<'_>, Rejection>) -> Judged {
    let sender = Sender {
        tenant: TenantId(1),
        zone: chrono_tz::Tz::UTC,
        currency: Currency::from_code("EUR").unwrap(),
    };
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    judge(draft, &sender, now, Uuid::nil, |_| Verdict::Pass)
}

/// What must hold of every judgement.
fn check(draft: Result<Draft<'_>, Rejection>) {
    match judged(draft) {
        Judged::Good(event) => {
            assert!(event.properties.starts_with('{'));
            let text = postcard::to_stdvec(&event).unwrap();
            assert_eq!(postcard::from_bytes::<Event>(&text).unwrap(), event);
        }
        Judged::Held(held) => {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(&held.payload).is_ok());
            match judged(parse_one(held.protocol, &held.payload)) {
                Judged::Held(again) => {
                    assert_eq!(again.refusal, held.refusal, "{}", held.payload);
                    assert_eq!(again.event_type, held.event_type);
                    assert_eq!(again.payload, held.payload);
                }
                // What was said around it made it too large.
                Judged::Rejected(refusal) => assert_eq!(refusal.code, "event_too_large"),
                other => panic!("{other:?}"),
            }
        }
        other @ Judged::Warned(..) => panic!("{other:?}"),
        Judged::Rejected(refusal) => assert!(Code::from_name(&refusal.code).is_some()),
        other @ Judged::Warned(..) => panic!("{other:?}"),
    }
}

fn check_all(body: &[u8]) {
    let ways = [
        parse_batch(body),
        parse_posthog(body),
        parse_message(body, "track"),
        parse_message(body, "identify"),
    ];
    for parsed in ways.into_iter().flatten() {
        parsed.drafts.into_iter().for_each(check);
    }
    let mut lines = Lines::default();
    let mut rest = body;
    while !rest.is_empty() {
        rest = &rest[lines.push(rest)..];
        if rest.is_empty() {
            lines.finish();
        }
        let (found, block) = lines.take();
        for (_, line) in found {
            check(parse_line(&line, &block));
        }
    }
}

/// Any JSON of the words that mean something here.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "2026-11-20T11:00:00Z",
            "USD",
            "jpy",
            "9999-12-31T23:59:60Z",
            "1e400",
            "14.95",
            "-1",
            "",
            "track",
            "identify",
            "alias",
            "page",
            "Order Completed",
            "Order Refunded",
            "$identify",
            "purchase",
            "refund",
            "pageview",
            "0193f3a0-0000-7000-8000-000000000001",
            "\0",
            "ü",
        ])
        .prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        9 => prop::sample::select(vec![
            "type", "event", "eventId", "messageId", "uuid", "timestamp", "originalTimestamp", "sentAt",
            "sent_at", "offset", "userId", "anonymousId", "previousId", "previousUserId", "distinct_id",
            "properties", "traits", "context", "campaign", "name", "medium", "page", "url", "userAgent",
            "products", "product_id", "price", "quantity", "currency", "lines", "productId", "amount",
            "order_id", "total", "alias", "$anon_distinct_id", "$set", "email", "batch", "groupId",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    prop::collection::btree_map(name, inner, 0..10)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

/// Good bodies of every protocol.
fn valid() -> Vec<Vec<u8>> {
    let line = json!({"productId": "mug", "quantity": 2, "amount": "29.90"});
    let product = json!({"product_id": "mug", "quantity": 2, "price": 14.95});
    let now = "2026-11-20T11:00:00.5Z";
    [
        json!([{"type": "purchase", "timestamp": now, "userId": "u", "currency": "USD", "lines": [line]}]),
        json!({"batch": [
            {"type": "track", "event": "Order Completed", "messageId": "m", "userId": "u", "timestamp": now,
             "properties": {"order_id": "o", "products": [product]}},
            {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"email": "a\u{e9}"}},
        ], "sentAt": now, "context": {"campaign": {"name": "c"}}}),
        json!({"api_key": "k", "sent_at": now, "batch": [
            {"event": "$identify", "distinct_id": "u", "timestamp": now,
             "properties": {"$anon_distinct_id": "a", "$set": {"name": "n"}}}]}),
        json!({"event": "Signed Up", "userId": "u", "sentAt": now, "timestamp": now}),
    ]
    .iter()
    .map(|body| body.to_string().into_bytes())
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_judged(body in prop::collection::vec(any::<u8>(), 0..400)) {
        check_all(&body);
    }

    #[test]
    fn any_json_is_judged(events in prop::collection::vec(object(value()), 0..4), around in object(value())) {
        check_all(json!(events).to_string().as_bytes());
        let mut body = around;
        body["batch"] = json!(events);
        check_all(body.to_string().as_bytes());
        for event in events {
            check_all(event.to_string().as_bytes());
        }
    }

    #[test]
    fn spoilt_bodies_are_judged(
        which in 0_usize..4,
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut body = valid().swap_remove(which);
        for (at, byte, how) in spoils {
            let at = at.index(body.len());
            match how {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                2 => body.truncate(at.max(1)),
                _ => {
                    let copy = body[at..].to_vec();
                    body.extend(copy);
                }
            }
        }
        check_all(&body);
    }
}

#[test]
fn the_valid_bodies_are() {
    let [ours, segments, posthogs, single] = valid().try_into().unwrap();
    let mut drafts = parse_batch(&ours).unwrap().drafts;
    drafts.extend(parse_batch(&segments).unwrap().drafts);
    drafts.extend(parse_posthog(&posthogs).unwrap().drafts);
    drafts.extend(parse_message(&single, "track").unwrap().drafts);
    for draft in drafts {
        assert!(matches!(judged(draft), Judged::Good(_)));
    }
}
