//! What can be watched.

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt};

use super::context::ContextExt;
use super::types::live::{LiveSales, LiveWindow};
use crate::access::Scope;
use crate::realtime::hub::LiveKey;

/// What can be watched.
#[derive(Default)]
pub struct Subscription;

#[Subscription]
#[allow(clippy::unused_async, reason = "the macro wants it")]
impl Subscription {
    /// Revenue, orders and top products of the window that ends now, in the tenant's currency:
    /// the current value first, then each change, within a second of the commit. A subscriber
    /// that is slow misses values in between, never the last.
    async fn live_sales(
        &self,
        ctx: &Context<'_>,
        window: LiveWindow,
    ) -> Result<impl Stream<Item = LiveSales> + use<>> {
        let identity = ctx.identity(Scope::Read)?;
        let key = LiveKey {
            tenant: identity.tenant,
            currency: identity.currency,
            length: window.into(),
        };
        let values = ctx.live().watch(key);
        Ok(values.map(move |view| LiveSales::of(&view, key.currency)))
    }
}
