//! What people may ask of a shop that keeps data about them.

use async_graphql::{Context, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::export::Export;
use crate::graphql::types::privacy::{Erasure, ErasureMode, PrivacyPolicy, PrivacyPolicyInput};
use crate::graphql::types::range::TimeRangeInput;
use crate::ingest::erasures::{Request, Subject};

#[derive(Default)]
pub(super) struct PrivacyMutations;

#[Object]
impl PrivacyMutations {
    /// Has everything that is kept of a person written to a file of lines of JSON, under whichever of
    /// their ids: give one of `id`, `userId` and `anonymousId`. Needs the scope `admin`.
    async fn export_user_data(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As records have it.")] id: Option<Uuid>,
        #[graphql(desc = "As events name them.")] user_id: Option<String>,
        #[graphql(desc = "As events name a visitor.")] anonymous_id: Option<String>,
    ) -> Result<Export> {
        let identity = ctx.identity(Scope::Admin)?;
        let subject = Subject::of(id, user_id, anonymous_id)?;
        let known_as = subject.known_as(identity.tenant());
        let actor = ctx.actor(identity);
        let reports = ctx.reports();
        let exported = reports.export_user_data(identity.view(), known_as, &actor);
        let (export, token) = exported.await?;
        Ok(Export::of(&export, Some(&token)))
    }

    /// Takes a person out of everything that is kept, under whichever of their ids: give one of `id`,
    /// `userId` and `anonymousId`. The answer comes when it is done, or after 20 seconds; it goes on
    /// by itself then: ask `erasure`. Needs the scope `admin`.
    #[graphql(complexity = "100 + child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "they are the field's")]
    async fn erase_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As records have it.")] id: Option<Uuid>,
        #[graphql(desc = "As events name them.")] user_id: Option<String>,
        #[graphql(desc = "As events name a visitor.")] anonymous_id: Option<String>,
        #[graphql(desc = "What becomes of what they did.")] mode: ErasureMode,
        #[graphql(desc = "Of facts in this range alone: who the person is stays then.")]
        range: Option<TimeRangeInput>,
    ) -> Result<Erasure> {
        let identity = ctx.identity(Scope::Admin)?;
        let tenant = identity.tenant();
        let request = Request {
            tenant,
            subject: Subject::of(id, user_id, anonymous_id)?,
            mode: mode.into(),
            range: range.map(TryInto::try_into).transpose()?,
            actor: ctx.actor(identity),
        };
        let erasures = ctx.ingest().erasures();
        let id = erasures.request(request).await?;
        Ok(erasures.settled(tenant, id).await?.into())
    }

    /// Decides about people's data, in the place of what was decided before. Needs the scope `admin`.
    async fn put_privacy_policy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is absent is as the server is set.")] policy: PrivacyPolicyInput,
    ) -> Result<PrivacyPolicy> {
        let identity = ctx.identity(Scope::Admin)?;
        let (tenant, actor) = (identity.tenant(), ctx.actor(identity));
        let put = ctx
            .reports()
            .put_privacy_policy(tenant, policy.into(), &actor);
        Ok(put.await?.into())
    }
}
