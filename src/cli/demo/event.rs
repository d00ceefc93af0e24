//! The demo's events, as `POST /v1/batch` takes them.

use super::catalogue::{CURRENCY, decimal};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

/// What happened in the shop, as `POST /v1/batch` takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// Unique; an event sent again under its id counts once.
    #[serde(rename = "eventId")]
    pub(crate) id: Uuid,
    /// When it happened; the wire carries milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub(crate) timestamp: DateTime<Utc>,
    /// Who did it.
    #[serde(flatten)]
    pub(crate) visitor: Visitor,
    /// The visit it belongs to.
    pub(crate) session_id: Uuid,
    /// ISO country code.
    pub(crate) region: &'static str,
    /// How the visit came about.
    pub(crate) channel: &'static str,
    /// The campaign behind an email or an ad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<&'static str>,
    /// What the shop notes besides.
    pub(crate) properties: Value,
    /// What was done.
    #[serde(flatten)]
    pub(crate) action: Action,
}

impl Event {
    /// What a purchase brought in, in minor units; `None` for any other event.
    pub(crate) fn revenue(&self) -> Option<i64> {
        match &self.action {
            Action::Purchase { lines, .. } => Some(lines.iter().map(|line| line.amount).sum()),
            _ => None,
        }
    }
}

/// Who: an account, or a browser that has not said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Visitor {
    /// A signed-in user.
    #[serde(rename = "userId")]
    User(String),
    /// A browser.
    #[serde(rename = "anonymousId")]
    Anonymous(String),
}

/// The type of an event, with the fields that only this type has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Action {
    /// A page was shown.
    Pageview {
        /// Its address.
        url: String,
    },
    /// A product was looked at.
    ProductView,
    /// Something else was clicked.
    Click,
    /// A product went into the basket.
    AddToCart,
    /// The checkout was opened.
    Checkout,
    /// The basket was paid for.
    Purchase {
        /// The currency of every line.
        currency: &'static str,
        /// What was bought.
        lines: Vec<Line>,
    },
    /// A visitor made an account.
    SignUp,
}

impl Action {
    /// A purchase in the shop's currency.
    pub(crate) fn purchase(lines: Vec<Line>) -> Self {
        Self::Purchase {
            currency: CURRENCY,
            lines,
        }
    }
}

/// One line of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// The product bought.
    pub(crate) product_id: String,
    /// How many of it.
    pub(crate) quantity: u32,
    /// The line's total in minor units; the wire carries a decimal string.
    #[serde(serialize_with = "decimal_string")]
    pub(crate) amount: i64,
}

fn milliseconds<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn decimal_string<S: Serializer>(minor: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&decimal(*minor))
}
