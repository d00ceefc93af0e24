//! What can be watched.

use std::time::Duration;

use async_graphql::{Context, Result, Subscription};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use uuid::Uuid;

use super::context::ContextExt;
use super::types::export::Export;
use super::types::live::{LiveSales, LiveWindow};
use crate::access::Scope;
use crate::access::limits::Open;
use crate::realtime::hub::LiveKey;
use crate::reports::exports::Viewer;
use crate::reports::{Reports, exports};

/// How often an export is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// An export that somebody watches.
struct Watch {
    reports: Reports,
    viewer: Viewer,
    /// What was shown last.
    shown: Option<exports::Export>,
    /// What is to be shown.
    next: Option<exports::Export>,
    _open: Open,
}

impl Watch {
    /// The next value; none once it is over.
    async fn step(mut self) -> Option<(Result<Export>, Self)> {
        if let Some(first) = self.next.take() {
            let shown = Export::of(&first, None);
            self.shown = Some(first);
            return Some((Ok(shown), self));
        }
        let last = self.shown.take().filter(|last| !last.is_over())?;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.reports.export(&self.viewer, last.id).await {
                Ok(now) if (now.state, now.rows) == (last.state, last.rows) => {}
                Ok(now) => {
                    let shown = Export::of(&now, None);
                    self.shown = Some(now);
                    return Some((Ok(shown), self));
                }
                Err(problem) => return Some((Err(problem.into()), self)),
            }
        }
    }
}

/// What can be watched.
#[derive(Default)]
pub struct Subscription;

/// What can be watched.
#[Subscription]
#[allow(clippy::unused_async, reason = "the macro wants it")]
impl Subscription {
    /// How far an export is: as it is now first, then each change, until it is over. Looked at
    /// every half a second, so values in between may be missed, never the last. Needs the scope `export`.
    async fn export_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As `createExport` said it.")] id: Uuid,
    ) -> Result<impl Stream<Item = Result<Export>> + use<>> {
        let identity = ctx.identity(Scope::Export)?;
        let viewer = identity.viewer();
        let open = ctx.limits().open(identity)?;
        let first = ctx.reports().export(&viewer, id).await?;
        let watch = Watch {
            reports: ctx.reports().clone(),
            viewer,
            shown: None,
            next: Some(first),
            _open: open,
        };
        Ok(unfold(watch, Watch::step))
    }

    /// Revenue, orders and top products of the window that ends now, in the tenant's currency:
    /// the current value first, then each change, within a second of the commit. A subscriber
    /// that is slow misses values in between, never the last.
    async fn live_sales(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much time, ending now.")] window: LiveWindow,
    ) -> Result<impl Stream<Item = LiveSales> + use<>> {
        let identity = ctx.identity(Scope::Read)?;
        let key = LiveKey {
            tenant: identity.whole_tenant()?,
            currency: identity.currency,
            length: window.into(),
        };
        let open = ctx.limits().open(identity)?;
        let values = ctx.live().watch(key);
        Ok(values.map(move |view| {
            // It counts for as long as somebody looks.
            let _ = &open;
            LiveSales::of(&view, key.currency)
        }))
    }
}
