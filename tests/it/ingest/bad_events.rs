//! Events that cannot be, and the codes and paths that say why.

use serde_json::{Value, json};
use tidewater::clock::Clock;
use uuid::Uuid;

use super::click;
use crate::support::Order;

/// The id of every bad event whose id can be read.
pub(super) const ID: Uuid = Uuid::from_u128(0xbad);

/// A good event, the field of it that is replaced, by what, and the code; the field is the path.
const TABLE: &str = r#"
click  eventId    "no uuid"                       invalid_event_id
click  eventId    7                               invalid_type
click  type       7                               invalid_type
click  type       ""                              invalid_event_type
click  type       "Order Completed"               invalid_event_type
click  type       null                            missing_field
click  colour     "red"                           unknown_field
click  userid     "u1"                            unknown_field
click  timestamp  null                            missing_field
click  timestamp  1772366400                      invalid_type
click  timestamp  "2026-03-01"                    invalid_timestamp
click  timestamp  "2026-03-01T12:00:00"           invalid_timestamp
click  timestamp  "2026-02-30T12:00:00Z"          invalid_timestamp
click  timestamp  "+12026-03-01T12:00:00Z"        invalid_timestamp
click  timestamp  "0000-01-01T00:00:00Z"          timestamp_out_of_range
click  timestamp  "1969-12-31T23:59:59.999999Z"   timestamp_out_of_range
click  timestamp  "1970-01-01T00:30:00+01:00"     timestamp_out_of_range
click  timestamp  "9999-12-31T23:59:59Z"          timestamp_out_of_range
click  userId     null                            missing_field
click  userId     ""                              invalid_text
click  userId     "a\u0000b"                      invalid_text
click  userId     7                               invalid_type
click  sessionId  "\u0000"                        invalid_text
click  channel    ["ads"]                         invalid_type
click  campaign   ""                              invalid_text
click  url        "/"                             unexpected_field
click  currency   "USD"                           unexpected_field
click  lines      []                              unexpected_field
click  properties "text"                          invalid_properties
click  properties [1]                             invalid_properties
click  properties {"a": "\u0000"}                 invalid_properties
click  properties {"\u0000": 1}                   invalid_properties
page   url        null                            missing_field
page   url        ""                              invalid_url
page   url        "a b"                           invalid_url
page   url        "a\u0000b"                      invalid_url
order  url        "/"                             unexpected_field
order  currency   null                            missing_field
order  currency   "usd"                           invalid_currency
order  currency   "XYZ"                           invalid_currency
order  lines      null                            missing_field
order  lines      {}                              invalid_type
order  lines      []                              invalid_lines
order  lines[0]   1                               invalid_type
order  lines[0].productId  null                   missing_field
order  lines[0].productId  ""                     invalid_text
order  lines[0].quantity   null                   missing_field
order  lines[0].amount     null                   missing_field
order  lines[0].price      1                      unknown_field
order  lines[0].quantity   0                      invalid_quantity
order  lines[1].quantity   -1                     invalid_quantity
order  lines[0].quantity   1.5                    invalid_quantity
order  lines[0].quantity   1000001                invalid_quantity
order  lines[0].quantity   18446744073709551615   invalid_quantity
order  lines[0].quantity   "1"                    invalid_type
order  lines[0].amount     "-1"                   invalid_amount
order  lines[0].amount     -1                     invalid_amount
order  lines[0].amount     "1e3"                  invalid_amount
order  lines[0].amount     1e300                  invalid_amount
order  lines[0].amount     "1000000000000.01"     invalid_amount
order  lines[0].amount     ""                     invalid_amount
order  lines[0].amount     true                   invalid_type
order  lines[0].amount     "1.005"                too_many_decimals
order  lines[0].amount     1.005                  too_many_decimals
order  orderId    ""                              invalid_text
click  orderId    "o-1"                           unexpected_field
click  userAgent  ""                              invalid_text
click  previousId "a"                             unexpected_field
click  messageId  "m-1"                           unexpected_field
"#;

/// Those of which nothing is kept.
pub(super) fn is_kept(event: &Value) -> bool {
    event.is_object() && event.to_string().len() <= 32 * 1024
}

/// An event that is not to be, the code, and the path.
type Bad = (Value, &'static str, Option<&'static str>);

/// All of them.
pub(super) fn bad_events() -> Vec<Bad> {
    let lines = TABLE.trim().lines();
    lines.map(line).chain(long_ones()).collect()
}

fn line(line: &'static str) -> Bad {
    let (kind, rest) = line.split_once(' ').unwrap();
    let (path, rest) = rest.trim_start().split_once(' ').unwrap();
    let (value, code) = rest.rsplit_once(' ').unwrap();
    let mut event = good(kind);
    let mut slot = &mut event;
    for name in path.split(['[', ']', '.']).filter(|name| !name.is_empty()) {
        slot = match name.parse::<usize>() {
            Ok(n) => &mut slot[n],
            Err(_) => &mut slot[name],
        };
    }
    *slot = serde_json::from_str(value).unwrap();
    (event, code, Some(path))
}

fn good(kind: &str) -> Value {
    let mut click = click(ID, "2026-03-01T12:00:00Z");
    match kind {
        "click" => click,
        "page" => {
            click["type"] = "pageview".into();
            click["url"] = "/".into();
            click
        }
        _ => order().event(),
    }
}

fn order() -> Order {
    Order::of("mug")
        .and("tea", 1, "2")
        .with("eventId", ID.to_string())
}

/// Those that are too long for a table.
fn long_ones() -> Vec<Bad> {
    let with = |kind: &str, field: &str, value: Value| {
        let mut event = good(kind);
        event[field] = value;
        event
    };
    let far_ahead = Clock::System.now() + chrono::Duration::hours(25);
    let far_ahead = with("click", "timestamp", json!(far_ahead.to_rfc3339()));
    let mut deep = json!(1);
    for _ in 0..17 {
        deep = json!({ "a": deep });
    }
    let wide = json!({"a": "x".repeat(33_000)});
    let lines = vec![json!({"quantity": 1, "amount": 1}); 501];
    let yen = order().with("currency", "JPY").for_amount("1.5").event();
    let x = |n: usize| json!("x".repeat(n));
    vec![
        (json!(1), "invalid_type", None),
        (json!(null), "invalid_type", None),
        (json!([]), "invalid_type", None),
        (json!({}), "missing_field", Some("type")),
        (far_ahead, "timestamp_out_of_range", Some("timestamp")),
        (
            with("click", "type", x(65)),
            "invalid_event_type",
            Some("type"),
        ),
        (
            with("click", "userId", x(257)),
            "invalid_text",
            Some("userId"),
        ),
        (
            with("click", "region", x(129)),
            "invalid_text",
            Some("region"),
        ),
        (with("page", "url", x(2_049)), "invalid_url", Some("url")),
        (
            with("click", "properties", deep),
            "invalid_properties",
            Some("properties"),
        ),
        (with("click", "properties", wide), "event_too_large", None),
        (
            with("order", "lines", json!(lines)),
            "invalid_lines",
            Some("lines"),
        ),
        (yen, "too_many_decimals", Some("lines[0].amount")),
    ]
}
