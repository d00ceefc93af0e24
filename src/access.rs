//! Who: API keys and what they open; and how much: limits.
//!
//! A key is found by its hash ([`secret`]) and remembered for [`MEMORY`]. Every process looks
//! several times a second whether a key changed ([`changes`]), for all its requests at once: so a
//! key that was revoked is refused within a second everywhere, and a request asks the database
//! nothing. While the database is away, a key that was good is good for [`STALE`] longer: else a
//! log that can do without the database for a while could not be written to. How much each may do
//! stands in [`limits`]. It may import storage; `redis` stays in `limits`.

mod changes;
mod identity;
pub mod keys;
pub mod limits;
mod secret;
pub mod tenants;
mod used;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Secret;
use crate::domain::money::Currency;
use crate::domain::tenant::{Sender, TenantId};
use crate::error::{Code, Problem};
use crate::storage::db::refresh;
use crate::storage::entity::tenant;
use crate::storage::queries::keys as queries;
use crate::storage::writes::keys as writes;
use crate::storage::{Db, StorageError};
use changes::Changes;
use secret::{Form, Hash, Hasher};
use used::Used;

pub use identity::{Identity, Kind};
pub use secret::looks_like_a_key;

/// How long a key is remembered, while it is known what changes.
const MEMORY: Duration = Duration::from_secs(30);
/// How long it is while that is not known, and how long it is that there is no such key.
const SHORT_MEMORY: Duration = Duration::from_secs(5);
/// How long a key is good for after its last look-up, while the database cannot be asked.
const STALE: Duration = Duration::from_hours(1);
const REMEMBERED: u64 = 100_000;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scope {
    /// Send events and the catalogue.
    Ingest,
    /// Ask and subscribe.
    Read,
    /// Have whole lists written, as files or as streams.
    Export,
    /// All of it.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Export, Self::Admin];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Export => "export",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// What a request shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key's secret.
    pub secret: String,
    /// The page that a browser says the request is of.
    pub origin: Option<String>,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("secret", &"***")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// What is remembered of a hash.
#[derive(Clone, Debug)]
struct Known {
    /// Nobody, if there is no such key.
    identity: Option<Arc<Identity>>,
    /// Not later than it was read.
    read_at: Instant,
}

/// Tells who is asking.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    /// What keys are hashed with, if it is set.
    secret: Option<Secret>,
    hasher: OnceCell<Hasher>,
    known: Cache<Hash, Known>,
    /// What was found last.
    stale: Cache<Hash, Arc<Identity>>,
    changes: Changes,
    used: Used,
}

impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// An access that asks this database. `secret` is what keys are hashed with; that of the
    /// installation, if there is none.
    #[must_use]
    pub fn new(db: Db, secret: Option<Secret>, clock: Clock) -> Self {
        let cache = |memory| {
            Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(memory)
        };
        Self(Arc::new(Inner {
            db,
            clock,
            secret,
            hasher: OnceCell::new(),
            known: cache(MEMORY).build(),
            stale: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(STALE)
                .build(),
            changes: Changes::default(),
            used: Used::default(),
        }))
    }

    /// Looks what changes, and notes what is used, until it is stopped.
    pub fn watch(&self, stop: &CancellationToken) {
        let inner = Arc::clone(&self.0);
        let watching = async move {
            loop {
                if inner.changes.look(&inner.db).await {
                    inner.known.invalidate_all();
                    inner.stale.invalidate_all();
                }
                tokio::time::sleep(changes::APART).await;
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
        // Apart from it: a look must not wait for a write.
        let inner = Arc::clone(&self.0);
        let noting = async move {
            loop {
                inner.used.write(&inner.db).await;
                tokio::time::sleep(changes::APART).await;
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(noting));
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Tells when a key changed, whichever: then it is worth asking again who somebody is.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.0.changes.subscribe()
    }

    /// Who shows this.
    ///
    /// # Errors
    /// What is wrong with the key, or that the database is away.
    pub async fn identify(&self, shown: &Credentials) -> Result<Arc<Identity>, Problem> {
        let form = Form::of(&shown.secret).ok_or(Code::MalformedKey)?;
        let inner = &*self.0;
        let hasher = inner.hasher().await?;
        let forms = hasher.hashes(&shown.secret, form);
        let identity = inner.identity(forms).await?;
        let now = inner.clock.now();
        identity.admit(shown, now)?;
        inner.used.note(identity.key(), shown.address, now);
        limits::known();
        Ok(identity)
    }

    /// What is kept of a secret.
    async fn hash(&self, secret: &str) -> Result<Hash, StorageError> {
        let hasher = self.0.hasher().await?;
        Ok(hasher.hash(secret))
    }

    /// As what it may be kept besides.
    async fn older_hashes(&self, secret: &str) -> Result<Vec<Vec<u8>>, StorageError> {
        let hasher = self.0.hasher().await?;
        let all = hasher.hashes(secret, Form::Other);
        Ok(all[1..].iter().map(|hash| hash.to_vec()).collect())
    }
}

impl Inner {
    async fn hasher(&self) -> Result<&Hasher, StorageError> {
        let making = async {
            let own = queries::secret(self.db.control()).await?;
            Ok(Hasher::new(self.secret.as_ref(), own))
        };
        self.hasher.get_or_try_init(|| making).await
    }

    /// Whose hashes these are: what one is stored as is among them, the first if it is of late.
    async fn identity(&self, hashes: Vec<Hash>) -> Result<Arc<Identity>, Problem> {
        let hash = hashes[0];
        let mut known = self.known.get(&hash).await;
        if known.as_ref().is_some_and(|known| !self.is_fresh(known)) {
            self.known.invalidate(&hash).await;
            known = None;
        }
        let known = match known {
            Some(known) => Ok(known),
            None => {
                // A guess is paid for before it is looked up.
                if !self.stale.contains_key(&hash) {
                    limits::pay().await?;
                }
                self.known.try_get_with(hash, self.find(hashes)).await
            }
        };
        let known = known.map_err(|error: Arc<StorageError>| Problem::from((*error).clone()))?;
        known.identity.ok_or_else(|| Code::UnknownKey.into())
    }

    fn is_fresh(&self, known: &Known) -> bool {
        let age = known.read_at.elapsed();
        match &known.identity {
            Some(identity) => {
                let unchanged = !self.changes.is_newer(identity);
                unchanged && (age < SHORT_MEMORY || self.changes.are_seen_since(known.read_at))
            }
            None => age < SHORT_MEMORY,
        }
    }

    async fn find(&self, hashes: Vec<Hash>) -> Result<Known, StorageError> {
        let hash = hashes[0];
        let read_at = Instant::now();
        let stale = self.stale.get(&hash).await;
        // One that changed is not what it was.
        let stale = stale.filter(|stale| !self.changes.is_newer(stale));
        let found = refresh(stale.is_some(), self.look_up(&hashes)).await;
        let identity = match found {
            Ok(Some(identity)) => {
                self.stale.insert(hash, Arc::clone(&identity)).await;
                Some(identity)
            }
            Ok(None) => {
                self.stale.invalidate(&hash).await;
                None
            }
            Err(StorageError::Unavailable(_) | StorageError::Timeout(_)) if stale.is_some() => {
                stale
            }
            Err(error) => return Err(error),
        };
        Ok(Known { identity, read_at })
    }

    async fn look_up(&self, hashes: &[Hash]) -> Result<Option<Arc<Identity>>, StorageError> {
        let stored: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
        let Some((key, tenant)) = queries::find(self.db.control(), stored).await? else {
            return Ok(None);
        };
        let is = |kept: &[u8]| hashes.iter().position(|hash| secret::are_equal(hash, kept));
        let place = is(&key.key_hash);
        if let Some(old) = place.filter(|place| *place > 0) {
            // It is kept under an older secret, or under none.
            writes::rehash(self.db.control(), key.api_key_id, &hashes[old], &hashes[0]).await?;
        }
        let previous = key.previous_hash.as_deref().and_then(is).is_some();
        if place.is_none() && !previous {
            return Ok(None);
        }
        let is_previous = place.is_none();
        Ok(Some(Arc::new(Identity::new(key, &tenant, is_previous)?)))
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
