//! The REST face: reports as JSON, lists as pages and as streams, and what describes them.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::records::put_catalogue;
use crate::support::{Order, TestApp, pageview};

mod breaks;
mod described;
pub mod exports;
mod metrics;
mod pages;
mod refusals;
mod reports;
mod top;

/// Every list that can be exported.
pub const LISTS: [&str; 6] = [
    "events",
    "pageviews",
    "users",
    "purchases",
    "refunds",
    "products",
];

/// March 2026.
pub const MARCH: &str = "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z";

/// Ten lists' worth of everything: orders, refunds, pageviews, users of several ids, a catalogue.
pub async fn fill(app: &TestApp) {
    put_catalogue(app).await;
    let at = |n: u32| format!("2026-03-{:02}T{:02}:30:00.25Z", 1 + n / 5, n % 24);
    let orders = (0..40).map(|n| {
        let product = ["mug", "pot", "unlisted"][n as usize % 3];
        Order::of(product)
            .at(at(n))
            .by(&format!("u{}", n % 7))
            .with("region", ["DE", "FR"][n as usize % 2])
            .with("channel", "ads")
            .and("spade", 1, "0.05")
            .event()
    });
    let refunds = (0..5).map(|n| {
        json!({
            "type": "refund", "timestamp": at(n), "userId": "u1", "currency": "USD",
            "lines": [{"productId": "mug", "quantity": 1, "amount": "3.10"}],
        })
    });
    let other = [
        Order::of("tea")
            .at(at(1))
            .with("currency", "JPY")
            .for_amount("890")
            .event(),
        json!({"type": "refund", "timestamp": at(9), "userId": "u2", "currency": "USD",
               "lines": [{"amount": "1.00"}]}),
        json!({"type": "identify", "timestamp": at(3), "userId": "u1", "anonymousId": "v1",
               "properties": {"username": "Ada \"A\"", "email": "ada@example.com"}}),
        json!({"type": "click", "timestamp": at(4), "userId": "u3",
               "userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}),
    ];
    let views =
        (0..20).map(|n| pageview(&format!("v{}", n % 4), "https://shop.example/a,b", at(n)));
    let events = orders.chain(refunds).chain(other).chain(views);
    app.accept(&events.collect::<Vec<_>>()).await;
}

/// The answer of an address to the admin key.
async fn get(app: &TestApp, path: &str) -> Response {
    app.request(Method::GET, path).send().await.unwrap()
}

/// The JSON of an address that must answer 200.
async fn json_of(app: &TestApp, path: &str) -> Value {
    let (status, answer) = app.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// GraphQL's data as the REST face writes it: instants of UTC end with Z, and what was not asked
/// for is left out.
fn as_rest(data: &Value) -> Value {
    match data {
        Value::String(text) => match text.strip_suffix("+00:00") {
            Some(start) if start.contains('T') => json!(format!("{start}Z")),
            _ => data.clone(),
        },
        Value::Array(items) => items.iter().map(as_rest).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), as_rest(value)))
                .collect()
        }
        other => other.clone(),
    }
}
