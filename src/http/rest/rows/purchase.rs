//! Purchases.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Row, amount, some, time};
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::http::rest::table::Table;
use crate::reports::records::Records;
use crate::storage::entity::purchase;

/// A line of an order: one product that was bought. The order is the event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Purchase {
    /// Follows from the event and the line's place in it.
    purchase_id: Uuid,
    /// When it was bought: RFC 3339, UTC, to the microsecond.
    timestamp: DateTime<Utc>,
    /// The shop's id of what was bought.
    product_id: String,
    /// How many pieces.
    quantity: i32,
    /// The line's total: a decimal of the currency as a text.
    #[schema(example = "29.90")]
    amount: Option<String>,
    /// Of the amount: ISO 4217.
    currency: String,
    /// The product's category when the purchase was stored, as in `Kitchen > Coffee`.
    category: Option<String>,
    /// Where the user was, in the shop's own words.
    region: Option<String>,
    /// What brought the user.
    channel: Option<String>,
    /// The shop's own id of the order.
    order_id: Option<String>,
    /// The id of the event, which is the order, that it is a line of.
    event_id: Uuid,
    /// The id that was bought under: the server's id of a user.
    user_id: Uuid,
    /// Whether a bot did it: reports leave it out unless asked for it.
    bot: bool,
}

impl From<purchase::Model> for Purchase {
    fn from(row: purchase::Model) -> Self {
        Self {
            purchase_id: row.purchase_id,
            timestamp: row.timestamp,
            product_id: row.product_id,
            quantity: row.quantity,
            amount: amount(row.amount, &row.currency),
            currency: row.currency,
            category: some(row.category),
            region: row.region,
            channel: row.channel,
            order_id: row.order_id,
            event_id: row.event_id,
            user_id: row.user_id,
            bot: row.bot,
        }
    }
}

impl Row for Purchase {
    type Of = purchase::Entity;
    const COLUMNS: &'static [&'static str] = &[
        "purchaseId",
        "timestamp",
        "productId",
        "quantity",
        "amount",
        "currency",
        "category",
        "region",
        "channel",
        "orderId",
        "eventId",
        "userId",
        "bot",
    ];

    async fn of_page(
        _: &Records<'_>,
        _: &View,
        page: Vec<purchase::Model>,
    ) -> Result<Vec<Self>, Problem> {
        Ok(page.into_iter().map(Self::from).collect())
    }

    fn write(&self, table: &mut Table) {
        table.value(self.purchase_id);
        table.plain(time(self.timestamp));
        table.text(self.product_id.as_str());
        table.value(self.quantity);
        table.plain(self.amount.clone());
        table.text(self.currency.as_str());
        table.text(self.category.as_deref());
        table.text(self.region.as_deref());
        table.text(self.channel.as_deref());
        table.text(self.order_id.as_deref());
        table.value(self.event_id);
        table.value(self.user_id);
        table.value(self.bot);
    }
}
