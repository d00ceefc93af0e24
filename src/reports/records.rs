//! Single records, lists of them, and what belongs to them.

use uuid::Uuid;

use super::Reports;
use crate::domain::tenant::{TenantId, View};
use crate::error::{Code, Problem};
use crate::storage::entity::{
    audit, event, pageview, product, purchase, quarantine, refund, user, user_agent,
};
use crate::storage::queries::audit::{entries, entry};
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

    /// Every record that one sees and that passes the filter.
    ///
    /// # Errors
    /// A view by what these have not.
    fn select(view: &View, filter: &Self::Filter)
    -> Result<records::Selection<Self>, StorageError>;
}

impl Listed for event::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::events(view, filter)
    }
}

impl Listed for pageview::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::pageviews(view, filter)
    }
}

impl Listed for purchase::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::purchases(view, filter)
    }
}

impl Listed for refund::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::refunds(view, filter)
    }
}

impl Listed for user::Entity {
    type Filter = RecordFilter;

    fn select(view: &View, _: &RecordFilter) -> Result<records::Selection<Self>, StorageError> {
        records::users(view)
    }
}

impl Listed for user_agent::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::user_agents(view, filter)
    }
}

impl Listed for product::Entity {
    type Filter = RecordFilter;

    fn select(
        view: &View,
        filter: &RecordFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        records::products(view, filter)
    }
}

impl Listed for audit::Entity {
    type Filter = RecordFilter;

    fn select(view: &View, _: &RecordFilter) -> Result<records::Selection<Self>, StorageError> {
        if !view.is_whole() {
            return Err(StorageError::OutOfScope);
        }
        Ok(entries(view.tenant()))
    }
}

impl Listed for quarantine::Entity {
    type Filter = QuarantineFilter;

    fn select(
        view: &View,
        filter: &QuarantineFilter,
    ) -> Result<records::Selection<Self>, StorageError> {
        if !view.is_whole() {
            return Err(StorageError::OutOfScope);
        }
        Ok(quarantined(view.tenant(), filter))
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
        view: &View,
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
        let select = E::select(view, &widened(&self.0, view.tenant(), filter).await?)?;
        Ok(page::page(&self.0, select, request).await?)
    }

    /// The user agents with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user_agents_with(
        &self,
        view: &View,
        ids: &[i64],
    ) -> Result<Vec<user_agent::Model>, StorageError> {
        related::user_agents_with(&self.0, view, ids).await
    }

    /// The other ids of these users.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn merged_into(
        &self,
        view: &View,
        user_ids: &[Uuid],
    ) -> Result<Vec<Merged>, StorageError> {
        identity::merged_into(&self.0, view, user_ids).await
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
        view: &View,
        filter: &E::Filter,
        request: &PageRequest,
    ) -> Result<Page<E::Model>, Problem>
    where
        E::Model: Sync,
    {
        self.records().page::<E>(view, filter, request).await
    }

    /// How long a list is.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn count<E: Listed>(&self, view: &View, filter: &E::Filter) -> Result<u64, Problem>
    where
        E::Model: Sync,
    {
        let filter = widened(&self.db.executor(), view.tenant(), filter).await?;
        let select = E::select(view, &filter)?;
        Ok(page::count(self.db.reads(), select).await?)
    }

    /// The event that its sender calls so.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn event(&self, view: &View, id: Uuid) -> Result<Option<event::Model>, Problem> {
        Ok(records::event(self.db.reads(), view, id).await?)
    }

    /// The user whom this id stands for.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user(&self, view: &View, id: Uuid) -> Result<Option<user::Model>, Problem> {
        let mut named = identity::users_with(self.db.reads(), view, &[id]).await?;
        Ok(named.pop().map(|named| named.user))
    }

    /// The pageview with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn pageview(
        &self,
        view: &View,
        id: Uuid,
    ) -> Result<Option<pageview::Model>, Problem> {
        Ok(records::pageview(self.db.reads(), view, id).await?)
    }

    /// The purchase with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn purchase(
        &self,
        view: &View,
        id: Uuid,
    ) -> Result<Option<purchase::Model>, Problem> {
        Ok(records::purchase(self.db.reads(), view, id).await?)
    }

    /// The entry at this place of the audit log.
    ///
    /// # Errors
    /// [`Code::OutOfScope`], or that the database is away or takes too long.
    pub async fn audit_entry(
        &self,
        view: &View,
        number: i64,
    ) -> Result<Option<audit::Model>, Problem> {
        if !view.is_whole() {
            return Err(Code::OutOfScope.into());
        }
        Ok(entry(self.db.control(), view.tenant(), number).await?)
    }

    /// The refund with this id.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn refund(&self, view: &View, id: Uuid) -> Result<Option<refund::Model>, Problem> {
        Ok(records::refund(self.db.reads(), view, id).await?)
    }

    /// The product that the shop calls so.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn product(&self, view: &View, id: &str) -> Result<Option<product::Model>, Problem> {
        Ok(records::product(self.db.reads(), view, id).await?)
    }

    /// The events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn events_at(
        &self,
        view: &View,
        places: &[EventPlace],
    ) -> Result<Vec<event::Model>, StorageError> {
        related::events_at(self.db.reads(), view, places).await
    }

    /// The refunds of the events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn refunds_of(
        &self,
        view: &View,
        places: &[EventPlace],
    ) -> Result<Vec<refund::Model>, StorageError> {
        related::refunds_of(self.db.reads(), view, places).await
    }

    /// The user agents with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn user_agents_with(
        &self,
        view: &View,
        ids: &[i64],
    ) -> Result<Vec<user_agent::Model>, StorageError> {
        self.records().user_agents_with(view, ids).await
    }

    /// The purchases of the events at these places.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn purchases_of(
        &self,
        view: &View,
        places: &[EventPlace],
    ) -> Result<Vec<purchase::Model>, StorageError> {
        related::purchases_of(self.db.reads(), view, places).await
    }

    /// The users whom these ids stand for.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn users_with(&self, view: &View, ids: &[Uuid]) -> Result<Vec<Named>, StorageError> {
        identity::users_with(self.db.reads(), view, ids).await
    }

    /// The other ids of these users.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn merged_into(
        &self,
        view: &View,
        user_ids: &[Uuid],
    ) -> Result<Vec<Merged>, StorageError> {
        self.records().merged_into(view, user_ids).await
    }

    /// The products with these ids.
    ///
    /// # Errors
    /// That the database is away or takes too long.
    pub async fn products_with(
        &self,
        view: &View,
        ids: &[String],
    ) -> Result<Vec<product::Model>, StorageError> {
        related::products_with(self.db.reads(), view, ids).await
    }
}
