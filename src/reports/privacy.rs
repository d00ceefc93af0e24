//! What is kept of a person, for the person; and for how long a tenant keeps what.

use serde_json::json;
use uuid::Uuid;

use super::Reports;
use super::exports::{Export, ExportFormat, ExportQuestion, Exported, UserData};
use crate::domain::audit::{Action, Actor};
use crate::domain::tenant::{TenantId, View};
use crate::error::{Code, Problem};
use crate::storage::queries::privacy as queries;
use crate::storage::writes::audit::{Entry, note};
use crate::storage::writes::privacy_policies;

pub use crate::storage::queries::privacy::PrivacyPolicy;

/// No retention is longer: a hundred years, or a week of files.
const MAX_DAYS: i32 = 36_500;
const MAX_HOURS: i32 = 168;

impl Reports {
    /// Queues the file of all that is kept of a person; also its link's secret.
    ///
    /// # Errors
    /// [`Code::TooManyExports`], or that the database is away.
    pub async fn export_user_data(
        &self,
        view: &View,
        (user_id, word): (Uuid, Option<String>),
        actor: &Actor,
    ) -> Result<(Export, String), Problem> {
        let question = ExportQuestion {
            what: Exported::UserData(UserData { user_id, word }),
            format: ExportFormat::Ndjson,
        };
        let id = Uuid::new_v4();
        // Before there is a file that nobody knows of.
        let entry = Entry {
            at: self.clock.now(),
            tenant: Some(view.tenant()),
            actor,
            action: Action::UserExported,
            subject: id.to_string(),
            details: json!({}),
        };
        note(self.db.control(), entry).await?;
        self.create_export_of(id, view, &question).await
    }

    /// What a tenant decided about people's data.
    ///
    /// # Errors
    /// That the database is away.
    pub async fn privacy_policy(&self, tenant: TenantId) -> Result<PrivacyPolicy, Problem> {
        Ok(queries::policy(self.db.control(), tenant).await?)
    }

    /// Decides about people's data, in the place of what was decided before.
    ///
    /// # Errors
    /// [`Code::InvalidPolicy`], or that the database is away.
    pub async fn put_privacy_policy(
        &self,
        tenant: TenantId,
        policy: PrivacyPolicy,
        actor: &Actor,
    ) -> Result<PrivacyPolicy, Problem> {
        for (name, value, most) in [
            ("eventsDays", policy.events_days, MAX_DAYS),
            ("quarantineDays", policy.quarantine_days, MAX_DAYS),
            ("receiptsDays", policy.receipts_days, MAX_DAYS),
            ("exportsHours", policy.exports_hours, MAX_HOURS),
        ] {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                let detail = format!("`{name}` is a whole number from 1 to {most}.");
                return Err(Problem::with(Code::InvalidPolicy, detail));
            }
        }
        let (db, now) = (self.db.control(), self.clock.now());
        privacy_policies::put(db, tenant, &policy, actor, now).await?;
        self.privacy_policy(tenant).await
    }
}
