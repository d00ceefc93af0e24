//! Users.

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
use crate::storage::entity::user;

/// Someone who did something: a known user or an anonymous visitor.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct User {
    /// Follows from the tenant and the sender's id. Of several ids of one user, that of a known
    /// user before an anonymous one, then the smallest.
    user_id: Uuid,
    /// The `userId` or `anonymousId` that events are sent with.
    external_id: String,
    /// Whether the sender does not know who it is.
    anonymous: bool,
    /// As told by `sign_up` or `identify`.
    username: Option<String>,
    /// As told by `sign_up` or `identify`.
    email: Option<String>,
    /// When the server first heard of them: RFC 3339, UTC, to the microsecond.
    created_at: DateTime<Utc>,
    /// The other ids that turned out to be theirs, at most 1,000; in a table with spaces between
    /// them.
    merged_ids: Vec<Uuid>,
}

impl Row for User {
    type Of = user::Entity;
    const COLUMNS: &'static [&'static str] = &[
        "userId",
        "externalId",
        "anonymous",
        "username",
        "email",
        "createdAt",
        "mergedIds",
    ];

    async fn of_page(
        records: &Records<'_>,
        view: &View,
        page: Vec<user::Model>,
    ) -> Result<Vec<Self>, Problem> {
        let ids: Vec<Uuid> = page.iter().map(|row| row.user_id).collect();
        let mut merged: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for row in records.merged_into(view, &ids).await? {
            merged
                .entry(row.canonical_id)
                .or_default()
                .push(row.user_id);
        }
        let user = |row: user::Model| Self {
            merged_ids: merged.remove(&row.user_id).unwrap_or_default(),
            user_id: row.user_id,
            external_id: row.external_id,
            anonymous: row.anonymous,
            username: row.username,
            email: row.email,
            created_at: row.created_at,
        };
        Ok(page.into_iter().map(user).collect())
    }

    fn write(&self, table: &mut Table) {
        table.value(self.user_id);
        table.text(self.external_id.as_str());
        table.value(self.anonymous);
        table.text(self.username.as_deref());
        table.text(self.email.as_deref());
        table.plain(time(self.created_at));
        let merged: Vec<String> = self.merged_ids.iter().map(Uuid::to_string).collect();
        table.plain(merged.join(" "));
    }
}
