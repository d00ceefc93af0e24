//! What becomes of messages of other protocols, and of events that break a rule.

use serde_json::{Value, json};

use super::*;
use crate::domain::event::{LinkKind, OrderKind, user_id};
use crate::domain::money::Currency;
use crate::ingest::parse::{parse_batch, parse_message, parse_one, parse_posthog};
use crate::ingest::{MAX_EVENT_BYTES, MAX_EVENTS, MAX_FOREIGN_BYTES};

const NOW: &str = "2026-11-20T12:00:00Z";

fn sender() -> Sender {
    Sender {
        tenant: TenantId(1),
        zone: chrono_tz::Tz::UTC,
        currency: Currency::from_code("EUR").unwrap(),
    }
}

fn judged(draft: Result<Draft<'_>, Rejection>) -> Judged {
    judge(draft, &sender(), NOW.parse().unwrap(), Uuid::nil, |_| {
        Verdict::Pass
    })
}

fn segment(message: &Value) -> Judged {
    let body = json!({"batch": [message], "sentAt": "2026-11-20T13:00:05Z"}).to_string();
    judged(parse_batch(body.as_bytes()).unwrap().drafts.remove(0))
}

fn posthog(event: &Value) -> Judged {
    let body = json!({"api_key": "k", "batch": [event], "sent_at": NOW}).to_string();
    judged(parse_posthog(body.as_bytes()).unwrap().drafts.remove(0))
}

#[track_caller]
fn good(judged: Judged) -> Event {
    match judged {
        Judged::Good(event) => event,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn held(judged: Judged) -> Held {
    match judged {
        Judged::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

fn why(held: &Held) -> (&str, &str) {
    (&held.refusal.code, &held.refusal.path)
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn track(event: &str, properties: Value) -> Value {
    json!({
        "type": "track", "event": event, "messageId": "m-1", "userId": "u1",
        "timestamp": "2026-11-20T13:00:00Z", "properties": properties,
    })
}

#[test]
fn an_order_of_segments_is_a_purchase_with_its_lines() {
    let event = good(segment(&track(
        "Order Completed",
        json!({"order_id": 77, "currency": "usd", "total": 1, "products": [
            {"product_id": "mug", "price": 14.95, "quantity": 2},
            {"sku": "T-1", "id": "x", "price": "0.125", "quantity": "8"},
            {"product_id": 5, "price": 3},
        ]}),
    )));
    let order = event.order.unwrap();
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| (line.product_id.as_str(), line.quantity, line.amount))
        .collect();
    assert_eq!(lines, [("mug", 2, 2990), ("T-1", 8, 100), ("5", 1, 300)]);
    assert_eq!(
        (order.kind, order.order_id.as_deref(), order.currency.code()),
        (OrderKind::Purchase, Some("77"), "USD")
    );
    assert_eq!(event.event_type.as_str(), "purchase");
}

#[test]
fn a_refund_without_products_is_its_sum_in_the_shops_currency() {
    let event = good(segment(&track(
        "Order Refunded",
        json!({"order_id": "o", "total": "12.5"}),
    )));
    let order = event.order.unwrap();
    assert_eq!(
        (order.kind, order.currency.code()),
        (OrderKind::Refund, "EUR")
    );
    let line = &order.lines[0];
    assert_eq!(
        (line.product_id.as_str(), line.quantity, line.amount),
        ("", 0, 1250)
    );
}

#[test]
fn an_order_that_cannot_be_read_is_held_with_the_senders_path() {
    let products = |products: Value| json!({"currency": "USD", "products": products});
    let cases = [
        (json!({}), "missing_field", "properties.products"),
        (products(json!([])), "invalid_lines", "properties.products"),
        (products(json!({})), "invalid_type", "properties.products"),
        (
            products(json!([{"product_id": "a"}])),
            "missing_field",
            "properties.products[0].price",
        ),
        (
            products(json!([{"product_id": "a", "price": 1}, {"price": 1}])),
            "missing_field",
            "properties.products[1].product_id",
        ),
        (
            products(json!([{"product_id": "a", "price": 0.333, "quantity": 2}])),
            "too_many_decimals",
            "properties.products[0].price",
        ),
        (
            products(json!([{"product_id": "a", "price": -1}])),
            "invalid_amount",
            "properties.products[0].price",
        ),
        (
            products(json!([{"product_id": "a", "price": 1, "quantity": 1.5}])),
            "invalid_quantity",
            "properties.products[0].quantity",
        ),
        (
            json!({"currency": "XXY", "products": [{"product_id": "a", "price": 1}]}),
            "invalid_currency",
            "properties.currency",
        ),
    ];
    for (properties, code, path) in cases {
        let held = held(segment(&track("Order Completed", properties.clone())));
        assert_eq!(why(&held), (code, path), "{properties}");
        assert_eq!(held.event_type.as_deref(), Some("purchase"));
        assert!(held.refusal.event_id.is_some());
    }
}

#[test]
fn a_clock_that_is_off_is_corrected_and_a_retry_is_the_same_event() {
    // Sent five seconds after it happened, by a clock that is an hour ahead.
    let first = good(segment(&track(
        "Signed Up",
        json!({"email": "a@b.example"}),
    )));
    assert_eq!(
        first.timestamp,
        "2026-11-20T11:59:55Z".parse::<DateTime<Utc>>().unwrap()
    );
    assert_eq!(first.user.email.as_deref(), Some("a@b.example"));

    let mut again = track("Signed Up", json!({"email": "a@b.example"}));
    again["sentAt"] = json!("2026-11-20T13:10:00Z");
    let again = good(segment(&again));
    assert_eq!((again.id, again.digest), (first.id, first.digest));
    assert_ne!(again.timestamp, first.timestamp);

    let mut other = track("Signed Up", json!({"email": "a@b.example"}));
    other["originalTimestamp"] = json!("2026-11-20T12:59:00Z");
    let other = good(segment(&other));
    assert_ne!(other.digest, first.digest);
    assert_eq!(
        other.timestamp,
        "2026-11-20T11:58:55Z".parse::<DateTime<Utc>>().unwrap()
    );
}

#[test]
fn without_a_timestamp_it_happened_when_it_came() {
    let mut message = track("Clicked", json!({}));
    message["timestamp"].take();
    assert_eq!(
        good(segment(&message)).timestamp,
        NOW.parse::<DateTime<Utc>>().unwrap()
    );
    let event = json!({"event": "clicked", "distinct_id": "u", "offset": 5_000});
    let at = "2026-11-20T11:59:55Z".parse::<DateTime<Utc>>().unwrap();
    assert_eq!(good(posthog(&event)).timestamp, at);
}

#[test]
fn clocks_that_cannot_be_are_held() {
    for (field, value, code) in [
        (
            "timestamp",
            "9999-12-31T23:59:59Z",
            "timestamp_out_of_range",
        ),
        (
            "timestamp",
            "0001-01-01T00:00:00Z",
            "timestamp_out_of_range",
        ),
        ("timestamp", "soon", "invalid_timestamp"),
        ("sentAt", "9999-12-31T23:59:59Z", "timestamp_out_of_range"),
        ("sentAt", "soon", "invalid_timestamp"),
    ] {
        let mut message = track("Clicked", json!({}));
        message[field] = json!(value);
        assert_eq!(
            held(segment(&message)).refusal.code,
            code,
            "{field} {value}"
        );
    }
}

#[test]
fn a_message_id_that_is_no_uuid_names_one_event_of_one_tenant() {
    let message = track("Clicked", json!({}));
    let event = good(segment(&message));
    assert_eq!(event.id, good(segment(&message)).id);
    assert_ne!(Some(event.id), SentId::Text("m-1").event_id(TenantId(2)));
    let mut uuid = message.clone();
    uuid["messageId"] = json!("0193f3a0-0000-7000-8000-000000000001");
    assert_eq!(
        good(segment(&uuid)).id.to_string(),
        "0193f3a0-0000-7000-8000-000000000001"
    );
    let mut long = message;
    long["messageId"] = json!("x".repeat(257));
    assert_eq!(why(&held(segment(&long))), ("invalid_text", "messageId"));
}

#[test]
fn the_context_fills_what_has_a_place() {
    let mut message = track("Clicked", json!({"a": 1}));
    message["context"] = json!({
        "ip": "203.0.113.9", "userAgent": "Mozilla/5.0", "sessionId": 17, "locale": "de-DE",
        "campaign": {"name": "spring", "medium": "email", "source": "letter"},
        "location": {"country": "DE"}, "page": {"url": "https://shop.example/p"},
    });
    let event = good(segment(&message));
    assert_eq!(event.properties, r#"{"a":1}"#);
    let told = [
        &event.user_agent,
        &event.session_id,
        &event.region,
        &event.channel,
        &event.campaign,
    ];
    let told: Vec<_> = told
        .into_iter()
        .map(|text| text.as_deref().unwrap())
        .collect();
    assert_eq!(told, ["Mozilla/5.0", "17", "DE", "email", "spring"]);

    message["type"] = json!("page");
    let page = good(segment(&message));
    assert_eq!(page.page_url.as_deref(), Some("https://shop.example/p"));
    message["context"].take();
    assert_eq!(
        why(&held(segment(&message))),
        ("missing_field", "properties.url")
    );
}

#[test]
fn identify_and_alias_join_two_ids() {
    let identify = json!({
        "type": "identify", "userId": 7, "anonymousId": "a", "timestamp": NOW,
        "traits": {"email": "x@y.example", "name": "Xenia"},
    });
    let event = good(segment(&identify));
    let link = event.link.unwrap();
    assert_eq!(
        (link.kind, link.user_id),
        (LinkKind::Identify, user_id(TenantId(1), "a", true))
    );
    assert_eq!(event.user.username.as_deref(), Some("Xenia"));
    assert_eq!(event.user.id, user_id(TenantId(1), "7", false));

    let alias = json!({"type": "alias", "userId": "u", "previousId": "old"});
    let link = good(segment(&alias)).link.unwrap();
    assert_eq!(
        (link.kind, link.external_id.as_str(), link.anonymous),
        (LinkKind::Alias, "old", true)
    );
    let alias = json!({"type": "alias", "userId": "u"});
    assert_eq!(why(&held(segment(&alias))), ("missing_field", "previousId"));

    let native = json!({
        "eventId": Uuid::nil(), "type": "alias", "userId": "u", "timestamp": NOW, "previousUserId": "v",
    });
    let link = good(segment(&native)).link.unwrap();
    assert_eq!(
        (link.user_id, link.anonymous),
        (user_id(TenantId(1), "v", false), false)
    );
}

#[test]
fn what_stands_beside_the_properties_is_kept_in_them() {
    let screen = json!({"type": "screen", "userId": "u", "name": "Basket", "properties": {"a": 1}});
    assert_eq!(
        good(segment(&screen)).properties,
        r#"{"a":1,"name":"Basket"}"#
    );
    let group = json!({"type": "group", "userId": "u", "groupId": "g", "traits": {}});
    assert_eq!(good(segment(&group)).properties, r#"{"groupId":"g"}"#);
    let page = json!({"type": "page", "userId": "u", "name": "x", "properties": {"name": "y", "url": "/"}});
    assert_eq!(good(segment(&page)).properties, r#"{"name":"y","url":"/"}"#);
}

#[test]
fn posthogs_visitors_are_known_unless_it_says_otherwise() {
    let event = |properties: Value| json!({"event": "$pageview", "distinct_id": "d", "properties": properties});
    let known = good(posthog(&event(
        json!({"$current_url": "/a", "$device_id": "x"}),
    )));
    assert!(!known.user.anonymous && known.page_url.as_deref() == Some("/a"));
    for hint in [
        json!({"$current_url": "/", "$is_identified": false}),
        json!({"$current_url": "/", "$device_id": "d"}),
    ] {
        assert!(good(posthog(&event(hint))).user.anonymous);
    }
    let identify = json!({
        "event": "$identify", "distinct_id": "u", "uuid": Uuid::max(),
        "properties": {"$anon_distinct_id": "d", "$set": {"email": "p@q.example"}},
    });
    let event = good(posthog(&identify));
    assert_eq!(event.link.unwrap().user_id, user_id(TenantId(1), "d", true));
    assert_eq!(
        (event.id, event.user.email.as_deref()),
        (Uuid::max(), Some("p@q.example"))
    );
    let merge =
        json!({"event": "$merge_dangerously", "distinct_id": "u", "properties": {"alias": "v"}});
    assert_eq!(
        good(posthog(&merge)).link.unwrap().user_id,
        user_id(TenantId(1), "v", false)
    );
}

#[test]
fn an_address_implies_the_type_and_a_replay_knows_it() {
    let body = json!({"event": "Clicked", "type": "page", "timestamp": "soon", "userId": "u"});
    let body = body.to_string();
    let drafts = parse_message(body.as_bytes(), "track").unwrap().drafts;
    let first = drafts.into_iter().map(judged).map(held).next().unwrap();
    assert_eq!(first.event_type.as_deref(), Some("clicked"));
    let again = held(judged(parse_one(first.protocol, &first.payload)));
    assert_eq!(again.refusal, first.refusal);
    let kept: Value = serde_json::from_str(&first.payload).unwrap();
    assert_eq!(kept["type"], "track");
}

#[test]
fn what_is_held_is_held_once_and_can_be_replayed() {
    let mut message = track("Order Completed", json!({"currency": "USD"}));
    let first = held(segment(&message));
    message["sentAt"] = json!("2026-11-20T13:30:00Z");
    assert_eq!(held(segment(&message)).quarantine_id, first.quarantine_id);
    // A replay of what was corrected is what a good event would have been.
    let whole = json!({"currency": "USD", "products": [{"product_id": "p", "price": 1}]});
    let mut kept: Value = serde_json::from_str(&first.payload).unwrap();
    kept["properties"] = whole.clone();
    let kept = kept.to_string();
    let replayed = good(judged(parse_one(first.protocol, &kept)));
    let straight = good(segment(&track("Order Completed", whole)));
    assert_eq!(replayed, straight);
}

#[test]
fn a_judgement_repeats_no_more_than_it_can_store() {
    let body = format!(r#"[{{"type": "a", "x\u0000{}": 1}}]"#, "é".repeat(1_000));
    let held = held(judged(
        parse_batch(body.as_bytes()).unwrap().drafts.remove(0),
    ));
    assert_eq!(held.refusal.code, "unknown_field");
    assert!(held.refusal.path.len() <= MAX_REPEATED + 4 && !held.refusal.path.contains('\0'));
}

#[test]
fn what_is_no_object_or_too_large_is_not_kept() {
    for (event, code) in [
        (json!(1), "invalid_type"),
        (json!([]), "invalid_type"),
        (
            json!({"type": "x".repeat(MAX_EVENT_BYTES)}),
            "event_too_large",
        ),
    ] {
        match segment(&event) {
            Judged::Rejected(refusal) => assert_eq!(refusal.code, code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_limits_of_a_foreign_batch_are_answered_per_event() {
    let message = track("Clicked", json!({"a": "x".repeat(10_000)}));
    let body = json!({"batch": vec![message; 60]}).to_string();
    let parsed = parse_batch(body.as_bytes()).unwrap().drafts;
    let taken = parsed.iter().filter(|draft| draft.is_ok()).count();
    assert_eq!(taken, MAX_FOREIGN_BYTES / (body.len() / 60));
    let codes: Vec<_> = parsed[taken..]
        .iter()
        .map(|draft| draft.as_ref().unwrap_err().code)
        .collect();
    assert!(codes.iter().all(|code| *code == Code::BatchTooLarge));

    let small = json!({"type": "track", "event": "e", "userId": "u"});
    let many = json!({"batch": vec![small; MAX_EVENTS + 1]}).to_string();
    let parsed = parse_batch(many.as_bytes()).unwrap().drafts;
    assert!(parsed[MAX_EVENTS - 1].is_ok() && parsed[MAX_EVENTS].is_err());
    let ours = json!(vec![json!({"type": "e", "userId": "u"}); MAX_EVENTS + 1]).to_string();
    assert_eq!(
        parse_batch(ours.as_bytes()).unwrap_err().code,
        Code::BatchTooLarge
    );
    let flood = format!("[{}1]", "1,".repeat(1_000_000));
    assert_eq!(
        parse_batch(flood.as_bytes()).unwrap_err().code,
        Code::BatchTooLarge
    );
}

#[test]
fn a_body_that_is_not_utf8_tells_where() {
    let problem = parse_batch(b"[\"\xff\"]").unwrap_err();
    assert_eq!(problem.code, Code::MalformedJson);
    assert!(
        problem.message().contains("offset 2"),
        "{}",
        problem.message()
    );
}

#[test]
fn texts_of_every_protocol_stay_borrowed() {
    use std::borrow::Cow;
    let body = json!({"batch": [track("product_viewed", json!({"a": [1]}))]}).to_string();
    let draft = parse_batch(body.as_bytes())
        .unwrap()
        .drafts
        .remove(0)
        .unwrap();
    let event = json!({"event": "clicked", "distinct_id": "u", "uuid": "m", "properties": {"$current_url": "/"}});
    let event = event.to_string();
    let other = parse_posthog(event.as_bytes())
        .unwrap()
        .drafts
        .remove(0)
        .unwrap();
    for draft in [draft, other] {
        for text in [
            draft.message_id,
            draft.event_type,
            draft.user_id,
            draft.properties,
        ] {
            assert!(matches!(text, Some(Cow::Borrowed(_))), "{text:?}");
        }
    }
}
