//! Builders of events.

use std::fmt::Display;

use serde_json::{Value, json};
use uuid::Uuid;

/// A purchase in the making.
pub struct Order {
    event: Value,
}

impl Order {
    /// An order of one piece of a product for 10 USD, by user `u1`, at 2026-03-01 12:00 UTC.
    pub fn of(product: &str) -> Self {
        Self {
            event: json!({
                "eventId": Uuid::new_v4(), "type": "purchase", "timestamp": "2026-03-01T12:00:00Z",
                "userId": "u1", "currency": "USD",
                "lines": [{"productId": product, "quantity": 1, "amount": "10.00"}],
            }),
        }
    }

    /// Bought by this user.
    pub fn by(self, user: &str) -> Self {
        self.with("userId", user)
    }

    /// Bought at this time.
    pub fn at(self, time: impl Display) -> Self {
        self.with("timestamp", format!("{time}"))
    }

    /// Its first line's total.
    pub fn for_amount(mut self, amount: &str) -> Self {
        self.event["lines"][0]["amount"] = amount.into();
        self
    }

    /// Its first line's quantity.
    pub fn times(mut self, quantity: i64) -> Self {
        self.event["lines"][0]["quantity"] = quantity.into();
        self
    }

    /// One more line.
    pub fn and(mut self, product: &str, quantity: i64, amount: &str) -> Self {
        let line = json!({"productId": product, "quantity": quantity, "amount": amount});
        self.event["lines"].as_array_mut().unwrap().push(line);
        self
    }

    /// Any field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.event[field] = value.into();
        self
    }

    /// The event.
    pub fn event(self) -> Value {
        self.event
    }
}

/// A pageview by an anonymous visitor.
pub fn pageview(visitor: &str, url: &str, time: impl Display) -> Value {
    json!({
        "eventId": Uuid::new_v4(), "type": "pageview", "timestamp": format!("{time}"),
        "anonymousId": visitor, "url": url,
    })
}
