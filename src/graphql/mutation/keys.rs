//! Tenants and keys.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::keys::{OVERLAP, Wanted};
use crate::access::tenants::NewTenant;
use crate::access::{Identity, Scope};
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::graphql::context::ContextExt;
use crate::graphql::types::key::{
    ApiKey, ApiKeyInput, ApiKeySecretPayload, CreateTenantPayload, RevokeApiKeyPayload,
    TenantInput, seconds,
};

#[derive(Default)]
pub(super) struct KeyMutations;

/// Passes the server's operators.
fn operate(identity: &Identity) -> Result<(), Problem> {
    if identity.is_operator() {
        return Ok(());
    }
    let detail = "This is for the server's operators: send a key with the scope `admin` of the tenant that the server began with.";
    Err(Problem::with(Code::Forbidden, detail))
}

/// Whose keys one may change: one's own, or anybody's as an operator.
fn owner(identity: &Identity) -> Result<Option<TenantId>, Problem> {
    if identity.is_operator() {
        return Ok(None);
    }
    Ok(Some(identity.whole_tenant()?))
}

#[Object]
impl KeyMutations {
    /// Makes a tenant, and a first key with which its admin can make others. Needs the scope `admin`
    /// of the tenant that the server began with.
    async fn create_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is like.")] input: TenantInput,
    ) -> Result<CreateTenantPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        operate(identity)?;
        let actor = ctx.actor(identity);
        let new = NewTenant {
            name: input.name,
            currency: input.currency,
            timezone: input.timezone,
        };
        let made = ctx.access().create_tenant(new, &actor).await?;
        let first = Wanted::plain("admin", &[Scope::Admin]);
        let tenant = TenantId(made.tenant_id);
        let (key, secret) = ctx.access().create_key(tenant, first, &actor).await?;
        Ok(CreateTenantPayload {
            tenant: made.into(),
            api_key: ApiKey(key),
            secret,
        })
    }

    /// Makes a key; its secret is shown this once. Needs the scope `admin`.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it may do.")] mut input: ApiKeyInput,
    ) -> Result<ApiKeySecretPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let tenant = match input.tenant.take() {
            None => identity.whole_tenant()?,
            Some(name) => {
                operate(identity)?;
                ctx.access().tenant(&name).await?
            }
        };
        let wanted = Wanted::try_from(input)?;
        let all = ctx.limits().of_all();
        let is_within = wanted.quota.is_none_or(|quota| quota.is_within(all));
        if !is_within && !identity.is_operator() {
            let detail = "Only the server's operators can give a key more than all have.";
            return Err(Problem::with(Code::InvalidKey, detail).into());
        }
        let actor = ctx.actor(identity);
        let (key, secret) = ctx.access().create_key(tenant, wanted, &actor).await?;
        Ok(ApiKeySecretPayload {
            api_key: ApiKey(key),
            secret,
        })
    }

    /// Gives a key another secret, which is shown this once. The one before opens for a while, too,
    /// so that it can be replaced everywhere. Needs the scope `admin`.
    async fn rotate_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As in `apiKeyId`.")] id: Uuid,
        #[graphql(desc = "For how long: 0 to 2592000 (30 days); a day if absent.")]
        overlap_seconds: Option<i32>,
    ) -> Result<ApiKeySecretPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let overlap = seconds(overlap_seconds, OVERLAP)?;
        let (which, actor) = ((owner(identity)?, id), ctx.actor(identity));
        let (key, secret) = ctx.access().rotate_key(which, overlap, &actor).await?;
        Ok(ApiKeySecretPayload {
            api_key: ApiKey(key),
            secret,
        })
    }

    /// Revokes a key: within a second it opens nothing anywhere, and sockets that it opened are
    /// closed. Needs the scope `admin`.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As in `apiKeyId`.")] id: Uuid,
    ) -> Result<RevokeApiKeyPayload> {
        let identity = ctx.identity(Scope::Admin)?;
        let (which, actor) = ((owner(identity)?, id), ctx.actor(identity));
        let revoked = ctx.access().revoke_key(which, &actor).await?;
        Ok(RevokeApiKeyPayload {
            api_key: ApiKey(revoked),
        })
    }
}
