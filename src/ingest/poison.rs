//! An event that the database cannot store goes to quarantine: written anew in our own words, for
//! what its sender wrote is gone by then.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::batch::{Batch, Held, Placed, Protocol, Refusal};
use crate::domain::event::{Event, Line, LinkKind};
use crate::error::Code;

/// The event as one that is held.
pub(super) fn held(batch: &Batch, event: Placed<Event>) -> Placed<Held> {
    let Placed { position, what } = event;
    let code = Code::StorageRejected;
    let held = Held {
        quarantine_id: Uuid::new_v5(&what.id, &batch.tenant.0.to_be_bytes()),
        protocol: Protocol::Native,
        payload: native(&what).to_string(),
        event_type: Some(what.event_type.as_str().to_owned()),
        refusal: Refusal {
            event_id: Some(what.id),
            code: code.name().to_owned(),
            path: String::new(),
            message: code.sentence().to_owned(),
        },
    };
    Placed {
        position,
        what: held,
    }
}

/// The event in our own words.
fn native(event: &Event) -> Value {
    let mut object = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    set("eventId", Some(json!(event.id)));
    set("type", Some(event.event_type.as_str().into()));
    set("timestamp", Some(json!(event.timestamp)));
    let user = if event.user.anonymous {
        "anonymousId"
    } else {
        "userId"
    };
    set(user, Some(event.user.external_id.as_str().into()));
    if let Some(link) = &event.link {
        let other = match link.kind {
            LinkKind::Identify => "anonymousId",
            LinkKind::Alias if link.anonymous => "previousId",
            LinkKind::Alias => "previousUserId",
        };
        set(other, Some(link.external_id.as_str().into()));
    }
    set("sessionId", text(&event.session_id));
    set("region", text(&event.region));
    set("channel", text(&event.channel));
    set("campaign", text(&event.campaign));
    set("url", text(&event.page_url));
    set("userAgent", text(&event.user_agent));
    // It was read as JSON before; should it not be JSON now, the text says more than nothing.
    let properties = serde_json::from_str(&event.properties);
    set(
        "properties",
        Some(properties.unwrap_or_else(|_| event.properties.clone().into())),
    );
    if let Some(order) = &event.order {
        let line = |line: &Line| {
            let amount = order.currency.format_amount(line.amount);
            json!({"productId": line.product_id, "quantity": line.quantity, "amount": amount})
        };
        set("currency", Some(order.currency.code().into()));
        set("orderId", text(&order.order_id));
        set("lines", Some(order.lines.iter().map(line).collect()));
    }
    Value::Object(object)
}
