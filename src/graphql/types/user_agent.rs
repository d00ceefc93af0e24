//! What users' programs call themselves.

use async_graphql::{ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::node::{Kind, global_id};
use crate::reports::user_agents::Reclassified;
use crate::storage::entity::user_agent;

/// A user agent.
pub(in crate::graphql) struct UserAgent(user_agent::Model);

impl From<user_agent::Model> for UserAgent {
    fn from(row: user_agent::Model) -> Self {
        Self(row)
    }
}

/// What a user's program calls itself.
#[Object]
impl UserAgent {
    /// Names it among all that there is: `node` finds it again.
    pub(super) async fn id(&self) -> ID {
        global_id(Kind::UserAgent, &self.0.user_agent_id)
    }

    /// The text.
    async fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// Whether its events are a bot's: as the list of bots says, or as someone said since.
    async fn bot(&self) -> bool {
        self.0.bot
    }

    /// When someone said whether it is a bot; nothing where the list alone spoke.
    async fn classified_at(&self) -> Option<DateTime<Utc>> {
        self.0.classified_at
    }
}

/// How far stored events were changed.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ReclassifyPayload {
    /// How many events are others now.
    changed: u64,
    /// Where to go on, with the same call for a range from here: it took too long for one answer.
    /// Nothing if all is done.
    continue_from: Option<DateTime<Utc>>,
}

impl From<Reclassified> for ReclassifyPayload {
    fn from(done: Reclassified) -> Self {
        Self {
            changed: done.changed,
            continue_from: done.continue_from,
        }
    }
}
