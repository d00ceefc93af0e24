//! Any record by its `id`.

use async_graphql::{Context, ID, Object, Result};
use uuid::Uuid;

use crate::access::Scope;
use crate::graphql::context::ContextExt;
use crate::graphql::types::node::{Kind, Node, key, read};
use crate::ingest::quarantine::QuarantineFilter;
use crate::reports::parameters::word;
use crate::reports::records::PageRequest;
use crate::storage::entity::quarantine;

#[derive(Default)]
pub(super) struct NodeQueries;

#[Object]
impl NodeQueries {
    /// The record with this `id`, of whatever type it is; nothing if it is not there.
    #[graphql(cache_control(no_cache))]
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As a record's `id` says it.")] id: ID,
    ) -> Result<Option<Node>> {
        let identity = ctx.identity(Scope::Read)?;
        let (view, reports) = (identity.view(), ctx.reports());
        let (kind, text) = read(&id)?;
        let uuid = || key::<Uuid>(&text);
        Ok(match kind {
            Kind::AuditEntry => {
                ctx.identity(Scope::Admin)?;
                let row = reports.audit_entry(view, key(&text)?).await?;
                row.map(|row| Node::AuditEntry(row.into()))
            }
            Kind::Event => reports
                .event(view, uuid()?)
                .await?
                .map(|row| Node::Event(row.into())),
            Kind::Pageview => {
                let row = reports.pageview(view, uuid()?).await?;
                row.map(|row| Node::Pageview(row.into()))
            }
            Kind::Product => {
                let Some(id) = word(Some(text))? else {
                    return Ok(None);
                };
                let row = reports.product(view, &id).await?;
                row.map(|row| Node::Product(row.into()))
            }
            Kind::Purchase => {
                let row = reports.purchase(view, uuid()?).await?;
                row.map(|row| Node::Purchase(row.into()))
            }
            Kind::QuarantinedEvent => {
                ctx.identity(Scope::Admin)?;
                let filter = QuarantineFilter {
                    ids: Some(vec![uuid()?]),
                    ..QuarantineFilter::default()
                };
                let one = PageRequest {
                    limit: 1,
                    from_end: false,
                    after: None,
                    before: None,
                };
                let page = reports
                    .page::<quarantine::Entity>(view, &filter, &one)
                    .await?;
                let row = page.rows.into_iter().next();
                row.map(|row| Node::QuarantinedEvent(row.into()))
            }
            Kind::Refund => reports
                .refund(view, uuid()?)
                .await?
                .map(|row| Node::Refund(row.into())),
            Kind::User => reports
                .user(view, uuid()?)
                .await?
                .map(|row| Node::User(row.into())),
            Kind::UserAgent => {
                let rows = reports.user_agents_with(view, &[key(&text)?]).await;
                let row = rows
                    .map_err(crate::error::Problem::from)?
                    .into_iter()
                    .next();
                row.map(|row| Node::UserAgent(row.into()))
            }
        })
    }
}
