//! Who: API keys and what they open. How much (quotas) will stand beside it.
//!
//! A key is looked up by its SHA-256 and remembered for [`MEMORY`], so that a revoked key is
//! refused within that time in every process. While the database is away, a key that was good is
//! good for [`STALE`] longer: else a log that can do without the database for a while could not be
//! written to. It may import storage.

pub mod keys;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::domain::money::Currency;
use crate::domain::tenant::{Sender, TenantId};
use crate::error::{Code, Problem};
use crate::storage::db::refresh;
use crate::storage::entity::tenant;
use crate::storage::queries::keys::find;
use crate::storage::{Db, StorageError};

/// How long a key, or that there is no such key, is remembered.
const MEMORY: Duration = Duration::from_secs(5);
/// How long a key is good for after its last look-up, while the database cannot be asked.
const STALE: Duration = Duration::from_hours(1);
const REMEMBERED: u64 = 10_000;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Scope {
    /// Send events and the catalogue.
    Ingest,
    /// Ask and subscribe.
    Read,
    /// All of it.
    Admin,
}

impl Scope {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whose data it opens.
    pub tenant: TenantId,
    /// The tenant's currency.
    pub currency: Currency,
    /// The tenant's time zone.
    pub timezone: chrono_tz::Tz,
    scopes: Vec<String>,
}

impl Identity {
    /// Whose events it sends.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            tenant: self.tenant,
            zone: self.timezone,
            currency: self.currency,
        }
    }

    /// Passes who may do this.
    ///
    /// # Errors
    /// [`Code::Forbidden`] otherwise.
    pub fn may(&self, scope: Scope) -> Result<(), Problem> {
        let has = |scope: Scope| self.scopes.iter().any(|held| held == scope.name());
        if has(scope) || has(Scope::Admin) {
            return Ok(());
        }
        let detail = format!("This needs a key with the scope `{}`.", scope.name());
        Err(Problem::with(Code::Forbidden, detail))
    }
}

type Hash = [u8; 32];

/// Tells who is asking.
#[derive(Clone, Debug)]
pub struct Access {
    db: Db,
    known: Cache<Hash, Option<Arc<Identity>>>,
    /// What was found last.
    stale: Cache<Hash, Arc<Identity>>,
}

impl Access {
    /// An access that asks this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            known: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(MEMORY)
                .build(),
            stale: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(STALE)
                .build(),
        }
    }

    /// Who holds this secret.
    ///
    /// # Errors
    /// [`Code::UnknownKey`], or that the database is away.
    pub async fn identify(&self, secret: &str) -> Result<Arc<Identity>, Problem> {
        let hash = hash(secret);
        let found = self.known.try_get_with(hash, self.find(hash)).await;
        let found = found.map_err(|error: Arc<StorageError>| Problem::from((*error).clone()))?;
        found.ok_or_else(|| Code::UnknownKey.into())
    }

    async fn find(&self, hash: Hash) -> Result<Option<Arc<Identity>>, StorageError> {
        let stale = self.stale.get(&hash).await;
        let found = refresh(stale.is_some(), self.look_up(hash)).await;
        match &found {
            Ok(Some(identity)) => self.stale.insert(hash, Arc::clone(identity)).await,
            Ok(None) => self.stale.invalidate(&hash).await,
            Err(StorageError::Unavailable(_) | StorageError::Timeout(_)) if stale.is_some() => {
                return Ok(stale);
            }
            Err(_) => {}
        }
        found
    }

    async fn look_up(&self, hash: Hash) -> Result<Option<Arc<Identity>>, StorageError> {
        let Some((key, tenant)) = find(self.db.control(), &hash).await? else {
            return Ok(None);
        };
        let sender = sender(&tenant)?;
        Ok(Some(Arc::new(Identity {
            tenant: sender.tenant,
            currency: sender.currency,
            timezone: sender.zone,
            scopes: key.scopes,
        })))
    }
}

/// The tenant as one whose events are sent.
///
/// # Errors
/// When its currency or its time zone is none.
pub fn sender(tenant: &tenant::Model) -> Result<Sender, StorageError> {
    let currency = Currency::from_code(&tenant.reporting_currency)
        .ok_or_else(|| StorageError::Bug(format!("tenant {} has no currency", tenant.name)))?;
    let zone = tenant
        .timezone
        .parse()
        .map_err(|_| StorageError::Bug(format!("tenant {} has no time zone", tenant.name)))?;
    Ok(Sender {
        tenant: TenantId(tenant.tenant_id),
        zone,
        currency,
    })
}

/// What is kept of a secret.
fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a text cannot fail");
        text
    })
}
