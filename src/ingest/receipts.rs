//! What became of a batch that was sent some time ago.

use uuid::Uuid;

use super::log::Durability;
use super::{Ingest, Receipt, Receipts, Status};
use crate::domain::batch::Fate;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::queries::receipts::{Outcome, receipt};

impl Ingest {
    /// The receipts of a batch, in the order of its events: those that its sender got, with what
    /// the database said where they were given before it was asked. An event of the batch that is
    /// not stored yet is pending, if one behind it is; else it is not in the list.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn receipt(
        &self,
        tenant: TenantId,
        batch_id: Uuid,
    ) -> Result<Option<Receipts>, Problem> {
        let mut outcomes = receipt(self.db.control(), tenant, batch_id).await?;
        let Some((&last, _)) = outcomes.last_key_value() else {
            return Ok(None);
        };
        let receipts = (0..=last).map(|position| match outcomes.remove(&position) {
            Some(outcome) => outcome.into(),
            None => Receipt::pending(),
        });
        Ok(Some(Receipts {
            batch_id,
            durability: Durability::Committed,
            receipts: receipts.collect(),
        }))
    }
}

impl Receipt {
    fn pending() -> Self {
        Self {
            event_id: None,
            status: Status::Pending,
            code: None,
            message: None,
            path: None,
            outside_window: false,
        }
    }
}

impl From<Outcome> for Receipt {
    fn from(outcome: Outcome) -> Self {
        let (code, message, path) = match outcome.note {
            Some(note) => (
                Code::from_name(&note.code),
                Some(note.message),
                Some(note.path),
            ),
            None => (None, None, None),
        };
        Self {
            event_id: Some(outcome.event_id).filter(|id| !id.is_nil()),
            status: outcome.fate.into(),
            code,
            message,
            path: path.filter(|path| !path.is_empty()),
            outside_window: false,
        }
    }
}

impl From<Fate> for Status {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Accepted => Self::Accepted,
            Fate::Duplicate => Self::Duplicate,
            Fate::Conflict => Self::Conflict,
            Fate::Rejected => Self::Rejected,
            Fate::Quarantined => Self::Quarantined,
        }
    }
}
