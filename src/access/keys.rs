//! Makes, lists, rotates and revokes keys.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::limits::Quota;
use super::{Access, Kind, Scope, secret, tenants};
use crate::clock::Clock;
use crate::domain::audit::Actor;
use crate::domain::network::Network;
use crate::domain::tenant::{RowScope, TenantId};
use crate::error::{Code, Problem};
use crate::storage::entity::api_key;
use crate::storage::queries::keys as queries;
use crate::storage::writes::keys as writes;
use crate::storage::{Db, StorageError};

pub use super::tenants::{ensure as ensure_tenant, find as find_tenant};

/// The tenant that a server begins with.
pub const DEFAULT_TENANT: &str = "default";
/// A bootstrap key of fewer bytes could be guessed.
pub const STRONG_KEY: usize = 16;
/// How long the secret before a rotation opens, too, unless it is said otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// How long at most.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);
/// How many characters of a secret a list shows behind what they all begin with.
const SHOWN: usize = 4;
const MAX_NAME: usize = 100;
/// How many origins and networks a key may have.
const MAX_PLACES: usize = 50;

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is for.
    pub name: String,
    /// Where it is kept.
    pub kind: Kind,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it opens nothing more.
    pub expires_at: Option<DateTime<Utc>>,
    /// The pages it may be used from: `https://shop.example`, or `https://*.shop.example`.
    pub allowed_origins: Vec<String>,
    /// The addresses and networks it may be used from.
    pub allowed_ips: Vec<String>,
    /// Which rows it sees.
    pub rows: Option<RowScope>,
    /// How much it may do.
    pub quota: Option<Quota>,
    /// Whether it may run the GraphQL documents alone that the operator lists.
    pub persisted_only: bool,
}

impl Wanted {
    /// A key without limits.
    #[must_use]
    pub fn plain(name: &str, scopes: &[Scope]) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Live,
            scopes: scopes.to_vec(),
            expires_at: None,
            allowed_origins: Vec::new(),
            allowed_ips: Vec::new(),
            rows: None,
            quota: None,
            persisted_only: false,
        }
    }

    fn check(&mut self, now: DateTime<Utc>) -> Result<(), Problem> {
        let refuse = |why: &str| Err(Problem::with(Code::InvalidKey, why));
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME || self.name.contains('\0') {
            return refuse("A key's name has 1 to 100 bytes.");
        }
        self.scopes.sort_unstable();
        self.scopes.dedup();
        if self.scopes.is_empty() {
            return refuse("A key has a scope at least: ingest, read, export or admin.");
        }
        let unfit = |scope: &&Scope| !may_have(self.kind, self.rows.is_some(), **scope);
        if self.scopes.iter().any(|scope| unfit(&scope)) {
            return refuse(match self.kind {
                Kind::Publishable => "A publishable key has the scope ingest alone.",
                Kind::Live => "A key with a row scope has the scopes read and export alone.",
            });
        }
        if self.kind == Kind::Publishable && self.allowed_origins.is_empty() {
            return refuse("A publishable key names the origins of the pages that it is in.");
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return refuse("The key would have expired already.");
        }
        if self.allowed_origins.len().max(self.allowed_ips.len()) > MAX_PLACES {
            return refuse("A key has at most 50 origins and 50 networks.");
        }
        for origin in &mut self.allowed_origins {
            *origin = origin.to_ascii_lowercase();
            if !is_origin(origin) {
                let detail = format!("`{origin}` is no origin such as https://shop.example.");
                return Err(Problem::with(Code::InvalidKey, detail));
            }
        }
        for network in &mut self.allowed_ips {
            let read: Network = network.parse().map_err(|_| {
                let detail =
                    format!("`{network}` is no address and no network such as 203.0.113.0/24.");
                Problem::with(Code::InvalidKey, detail)
            })?;
            *network = read.to_string();
        }
        Ok(())
    }
}

/// Whether a key of this kind, that sees some rows alone or all, may do this: one whom all can see
/// may send alone, and one who does not see all may only ask.
pub(super) const fn may_have(kind: Kind, limited: bool, scope: Scope) -> bool {
    match kind {
        Kind::Publishable => matches!(scope, Scope::Ingest) && !limited,
        Kind::Live => !limited || matches!(scope, Scope::Read | Scope::Export),
    }
}

/// Whether a text is a scheme and a host, whose first name may be `*`, and perhaps a port.
fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
    let host = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    matches!(scheme, "http" | "https")
        && !host.is_empty()
        && host.bytes().all(is_name)
        && port.parse::<u16>().is_ok()
}

/// Whether an origin is the allowed one, or one below it.
pub(super) fn fits(allowed: &str, origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    match allowed.split_once("*.") {
        None => allowed == origin,
        Some((scheme, host)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(host))
            .is_some_and(|names| names.len() > 1 && names.ends_with('.')),
    }
}

fn shown(secret: &str, kind: Kind) -> String {
    secret.chars().take(kind.prefix().len() + SHOWN).collect()
}

/// Makes a key without limits, on behalf of an operator, and returns its secret. Whatever secret of
/// its own the server has, it knows the key, and keeps it anew when it is used.
///
/// # Errors
/// When the database cannot be reached.
pub async fn create(
    db: &Db,
    tenant: TenantId,
    name: &str,
    scopes: &[Scope],
    now: DateTime<Utc>,
) -> Result<String, Problem> {
    let access = Access::new(db.clone(), None, Clock::manual(now));
    let wanted = Wanted::plain(name, scopes);
    let (_, secret) = access.create_key(tenant, wanted, &Actor::Command).await?;
    Ok(secret)
}

/// The keys of a tenant, oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(db: &Db, tenant: TenantId) -> Result<Vec<api_key::Model>, StorageError> {
    queries::list(db.control(), tenant).await
}

/// Revokes a key on behalf of an operator; says whether there was one that was not revoked.
///
/// # Errors
/// When the database cannot be reached.
pub async fn revoke(db: &Db, id: Uuid, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let revoked = writes::revoke(db.control(), (None, id), &Actor::Command, now).await?;
    Ok(revoked.is_some())
}

impl Access {
    /// Makes a key; with it, its secret, which is not kept.
    ///
    /// # Errors
    /// [`Code::InvalidKey`], or that the database is away.
    pub async fn create_key(
        &self,
        tenant: TenantId,
        mut wanted: Wanted,
        actor: &Actor,
    ) -> Result<(api_key::Model, String), Problem> {
        let now = self.0.clock.now();
        wanted.check(now)?;
        let (id, made) = (Uuid::new_v4(), secret::make(wanted.kind));
        let prefix = shown(&made, wanted.kind);
        self.store(id, tenant, wanted, (&made, prefix), actor, now)
            .await?;
        let stored = queries::key(self.0.db.control(), Some(tenant), id).await?;
        Ok((stored.ok_or(Code::Internal)?, made))
    }

    async fn store(
        &self,
        id: Uuid,
        tenant: TenantId,
        wanted: Wanted,
        (made, prefix): (&str, String),
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let json = |value| serde_json::to_value(value).expect("it is texts and numbers alone");
        let key = writes::NewKey {
            id,
            tenant,
            label: wanted.name,
            kind: wanted.kind.number(),
            scopes: wanted
                .scopes
                .iter()
                .map(|scope| scope.name().to_owned())
                .collect(),
            prefix,
            hash: self.hash(made).await?.to_vec(),
            older_hashes: self.older_hashes(made).await?,
            expires_at: wanted.expires_at,
            allowed_origins: wanted.allowed_origins,
            allowed_ips: wanted.allowed_ips,
            row_scope: wanted.rows.as_ref().map(json),
            quota: wanted
                .quota
                .map(|quota| serde_json::to_value(quota).expect("it is numbers alone")),
            persisted_only: wanted.persisted_only,
        };
        writes::create(self.0.db.control(), key, actor, now).await
    }

    /// Accepts a given secret as an admin key of the default tenant; again changes nothing, also if
    /// that key has got another secret since, or was revoked.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn bootstrap(&self, given: &str) -> Result<(), StorageError> {
        let tenant = tenants::ensure(&self.0.db, DEFAULT_TENANT).await?;
        let tenant = TenantId(tenant.tenant_id);
        let wanted = Wanted::plain("bootstrap", &[Scope::Admin]);
        // Its id follows from the secret, so that it is known however often it was rotated since.
        let id = id_of(&self.hash(given).await?);
        for hash in self.older_hashes(given).await? {
            let known = queries::key(self.0.db.control(), None, id_of(&hash)).await?;
            if known.is_some() {
                return Ok(());
            }
        }
        // Nothing of a secret that may be short is shown.
        let shown = (given, String::new());
        let now = self.0.clock.now();
        self.store(id, tenant, wanted, shown, &Actor::Server, now)
            .await
    }

    /// The keys of a tenant, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn keys(&self, tenant: TenantId) -> Result<Vec<api_key::Model>, StorageError> {
        queries::list(self.0.db.control(), tenant).await
    }

    /// Gives a key another secret, and tells it; the one before opens, too, for a while. `tenant` is
    /// whose key it must be, if that matters.
    ///
    /// # Errors
    /// [`Code::NoSuchKey`], [`Code::InvalidKey`] for a while that is too long, or that the database
    /// is away.
    pub async fn rotate_key(
        &self,
        (tenant, id): (Option<TenantId>, Uuid),
        overlap: Duration,
        actor: &Actor,
    ) -> Result<(api_key::Model, String), Problem> {
        if overlap > MAX_OVERLAP {
            let detail = "The secret before a rotation opens for 30 days at most.";
            return Err(Problem::with(Code::InvalidKey, detail));
        }
        let db = self.0.db.control();
        let found = queries::key(db, tenant, id).await?;
        let kind = Kind::of(&found.ok_or(Code::NoSuchKey)?);
        let made = secret::make(kind);
        let kept = (shown(&made, kind), self.hash(&made).await?.to_vec());
        let now = self.0.clock.now();
        let until = now + overlap;
        let rotated = writes::rotate(db, (tenant, id), kept, until, actor, now).await?;
        let rotated = rotated.ok_or(Code::NoSuchKey)?;
        self.0.changes.note(&rotated);
        Ok((rotated, made))
    }

    /// Revokes a key: from now on it opens nothing here, and within a second nothing at any other
    /// process.
    ///
    /// # Errors
    /// [`Code::NoSuchKey`] if there is none that was not revoked, or that the database is away.
    pub async fn revoke_key(
        &self,
        (tenant, id): (Option<TenantId>, Uuid),
        actor: &Actor,
    ) -> Result<api_key::Model, Problem> {
        let now = self.0.clock.now();
        let revoked = writes::revoke(self.0.db.control(), (tenant, id), actor, now).await?;
        let revoked = revoked.ok_or(Code::NoSuchKey)?;
        self.0.changes.note(&revoked);
        Ok(revoked)
    }
}

/// The id of a key whose secret was given, by a hash of the secret.
fn id_of(hash: &[u8]) -> Uuid {
    let mut hasher = Sha256::new();
    hasher.update(b"the id of");
    hasher.update(hash);
    let digest: [u8; 32] = hasher.finalize().into();
    let (bytes, _) = digest.split_first_chunk().expect("32 are more than 16");
    uuid::Builder::from_custom_bytes(*bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for fit in [
            "https://shop.example",
            "http://localhost:3000",
            "https://*.shop.example",
        ] {
            assert!(is_origin(fit), "{fit}");
        }
        for unfit in [
            "shop.example",
            "https://",
            "https://a/b",
            "https://a?b",
            "ftp://a",
            "*",
            "https://a:b",
            "https://*",
        ] {
            assert!(!is_origin(unfit), "{unfit}");
        }
    }

    #[test]
    fn an_origin_fits_as_a_whole() {
        assert!(fits("https://shop.example", "https://SHOP.example"));
        assert!(!fits("https://shop.example", "https://shop.example.evil"));
        assert!(!fits("https://shop.example", "http://shop.example"));
        assert!(fits("https://*.shop.example", "https://www.shop.example"));
        assert!(!fits("https://*.shop.example", "https://shop.example"));
        assert!(!fits("https://*.shop.example", "https://evilshop.example"));
        assert!(!fits("https://*.shop.example", "https://.shop.example"));
    }
}
