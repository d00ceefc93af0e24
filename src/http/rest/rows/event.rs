//! Events.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Row, time};
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::http::rest::table::Table;
use crate::reports::records::Records;
use crate::storage::entity::event;
use crate::storage::entity::raw_json::RawJson;

/// Something that happened in the shop.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Event {
    /// The id that its sender gave it.
    event_id: Uuid,
    /// What happened: `pageview`, `purchase`, `add_to_cart`, or the shop's own word.
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened: RFC 3339, UTC, to the microsecond.
    timestamp: DateTime<Utc>,
    /// When the server took it: RFC 3339, UTC, to the microsecond.
    received_at: DateTime<Utc>,
    /// The id that it was done under: the server's id of a user.
    user_id: Uuid,
    /// The visit it belongs to.
    session_id: Option<String>,
    /// Where the user was, in the shop's own words.
    region: Option<String>,
    /// What brought the user.
    channel: Option<String>,
    /// Which campaign brought the user.
    campaign: Option<String>,
    /// The URL of the page that was seen in it.
    page_url: Option<String>,
    /// What the user's program calls itself.
    user_agent: Option<String>,
    /// Whether that program is a bot: reports leave its events out unless asked for them.
    bot: bool,
    /// The properties as they were sent: an object.
    #[schema(value_type = Object)]
    data: RawJson,
}

impl Row for Event {
    type Of = event::Entity;
    const COLUMNS: &'static [&'static str] = &[
        "eventId",
        "type",
        "timestamp",
        "receivedAt",
        "userId",
        "sessionId",
        "region",
        "channel",
        "campaign",
        "pageUrl",
        "userAgent",
        "bot",
        "data",
    ];

    async fn of_page(
        records: &Records<'_>,
        view: &View,
        page: Vec<event::Model>,
    ) -> Result<Vec<Self>, Problem> {
        let mut ids: Vec<i64> = page.iter().filter_map(|row| row.user_agent_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let agents = match ids.as_slice() {
            [] => Vec::new(),
            ids => records.user_agents_with(view, ids).await?,
        };
        let agents = agents.into_iter();
        let agents: HashMap<i64, String> = agents
            .map(|agent| (agent.user_agent_id, agent.user_agent))
            .collect();
        let event = |row: event::Model| Self {
            event_id: row.event_id,
            event_type: row.event_type,
            timestamp: row.timestamp,
            received_at: row.received_at,
            user_id: row.user_id,
            session_id: row.session_id,
            region: row.region,
            channel: row.channel,
            campaign: row.campaign,
            page_url: row.page_url,
            user_agent: row.user_agent_id.and_then(|id| agents.get(&id).cloned()),
            bot: row.bot,
            data: row.data,
        };
        Ok(page.into_iter().map(event).collect())
    }

    fn write(&self, table: &mut Table) {
        table.value(self.event_id);
        table.text(self.event_type.as_str());
        table.plain(time(self.timestamp));
        table.plain(time(self.received_at));
        table.value(self.user_id);
        table.text(self.session_id.as_deref());
        table.text(self.region.as_deref());
        table.text(self.channel.as_deref());
        table.text(self.campaign.as_deref());
        table.text(self.page_url.as_deref());
        table.text(self.user_agent.as_deref());
        table.value(self.bot);
        table.text(self.data.text());
    }
}
