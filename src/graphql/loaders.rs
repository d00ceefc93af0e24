//! Loads what belongs to records: the keys of a page are gathered into one statement.
//!
//! One [`DataLoader`] per request, made for one tenant, so that no tenant's records can reach
//! another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Data;
use async_graphql::dataloader::DataLoader;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::access::Identity;
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::reports::Reports;
use crate::reports::records::{EventPlace, Merged};
use crate::storage::entity::{event, product, purchase, refund, user};

/// Makes the data of one request.
#[derive(Clone, Debug)]
pub struct Loaders(pub Reports);

impl Loaders {
    /// What resolvers find in the context of a request by `identity`; `spawn` runs the loads.
    pub fn data_for<R>(
        &self,
        identity: Arc<Identity>,
        spawn: impl Fn(BoxFuture<'static, ()>) -> R + Send + Sync + 'static,
    ) -> Data {
        let loader = Loader {
            reports: self.0.clone(),
            view: identity.view().clone(),
        };
        let mut data = Data::default();
        // Who runs the loads decides when a batch is full, not a clock.
        data.insert(DataLoader::new(loader, spawn).delay(Duration::ZERO));
        data.insert(identity);
        data
    }
}

/// Loads what one sees.
pub(super) struct Loader {
    reports: Reports,
    view: View,
}

/// The user whom an id stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UserKey(pub Uuid);
/// The other ids of a user.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MergedKey(pub Uuid);
/// A product by the shop's id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ProductKey(pub String);
/// An event by its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventKey(pub EventPlace);
/// The purchases of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PurchasesKey(pub EventPlace);
/// The refunds of an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RefundsKey(pub EventPlace);
/// The text of a user agent by its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UserAgentKey(pub i64);

impl async_graphql::dataloader::Loader<UserKey> for Loader {
    type Value = user::Model;
    type Error = Problem;

    async fn load(&self, keys: &[UserKey]) -> Result<HashMap<UserKey, user::Model>, Problem> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.users_with(&self.view, &ids).await?;
        Ok(rows
            .into_iter()
            .map(|row| (UserKey(row.id), row.user))
            .collect())
    }
}

impl async_graphql::dataloader::Loader<MergedKey> for Loader {
    type Value = Vec<Merged>;
    type Error = Problem;

    async fn load(&self, keys: &[MergedKey]) -> Result<HashMap<MergedKey, Vec<Merged>>, Problem> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.merged_into(&self.view, &ids).await?;
        Ok(grouped(rows, |row| MergedKey(row.canonical_id)))
    }
}

impl async_graphql::dataloader::Loader<ProductKey> for Loader {
    type Value = product::Model;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[ProductKey],
    ) -> Result<HashMap<ProductKey, product::Model>, Problem> {
        let ids: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
        let rows = self.reports.products_with(&self.view, &ids).await?;
        Ok(rows
            .into_iter()
            .map(|row| (ProductKey(row.product_id.clone()), row))
            .collect())
    }
}

impl async_graphql::dataloader::Loader<EventKey> for Loader {
    type Value = event::Model;
    type Error = Problem;

    async fn load(&self, keys: &[EventKey]) -> Result<HashMap<EventKey, event::Model>, Problem> {
        let places: Vec<EventPlace> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.events_at(&self.view, &places).await?;
        Ok(rows
            .into_iter()
            .map(|row| (EventKey((row.timestamp, row.event_id)), row))
            .collect())
    }
}

impl async_graphql::dataloader::Loader<PurchasesKey> for Loader {
    type Value = Vec<purchase::Model>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[PurchasesKey],
    ) -> Result<HashMap<PurchasesKey, Vec<purchase::Model>>, Problem> {
        let places: Vec<EventPlace> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.purchases_of(&self.view, &places).await?;
        Ok(grouped(rows, |row| {
            PurchasesKey((row.timestamp, row.event_id))
        }))
    }
}

impl async_graphql::dataloader::Loader<RefundsKey> for Loader {
    type Value = Vec<refund::Model>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[RefundsKey],
    ) -> Result<HashMap<RefundsKey, Vec<refund::Model>>, Problem> {
        let places: Vec<EventPlace> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.refunds_of(&self.view, &places).await?;
        Ok(grouped(rows, |row| {
            RefundsKey((row.timestamp, row.event_id))
        }))
    }
}

impl async_graphql::dataloader::Loader<UserAgentKey> for Loader {
    type Value = String;
    type Error = Problem;

    async fn load(&self, keys: &[UserAgentKey]) -> Result<HashMap<UserAgentKey, String>, Problem> {
        let ids: Vec<i64> = keys.iter().map(|key| key.0).collect();
        let rows = self.reports.user_agents_with(&self.view, &ids).await?;
        Ok(rows
            .into_iter()
            .map(|row| (UserAgentKey(row.user_agent_id), row.user_agent))
            .collect())
    }
}

fn grouped<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    rows.into_iter().fold(HashMap::new(), |mut groups, row| {
        groups.entry(key(&row)).or_default().push(row);
        groups
    })
}
