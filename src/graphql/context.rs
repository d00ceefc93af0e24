//! What a resolver reads: the services and who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::DataLoader;

use super::loaders::Loader;
use crate::access::limits::{Limits, caller};
use crate::access::{Access, Identity, Scope};
use crate::domain::audit::Actor;
use crate::error::{Code, Problem};
use crate::ingest::Ingest;
use crate::realtime::hub::LiveHub;
use crate::reports::Reports;

/// Short ways to what is in the context.
pub(super) trait ContextExt {
    /// Answers questions.
    fn reports(&self) -> &Reports;
    /// Takes events.
    fn ingest(&self) -> &Ingest;
    /// Watches windows.
    fn live(&self) -> &LiveHub;
    /// Makes and revokes keys.
    fn access(&self) -> &Access;
    /// How much each may do.
    fn limits(&self) -> &Limits;
    /// Loads what belongs to records, gathered; of this request alone.
    fn loader(&self) -> &DataLoader<Loader>;
    /// Who is asking, if they may do this.
    fn identity(&self, scope: Scope) -> Result<&Identity, Problem>;
    /// Who is asking, and from where, as it is written down.
    fn actor(&self, identity: &Identity) -> Actor;
}

/// Where an operation comes from that outlives its request: of a socket, or of a stream of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin(pub(super) Option<IpAddr>);

impl ContextExt for Context<'_> {
    fn reports(&self) -> &Reports {
        self.data_unchecked()
    }

    fn ingest(&self) -> &Ingest {
        self.data_unchecked()
    }

    fn live(&self) -> &LiveHub {
        self.data_unchecked()
    }

    fn access(&self) -> &Access {
        self.data_unchecked()
    }

    fn limits(&self) -> &Limits {
        self.data_unchecked()
    }

    fn loader(&self) -> &DataLoader<Loader> {
        self.data_unchecked()
    }

    fn identity(&self, scope: Scope) -> Result<&Identity, Problem> {
        let identity = self.data_opt::<Arc<Identity>>().ok_or(Code::MissingKey)?;
        identity.may(scope)?;
        Ok(identity)
    }

    fn actor(&self, identity: &Identity) -> Actor {
        let origin = self.data_opt::<Origin>();
        identity.actor(origin.map_or_else(caller, |origin| origin.0))
    }
}
