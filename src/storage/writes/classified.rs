//! What was said of user agents, which counts more than the list of bots, and who was erased:
//! remembered, and read anew when the head of the idempotency log tells that something was said
//! since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::sqlx::{self, PgPool};

use super::erased::Erased;
use super::intake::user_agent_id;
use crate::domain::event::Event;
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What was said, as far as this process has read.
#[derive(Debug, Default)]
pub(super) struct Classified(Mutex<Arc<Sayings>>);

/// What had been said at a moment.
#[derive(Debug, Default)]
pub(super) struct Sayings {
    /// How often something had been said by then.
    version: i64,
    bots: HashMap<(TenantId, i64), bool>,
    erased: Arc<Erased>,
}

impl Sayings {
    /// Whether an event is a bot's.
    pub(super) fn is_bot(&self, tenant: TenantId, event: &Event) -> bool {
        if self.bots.is_empty() {
            return event.bot;
        }
        let said = |text: &String| self.bots.get(&(tenant, user_agent_id(text)));
        let said = event.user_agent.as_ref().and_then(said);
        said.copied().unwrap_or(event.bot)
    }

    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// Who was erased, and until when.
    pub(super) fn erased(&self) -> &Erased {
        &self.erased
    }
}

impl Classified {
    /// What was said by now.
    pub(super) fn now(&self) -> Arc<Sayings> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what was said: it is little.
    pub(super) async fn load(&self, pool: &PgPool) -> Result<(), StorageError> {
        // The version first: what is said in between is read twice rather than never.
        let version = sqlx::query_scalar("SELECT classifications FROM idempotency_head")
            .fetch_one(pool)
            .await?;
        let rows: Vec<(i32, i64, bool)> = sqlx::query_as(
            "SELECT tenant_id, user_agent_id, bot FROM user_agent WHERE classified_at IS NOT NULL",
        )
        .fetch_all(pool)
        .await?;
        let bots = rows
            .into_iter()
            .map(|(tenant, id, bot)| ((TenantId(tenant), id), bot));
        let bots = bots.collect();
        let before = Arc::clone(&self.now().erased);
        let erased = Erased::load(pool, before).await?;
        let sayings = Arc::new(Sayings {
            version,
            bots,
            erased,
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version <= sayings.version {
            *known = sayings;
        }
        Ok(())
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}
