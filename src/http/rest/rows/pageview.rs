//! Pageviews.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Row, time};
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::http::rest::table::Table;
use crate::reports::records::Records;
use crate::storage::entity::pageview;

/// A page that was seen.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Pageview {
    /// The id of the event, which it is by another name.
    pageview_id: Uuid,
    /// When it was seen: RFC 3339, UTC, to the microsecond.
    timestamp: DateTime<Utc>,
    /// The page's URL.
    page_url: String,
    /// Where the user was, in the shop's own words.
    region: Option<String>,
    /// The id of the event it is part of.
    event_id: Uuid,
    /// The id that it was seen under: the server's id of a user.
    user_id: Uuid,
    /// Whether a bot saw it: reports leave it out unless asked for it.
    bot: bool,
}

impl From<pageview::Model> for Pageview {
    fn from(row: pageview::Model) -> Self {
        Self {
            pageview_id: row.pageview_id,
            timestamp: row.timestamp,
            page_url: row.page_url,
            region: row.region,
            event_id: row.event_id,
            user_id: row.user_id,
            bot: row.bot,
        }
    }
}

impl Row for Pageview {
    type Of = pageview::Entity;
    const COLUMNS: &'static [&'static str] = &[
        "pageviewId",
        "timestamp",
        "pageUrl",
        "region",
        "eventId",
        "userId",
        "bot",
    ];

    async fn of_page(
        _: &Records<'_>,
        _: &View,
        page: Vec<pageview::Model>,
    ) -> Result<Vec<Self>, Problem> {
        Ok(page.into_iter().map(Self::from).collect())
    }

    fn write(&self, table: &mut Table) {
        table.value(self.pageview_id);
        table.plain(time(self.timestamp));
        table.text(self.page_url.as_str());
        table.text(self.region.as_deref());
        table.value(self.event_id);
        table.value(self.user_id);
        table.value(self.bot);
    }
}
