//! Makes and lists tenants.

use chrono::{DateTime, Utc};

use super::Access;
use crate::domain::audit::Actor;
use crate::domain::money::Currency;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::entity::tenant;
use crate::storage::queries::keys as queries;
use crate::storage::writes::tenants as writes;
use crate::storage::{Db, StorageError};

pub use crate::storage::writes::tenants::NewTenant;

/// How long a name may be.
const MAX_NAME: usize = 100;

/// Makes a tenant.
///
/// # Errors
/// [`Code::InvalidTenant`] for a name that is taken or cannot be, [`Code::InvalidCurrency`],
/// [`Code::InvalidTimezone`], or that the database is away.
pub async fn create(
    db: &Db,
    new: NewTenant,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<tenant::Model, Problem> {
    let name = &new.name;
    if name.trim() != name || name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        let detail = format!("A tenant's name has 1 to {MAX_NAME} bytes, and no spaces around it.");
        return Err(Problem::with(Code::InvalidTenant, detail));
    }
    Currency::from_code(&new.currency).ok_or(Code::InvalidCurrency)?;
    if new.timezone.parse::<chrono_tz::Tz>().is_err() {
        return Err(Code::InvalidTimezone.into());
    }
    let taken = format!("There is a tenant `{name}` already.");
    let made = writes::create(db.control(), new, actor, now).await?;
    made.ok_or_else(|| Problem::with(Code::InvalidTenant, taken))
}

impl Access {
    /// Makes a tenant.
    ///
    /// # Errors
    /// As [`create`].
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        actor: &Actor,
    ) -> Result<tenant::Model, Problem> {
        create(&self.0.db, new, actor, self.now()).await
    }

    /// The tenant of this name.
    ///
    /// # Errors
    /// [`Code::InvalidTenant`] if there is none, or that the database is away.
    pub async fn tenant(&self, name: &str) -> Result<TenantId, Problem> {
        let found = find(&self.0.db, name).await?;
        let found = found.ok_or_else(|| {
            Problem::with(Code::InvalidTenant, format!("There is no tenant `{name}`."))
        })?;
        Ok(TenantId(found.tenant_id))
    }

    /// Every tenant, in the order in which they were made.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn tenants(&self) -> Result<Vec<tenant::Model>, StorageError> {
        list(&self.0.db).await
    }
}

/// The tenant of this name, if there is one.
///
/// # Errors
/// When the database cannot be reached.
pub async fn find(db: &Db, name: &str) -> Result<Option<tenant::Model>, StorageError> {
    queries::tenant(db.control(), name).await
}

/// The tenant of this name, made if there is none.
///
/// # Errors
/// When the database cannot be reached.
pub async fn ensure(db: &Db, name: &str) -> Result<tenant::Model, StorageError> {
    writes::ensure(db.control(), name).await?;
    find(db, name)
        .await?
        .ok_or_else(|| StorageError::Bug(format!("tenant {name} is gone")))
}

/// Every tenant, in the order in which they were made.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(db: &Db) -> Result<Vec<tenant::Model>, StorageError> {
    queries::tenants(db.control()).await
}
