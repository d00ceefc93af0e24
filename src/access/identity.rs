//! Who is asking, and what they may.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::limits::Quota;
use super::{Credentials, Scope, keys, sender};
use crate::domain::audit::Actor;
use crate::domain::leak;
use crate::domain::money::Currency;
use crate::domain::network::Network;
use crate::domain::tenant::{RowScope, Sender, Shop, TenantId, View};
use crate::error::{Code, Problem};
use crate::storage::StorageError;
use crate::storage::entity::{api_key, tenant};
use crate::storage::queries::exports::Viewer;

/// Where a key is kept by those who hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// On servers, as a secret.
    Live,
    /// In pages, for all to see: it sends events, and from its origins alone.
    Publishable,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Live, Self::Publishable];

    /// What its secrets begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => leak::LIVE,
            Self::Publishable => leak::PUBLISHABLE,
        }
    }

    /// What stands for it in the database.
    #[must_use]
    pub(super) const fn number(self) -> i16 {
        match self {
            Self::Live => 0,
            Self::Publishable => 1,
        }
    }

    /// The kind of a key that is stored.
    #[must_use]
    pub fn of(key: &api_key::Model) -> Self {
        if key.kind == 0 {
            Self::Live
        } else {
            Self::Publishable
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The tenant's currency.
    pub currency: Currency,
    /// The tenant's time zone.
    pub timezone: chrono_tz::Tz,
    key: Uuid,
    kind: Kind,
    view: View,
    scopes: Vec<Scope>,
    quota: Quota,
    /// Whether it is of the tenant that the server began with, whose admins are its operators.
    of_first_tenant: bool,
    revoked: bool,
    expires_at: Option<DateTime<Utc>>,
    origins: Vec<String>,
    networks: Vec<Network>,
    persisted_only: bool,
    /// In which change of keys it changed last.
    changed: i64,
}

impl Identity {
    /// What a key opens that is stored; the secret before its last rotation if `is_previous`.
    pub(super) fn new(
        key: api_key::Model,
        tenant: &tenant::Model,
        is_previous: bool,
    ) -> Result<Self, StorageError> {
        let unreadable =
            |what: &str| StorageError::Bug(format!("key {} has {what}", key.api_key_id));
        let rows: Option<RowScope> = key
            .row_scope
            .clone()
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| unreadable("a row scope that cannot be read"))?;
        let quota: Option<Quota> = key
            .quota
            .clone()
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| unreadable("a quota that cannot be read"))?;
        let networks = key.allowed_ips.iter().map(|text| text.parse());
        let networks = networks
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable("no networks"))?;
        let kind = Kind::of(&key);
        let mut scopes: Vec<Scope> = key
            .scopes
            .iter()
            .filter_map(|name| Scope::from_name(name))
            .collect();
        // Whatever the row says.
        scopes.retain(|scope| keys::may_have(kind, rows.is_some(), *scope));
        let expires_at = match (key.expires_at, key.previous_until) {
            (Some(end), Some(until)) if is_previous => Some(end.min(until)),
            (None, until) if is_previous => until.or(Some(DateTime::UNIX_EPOCH)),
            (end, _) => end,
        };
        let Sender {
            tenant: id,
            zone,
            currency,
        } = sender(tenant)?;
        Ok(Self {
            currency,
            timezone: zone,
            key: key.api_key_id,
            kind,
            view: View::of(id, rows),
            scopes,
            quota: quota.unwrap_or_default(),
            of_first_tenant: tenant.name == keys::DEFAULT_TENANT,
            revoked: key.revoked_at.is_some(),
            expires_at,
            origins: key.allowed_origins,
            networks,
            persisted_only: key.persisted_only,
            changed: key.changed,
        })
    }

    /// Lets in who shows this now.
    pub(super) fn admit(&self, shown: &Credentials, now: DateTime<Utc>) -> Result<(), Problem> {
        if self.revoked {
            return Err(Code::RevokedKey.into());
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Code::ExpiredKey.into());
        }
        let comes_from = |origin: &str| self.origins.iter().any(|one| keys::fits(one, origin));
        if !self.origins.is_empty() && !shown.origin.as_deref().is_some_and(comes_from) {
            return Err(Code::WrongOrigin.into());
        }
        let is_at = |address| self.networks.iter().any(|network| network.has(address));
        if !self.networks.is_empty() && !shown.address.is_some_and(is_at) {
            return Err(Code::WrongAddress.into());
        }
        Ok(())
    }

    /// The key's id.
    #[must_use]
    pub const fn key(&self) -> Uuid {
        self.key
    }

    /// In which change of keys it changed last.
    pub(super) const fn changed(&self) -> i64 {
        self.changed
    }

    /// Whose data it opens: to count and to keep things apart by. What is read goes by
    /// [`Self::view`].
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.view.tenant()
    }

    /// What it sees.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// What it may do, in order.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether it may run the GraphQL documents alone that the operator lists.
    #[must_use]
    pub const fn is_persisted_only(&self) -> bool {
        self.persisted_only
    }

    /// Lets in who may ask otherwise than with listed GraphQL documents.
    ///
    /// # Errors
    /// [`Code::DocumentNotAllowed`].
    pub fn may_ask_freely(&self) -> Result<(), Problem> {
        if self.persisted_only {
            let detail = "This key runs the GraphQL documents alone that the server lists.";
            return Err(Problem::with(Code::DocumentNotAllowed, detail));
        }
        Ok(())
    }

    /// How much it may do, where that is not what all may.
    #[must_use]
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Whose data it opens, for what has no rows that could be left out.
    ///
    /// # Errors
    /// [`Code::OutOfScope`] for who sees some rows alone.
    pub fn whole_tenant(&self) -> Result<TenantId, Problem> {
        if self.view.is_whole() {
            Ok(self.view.tenant())
        } else {
            Err(Code::OutOfScope.into())
        }
    }

    /// Whose events it sends.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            tenant: self.view.tenant(),
            zone: self.timezone,
            currency: self.currency,
        }
    }

    /// Who asks.
    #[must_use]
    pub fn shop(&self) -> Shop {
        Shop {
            view: self.view.clone(),
            zone: self.timezone,
            currency: self.currency,
        }
    }

    /// Who does what is written down.
    #[must_use]
    pub fn actor(&self, address: Option<std::net::IpAddr>) -> Actor {
        Actor::Key(self.key, address)
    }

    /// Whether another, of the same key, may do and see all that this one may and sees.
    #[must_use]
    pub fn is_as_able_as(&self, other: &Self) -> bool {
        self.view == other.view && self.scopes == other.scopes
    }

    /// Whether it is one of the server's operators, who may do things to other tenants.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.of_first_tenant && self.scopes.contains(&Scope::Admin)
    }

    /// Where its secret is used.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// As whom they look for exports: those of people are for admins.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        Viewer {
            view: self.view().clone(),
            sees_people: self.may(Scope::Admin).is_ok(),
        }
    }

    /// Passes who may do this.
    ///
    /// # Errors
    /// [`Code::Forbidden`] otherwise.
    pub fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin) {
            return Ok(());
        }
        let detail = format!("This needs a key with the scope `{}`.", scope.name());
        Err(Problem::with(Code::Forbidden, detail))
    }
}
