//! API keys and tenants.

use std::time::Duration;

use async_graphql::{Enum, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::keys::Wanted;
use crate::access::limits;
use crate::access::{self, Kind};
use crate::domain::tenant;
use crate::error::{Code, Problem};
use crate::storage::entity;

/// What a key may do.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "access::Scope")]
pub(in crate::graphql) enum KeyScope {
    /// Send events and the catalogue.
    Ingest,
    /// Ask and subscribe.
    Read,
    /// Have whole lists written, as files or as streams.
    Export,
    /// All of it.
    Admin,
}

/// Where a key is kept.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "Kind")]
pub(in crate::graphql) enum KeyKind {
    /// On servers, as a secret: `tw_live_`.
    Live,
    /// In pages, for all to see: it sends events, and from its origins alone: `tw_pub_`.
    Publishable,
}

/// Which rows a key sees: those whose category, region and product are among these. What is absent
/// limits nothing.
#[derive(InputObject)]
pub(in crate::graphql) struct RowScopeInput {
    /// Paths, as `Kitchen > Coffee`; those below one are in it.
    categories: Option<Vec<String>>,
    /// Of the orders or events.
    regions: Option<Vec<String>>,
    /// The shop's ids.
    products: Option<Vec<String>>,
}

impl TryFrom<RowScopeInput> for tenant::RowScope {
    type Error = Problem;

    fn try_from(input: RowScopeInput) -> Result<Self, Problem> {
        let some = Option::unwrap_or_default;
        let rows = Self::new(
            some(input.categories),
            some(input.regions),
            some(input.products),
        );
        rows.ok_or_else(|| {
            let detail = "A row scope names up to 100 categories, regions and products each, one at least, and none that is empty.";
            Problem::with(Code::InvalidKey, detail)
        })
    }
}

/// Which rows a key sees.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RowScope {
    /// These categories, and those below them; any if absent.
    categories: Option<Vec<String>>,
    /// These regions; any if absent.
    regions: Option<Vec<String>>,
    /// These products; any if absent.
    products: Option<Vec<String>>,
}

impl From<tenant::RowScope> for RowScope {
    fn from(rows: tenant::RowScope) -> Self {
        let owned = |values: Option<&[String]>| values.map(<[String]>::to_vec);
        Self {
            categories: owned(rows.categories()),
            regions: owned(rows.regions()),
            products: owned(rows.products()),
        }
    }
}

/// How much a key may do, where that is not what all may; 0: any amount.
#[derive(Clone, Copy, InputObject)]
pub(in crate::graphql) struct QuotaInput {
    /// Events that it sends.
    events_per_minute: Option<u32>,
    /// What its questions cost.
    points_per_minute: Option<u32>,
    /// Exports, and streams of whole lists, that it begins.
    exports_per_hour: Option<u32>,
    /// Subscriptions that it has open in a process.
    open_subscriptions: Option<u32>,
}

impl From<QuotaInput> for limits::Quota {
    fn from(input: QuotaInput) -> Self {
        Self {
            events_per_minute: input.events_per_minute,
            points_per_minute: input.points_per_minute,
            exports_per_hour: input.exports_per_hour,
            open_subscriptions: input.open_subscriptions,
        }
    }
}

/// How much a key may do, where that is not what all may; 0: any amount.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Quota {
    /// Events that it sends.
    events_per_minute: Option<u32>,
    /// What its questions cost.
    points_per_minute: Option<u32>,
    /// Exports, and streams of whole lists, that it begins.
    exports_per_hour: Option<u32>,
    /// Subscriptions that it has open in a process.
    open_subscriptions: Option<u32>,
}

impl From<limits::Quota> for Quota {
    fn from(quota: limits::Quota) -> Self {
        Self {
            events_per_minute: quota.events_per_minute,
            points_per_minute: quota.points_per_minute,
            exports_per_hour: quota.exports_per_hour,
            open_subscriptions: quota.open_subscriptions,
        }
    }
}

/// What a key is to be.
#[derive(InputObject)]
pub(in crate::graphql) struct ApiKeyInput {
    /// What it is for: 1 to 100 bytes.
    name: String,
    /// Where it is kept.
    #[graphql(default_with = "KeyKind::Live")]
    kind: KeyKind,
    /// What it may do: a publishable key `INGEST` alone, one with a row scope `READ` and `EXPORT`.
    scopes: Vec<KeyScope>,
    /// When it opens nothing more; never if absent.
    expires_at: Option<DateTime<Utc>>,
    /// The pages it may be used from, as `https://shop.example` or `https://*.shop.example`: then a
    /// request must have an `Origin` that is among them. A publishable key has some.
    allowed_origins: Option<Vec<String>>,
    /// The addresses and networks it may be used from, as `203.0.113.0/24`; any if absent.
    allowed_ips: Option<Vec<String>>,
    /// Which rows it sees; all if absent.
    row_scope: Option<RowScopeInput>,
    /// How much it may do; as much as all may if absent.
    quota: Option<QuotaInput>,
    /// Whether it may run the documents alone that the server's operator lists, whatever other keys
    /// may: for what is in the hands of strangers, as in an app.
    #[graphql(default = false)]
    persisted_only: bool,
    /// Whose data it opens, by name: for the server's operators, who are the admins of its first
    /// tenant. Your own if absent.
    pub(in crate::graphql) tenant: Option<String>,
}

impl TryFrom<ApiKeyInput> for Wanted {
    type Error = Problem;

    fn try_from(input: ApiKeyInput) -> Result<Self, Problem> {
        Ok(Self {
            name: input.name,
            kind: input.kind.into(),
            scopes: input.scopes.into_iter().map(Into::into).collect(),
            expires_at: input.expires_at,
            allowed_origins: input.allowed_origins.unwrap_or_default(),
            allowed_ips: input.allowed_ips.unwrap_or_default(),
            rows: input.row_scope.map(TryInto::try_into).transpose()?,
            quota: input.quota.map(Into::into),
            persisted_only: input.persisted_only,
        })
    }
}

/// A key. Its secret was shown once, when it was made.
pub(in crate::graphql) struct ApiKey(pub(in crate::graphql) entity::api_key::Model);

/// A key that lets a client in; its secret is not kept.
#[Object]
impl ApiKey {
    /// Names the key.
    async fn api_key_id(&self) -> Uuid {
        self.0.api_key_id
    }

    /// What it is for.
    async fn name(&self) -> &str {
        &self.0.label
    }

    /// Where it is kept.
    async fn kind(&self) -> KeyKind {
        Kind::of(&self.0).into()
    }

    /// The first characters of its secret; empty of one that an operator thought of.
    async fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// What it may do.
    async fn scopes(&self) -> Vec<KeyScope> {
        let scopes = self.0.scopes.iter();
        let known = scopes.filter_map(|name| access::Scope::from_name(name));
        known.map(Into::into).collect()
    }

    /// When it opens nothing more, if ever.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// The pages it may be used from; any, and none, if empty.
    async fn allowed_origins(&self) -> &[String] {
        &self.0.allowed_origins
    }

    /// The networks it may be used from; any if empty.
    async fn allowed_ips(&self) -> &[String] {
        &self.0.allowed_ips
    }

    /// Which rows it sees; all if absent.
    async fn row_scope(&self) -> Option<RowScope> {
        let rows: tenant::RowScope = serde_json::from_value(self.0.row_scope.clone()?).ok()?;
        Some(rows.into())
    }

    /// How much it may do; as much as all may where absent.
    async fn quota(&self) -> Option<Quota> {
        let quota: limits::Quota = serde_json::from_value(self.0.quota.clone()?).ok()?;
        Some(quota.into())
    }

    /// Whether it may run the documents alone that the server's operator lists.
    async fn persisted_only(&self) -> bool {
        self.0.persisted_only
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was used last; written once a minute.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
    }

    /// From where, without the last part of the address.
    async fn last_used_address(&self) -> Option<&str> {
        self.0.last_used_address.as_deref()
    }

    /// Until when the secret before the last rotation opens, too.
    async fn previous_secret_until(&self) -> Option<DateTime<Utc>> {
        self.0.previous_until
    }

    /// Since when it opens nothing, if it was revoked.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.0.revoked_at
    }
}

/// A key with its secret.
#[derive(SimpleObject)]
pub(in crate::graphql) struct ApiKeySecretPayload {
    /// The key.
    pub(in crate::graphql) api_key: ApiKey,
    /// Its secret: it is not kept, and cannot be shown again.
    pub(in crate::graphql) secret: String,
}

/// The key that was revoked.
#[derive(SimpleObject)]
pub(in crate::graphql) struct RevokeApiKeyPayload {
    /// As it is now.
    pub(in crate::graphql) api_key: ApiKey,
}

/// What a tenant is to be.
#[derive(InputObject)]
pub(in crate::graphql) struct TenantInput {
    /// What it is called: 1 to 100 bytes; no two are called the same.
    pub(in crate::graphql) name: String,
    /// The currency of its reports unless they ask for another: ISO 4217.
    #[graphql(default = "USD")]
    pub(in crate::graphql) currency: String,
    /// The time zone of its reports unless they ask for another: IANA.
    #[graphql(default = "UTC")]
    pub(in crate::graphql) timezone: String,
}

/// A shop on this server.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Tenant {
    /// What it is called.
    name: String,
    /// The currency of its reports unless they ask for another.
    currency: String,
    /// The time zone of its reports unless they ask for another.
    timezone: String,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<entity::tenant::Model> for Tenant {
    fn from(row: entity::tenant::Model) -> Self {
        Self {
            name: row.name,
            currency: row.reporting_currency,
            timezone: row.timezone,
            created_at: row.created_at,
        }
    }
}

/// The tenant that was made.
#[derive(SimpleObject)]
pub(in crate::graphql) struct CreateTenantPayload {
    /// The tenant.
    pub(in crate::graphql) tenant: Tenant,
    /// Its first key, which is one of an admin.
    pub(in crate::graphql) api_key: ApiKey,
    /// The key's secret: it is not kept, and cannot be shown again.
    pub(in crate::graphql) secret: String,
}

/// How long, where it is given in seconds.
pub(in crate::graphql) fn seconds(
    given: Option<i32>,
    default: Duration,
) -> Result<Duration, Problem> {
    let Some(given) = given else {
        return Ok(default);
    };
    let seconds = u64::try_from(given)
        .map_err(|_| Problem::with(Code::InvalidKey, "`overlapSeconds` is 0 or more."))?;
    Ok(Duration::from_secs(seconds))
}
