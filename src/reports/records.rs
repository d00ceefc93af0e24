//! Single records, lists of them, and what belongs to them.

use uuid::Uuid;

use super::Reports;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::entity::{
    event, pageview, product, purchase, quarantine, refund, user, user_agent,
};
use crate::storage::queries::page::{self, Paged};
use crate::storage::queries::quarantine::{QuarantineFilter, quarantined};
use crate::storage::queries::{identity, records, related};
use crate::storage::{Executor, Snapshot, StorageError};

pub use crate::storage::queries::identity::{Merged, Named};
pub use crate::storage::queries::page::{KeyPart, Page, PageRequest, RowOf};
pub use crate::storage::queries::records::RecordFilter;
pub use crate::storage::queries::related::EventPlace;

/// Which records of a list.
pub trait Filter: Clone + Send + Sync + 'static {
    /// The ids of whose records, if it is narrowed to them.
    fn user_ids(&mut self) -> Option<&mut Vec<Uuid>>;
}

impl Filter for RecordFilter {
    fn user_ids(&mut self) -> Option<&mut Vec<Uuid>> {
        self.user_ids.as_mut()
    }
}

impl Filter for QuarantineFilter {
    fn user_ids(&mut self) -> Option<&mut Vec<Uuid>> {
        None
    }
}

/// A kind of record that is listed.
pub trait Listed: Paged {
    /// Which of them.
    type Filter: Filter;

    /// Every record that passes the filter.
    fn select(tenant: TenantId, filter: &Self::Filter) -> records::Selection<Self>;
}

impl Listed for event::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::events(tenant, filter)
    }
}

impl Listed for pageview::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::pageviews(tenant, filter)
    }
}

impl Listed for purchase::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::purchases(tenant, filter)
    }
}

impl Listed for refund::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::refunds(tenant, filter)
    }
}

impl Listed for user::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, _: &RecordFilter) -> records::Selection<Self> {
        records::users(tenant)
    }
}

impl Listed for user_agent::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::user_agents(tenant, filter)
    }
}

impl Listed for product::Entity {
    type Filter = RecordFilter;

    fn select(tenant: TenantId, filter: &RecordFilter) -> records::Selection<Self> {
        records::products(tenant, filter)
    }
}

impl Listed for quarantine::Entity {
    type Filter = QuarantineFilter;

    fn select(tenant: TenantId, filter: &QuarantineFilter) -> records::Selection<Self> {
        quarantined(tenant, filter)
    }
}

/// What records are read of: the database as it is, or one moment of it.
#[allow(
    missing_debug_implementations,
    reason = "a connection has nothing to show"
)]
pub struct Records<'a>(Executor<'a>);

impl<'a> Records<'a> {
    /// Of one moment.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self(snapshot.executor())
    }

    /// One page of a list.
    ///
    /// # Errors
    /// A cursor of another list, or that the database is away or takes too long.
    pub async fn page<E: Listed>(
        &self,
        tenant: TenantId,
        filter: &E::Filter,
        request: &PageRequest,
    ) -> Result<Page<E::Model>, Problem>
    where
        E::Model: Sync,
    {
        let mut cursors = request.after.iter().chain(&request.before);
        if !cursors.all(|place| E::fits(place)) {
            return Err(Code::InvalidCursor.into());
        }
        let select = E::select(tenant, &widened(&self.0, tenant, filter).await?);
        Ok(page::page(&self.0, select, request).await?)
    }

    /// The user agents with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user_agents_with(
        &self,
        tenant: TenantId,
        ids: &[i64],
    ) -> Result<Vec<user_agent::Model>, StorageError> {
        related::user_agents_with(&self.0, tenant, ids).await
    }

    /// The other ids of these users.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn merged_into(
        &self,
        tenant: TenantId,
        user_ids: &[Uuid],
    ) -> Result<Vec<Merged>, StorageError> {
        identity::merged_into(&self.0, tenant, user_ids).await
    }
}

/// The same filter, of all ids of the users whom its ids stand for.
async fn widened<F: Filter>(
    db: &Executor<'_>,
    tenant: TenantId,
    filter: &F,
) -> Result<F, StorageError> {
    let mut filter = filter.clone();
    if let Some(ids) = filter.user_ids() {
        *ids = identity::members(db, tenant, ids).await?;
    }
    Ok(filter)
}

impl Reports {
    /// The database as it is.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records(self.db.executor())
    }

    /// One page of a list.
    ///
    /// # Errors
    /// A cursor of another list, or that the database is away or takes too long.
    pub async fn page<E: Listed>(
        &self,
        tenant: TenantId,
        filter: &E::Filter,
        request: &PageRequest,
    ) -> Result<Page<E::Model>, Problem>
    where
        E::Model: Sync,
    {
        self.records().page::<E>(tenant, filter, request).await
    }

    /// How long a list is.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn count<E: Listed>(
        &self,
        tenant: TenantId,
        filter: &E::Filter,
    ) -> Result<u64, Problem>
    where
        E::Model: Sync,
    {
        let filter = widened(&self.db.executor(), tenant, filter).await?;
        let select = E::select(tenant, &filter);
        Ok(page::count(self.db.reads(), select).await?)
    }

    /// The event that its sender calls so.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn event(&self, tenant: TenantId, id: Uuid) -> Result<Option<event::Model>, Problem> {
        Ok(records::event(self.db.reads(), tenant, id).await?)
    }

    /// The user whom this id stands for.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user(&self, tenant: TenantId, id: Uuid) -> Result<Option<user::Model>, Problem> {
        let mut named = identity::users_with(self.db.reads(), tenant, &[id]).await?;
        Ok(named.pop().map(|named| named.user))
    }

    /// The pageview with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn pageview(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<pageview::Model>, Problem> {
        Ok(records::pageview(self.db.reads(), tenant, id).await?)
    }

    /// The purchase with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn purchase(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<purchase::Model>, Problem> {
        Ok(records::purchase(self.db.reads(), tenant, id).await?)
    }

    /// The refund with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn refund(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<refund::Model>, Problem> {
        Ok(records::refund(self.db.reads(), tenant, id).await?)
    }

    /// The product that the shop calls so.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn product(
        &self,
        tenant: TenantId,
        id: &str,
    ) -> Result<Option<product::Model>, Problem> {
        Ok(records::product(self.db.reads(), tenant, id).await?)
    }

    /// The events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn events_at(
        &self,
        tenant: TenantId,
        places: &[EventPlace],
    ) -> Result<Vec<event::Model>, StorageError> {
        related::events_at(self.db.reads(), tenant, places).await
    }

    /// The refunds of the events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn refunds_of(
        &self,
        tenant: TenantId,
        places: &[EventPlace],
    ) -> Result<Vec<refund::Model>, StorageError> {
        related::refunds_of(self.db.reads(), tenant, places).await
    }

    /// The user agents with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user_agents_with(
        &self,
        tenant: TenantId,
        ids: &[i64],
    ) -> Result<Vec<user_agent::Model>, StorageError> {
        self.records().user_agents_with(tenant, ids).await
    }

    /// The purchases of the events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn purchases_of(
        &self,
        tenant: TenantId,
        places: &[EventPlace],
    ) -> Result<Vec<purchase::Model>, StorageError> {
        related::purchases_of(self.db.reads(), tenant, places).await
    }

    /// The users whom these ids stand for.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn users_with(
        &self,
        tenant: TenantId,
        ids: &[Uuid],
    ) -> Result<Vec<Named>, StorageError> {
        identity::users_with(self.db.reads(), tenant, ids).await
    }

    /// The other ids of these users.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn merged_into(
        &self,
        tenant: TenantId,
        user_ids: &[Uuid],
    ) -> Result<Vec<Merged>, StorageError> {
        self.records().merged_into(tenant, user_ids).await
    }

    /// The products with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn products_with(
        &self,
        tenant: TenantId,
        ids: &[String],
    ) -> Result<Vec<product::Model>, StorageError> {
        related::products_with(self.db.reads(), tenant, ids).await
    }
}
