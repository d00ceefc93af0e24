//! Pages through a table by its key: a page costs the same however deep it lies.
//!
//! Each table has one order, that of an index; a cursor is a row's place in it. The comparison is
//! one of rows, `(timestamp, event_id) < ($1, $2)`, which the index answers, beside one of the
//! timestamp alone, which tells the planner which partitions to leave out.

use chrono::{DateTime, Datelike, Utc};
use sea_orm::sea_query::{ExprTrait, Order, SimpleExpr};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DatabaseConnection, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Value,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::storage::StorageError;
use crate::storage::entity::{
    audit, event, pageview, product, purchase, quarantine, refund, user, user_agent,
};

/// One column of a row's place. Each tells its kind, for a text may look like an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPart {
    /// Microseconds since 1970.
    Time(i64),
    /// An id.
    Id(Uuid),
    /// An id that is a hash, or a number.
    Hash(i64),
    /// A text.
    Text(String),
}

impl KeyPart {
    fn time(at: DateTime<Utc>) -> Self {
        Self::Time(at.timestamp_micros())
    }

    fn value(&self) -> Value {
        match self {
            Self::Time(micros) => DateTime::from_timestamp_micros(*micros).into(),
            Self::Id(id) => (*id).into(),
            Self::Hash(hash) => (*hash).into(),
            Self::Text(text) => text.clone().into(),
        }
    }

    /// Whether PostgreSQL can compare it with this column.
    fn fits(&self, column: &impl ColumnTrait) -> bool {
        match (self, column.def().get_column_type()) {
            (Self::Time(micros), ColumnType::TimestampWithTimeZone) => {
                let at = DateTime::from_timestamp_micros(*micros);
                at.is_some_and(|at| (1970..2101).contains(&at.year()))
            }
            (Self::Id(_), ColumnType::Uuid) | (Self::Hash(_), ColumnType::BigInteger) => true,
            (Self::Text(text), ColumnType::String(_) | ColumnType::Text) => !text.contains('\0'),
            _ => false,
        }
    }
}

/// A row of a table.
pub type RowOf<E> = <E as EntityTrait>::Model;

/// A table that can be paged.
pub trait Paged: EntityTrait {
    /// The key's columns behind the tenant.
    fn key() -> Vec<Self::Column>;
    /// A row's place.
    fn place(row: &Self::Model) -> Vec<KeyPart>;
    /// Whether the last in the key's order comes first.
    const NEWEST_FIRST: bool;

    /// The table's name: tells the cursors of different lists apart.
    #[must_use]
    fn list() -> &'static str {
        Self::default().table_name()
    }

    /// Whether a place can be one in this table's order: a client may have made it up.
    #[must_use]
    fn fits(place: &[KeyPart]) -> bool {
        let key = Self::key();
        let mut pairs = key.iter().zip(place);
        key.len() == place.len() && pairs.all(|(column, part)| part.fits(column))
    }
}

impl Paged for event::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        vec![event::Column::Timestamp, event::Column::EventId]
    }
    fn place(row: &event::Model) -> Vec<KeyPart> {
        vec![KeyPart::time(row.timestamp), KeyPart::Id(row.event_id)]
    }
}

impl Paged for pageview::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        vec![pageview::Column::Timestamp, pageview::Column::EventId]
    }
    fn place(row: &pageview::Model) -> Vec<KeyPart> {
        vec![KeyPart::time(row.timestamp), KeyPart::Id(row.event_id)]
    }
}

impl Paged for purchase::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        use purchase::Column::{EventId, PurchaseId, Timestamp};
        vec![Timestamp, EventId, PurchaseId]
    }
    fn place(row: &purchase::Model) -> Vec<KeyPart> {
        vec![
            KeyPart::time(row.timestamp),
            KeyPart::Id(row.event_id),
            KeyPart::Id(row.purchase_id),
        ]
    }
}

impl Paged for refund::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        use refund::Column::{EventId, RefundId, Timestamp};
        vec![Timestamp, EventId, RefundId]
    }
    fn place(row: &refund::Model) -> Vec<KeyPart> {
        vec![
            KeyPart::time(row.timestamp),
            KeyPart::Id(row.event_id),
            KeyPart::Id(row.refund_id),
        ]
    }
}

impl Paged for user::Entity {
    const NEWEST_FIRST: bool = false;
    fn key() -> Vec<Self::Column> {
        vec![user::Column::UserId]
    }
    fn place(row: &user::Model) -> Vec<KeyPart> {
        vec![KeyPart::Id(row.user_id)]
    }
}

impl Paged for user_agent::Entity {
    const NEWEST_FIRST: bool = false;
    fn key() -> Vec<Self::Column> {
        vec![user_agent::Column::UserAgentId]
    }
    fn place(row: &user_agent::Model) -> Vec<KeyPart> {
        vec![KeyPart::Hash(row.user_agent_id)]
    }
}

impl Paged for product::Entity {
    const NEWEST_FIRST: bool = false;
    fn key() -> Vec<Self::Column> {
        vec![product::Column::ProductId]
    }
    fn place(row: &product::Model) -> Vec<KeyPart> {
        vec![KeyPart::Text(row.product_id.clone())]
    }
}

impl Paged for audit::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        vec![audit::Column::EntryId]
    }
    fn place(row: &audit::Model) -> Vec<KeyPart> {
        vec![KeyPart::Hash(row.entry_id)]
    }
}

impl Paged for quarantine::Entity {
    const NEWEST_FIRST: bool = true;
    fn key() -> Vec<Self::Column> {
        use quarantine::Column::{QuarantineId, ReceivedAt};
        vec![ReceivedAt, QuarantineId]
    }
    fn place(row: &quarantine::Model) -> Vec<KeyPart> {
        vec![
            KeyPart::time(row.received_at),
            KeyPart::Id(row.quarantine_id),
        ]
    }
}

/// Which rows of a list.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// How many at the most.
    pub limit: u64,
    /// From the end of the list instead of its beginning.
    pub from_end: bool,
    /// Only what comes after this place.
    pub after: Option<Vec<KeyPart>>,
    /// Only what comes before this place.
    pub before: Option<Vec<KeyPart>>,
}

/// Some rows of a list, in the list's order.
#[derive(Clone, Debug)]
pub struct Page<M> {
    /// The rows.
    pub rows: Vec<M>,
    /// Whether there are more in the direction of the request.
    pub has_more: bool,
}

/// Reads one page of what `select` selects.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn page<E: Paged>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    request: &PageRequest,
) -> Result<Page<E::Model>, StorageError>
where
    E::Model: Sync,
{
    let descending = E::NEWEST_FIRST != request.from_end;
    let mut select = select;
    if let Some(place) = &request.after {
        select = select.filter(beyond::<E>(place, E::NEWEST_FIRST));
    }
    if let Some(place) = &request.before {
        select = select.filter(beyond::<E>(place, !E::NEWEST_FIRST));
    }
    let order = if descending { Order::Desc } else { Order::Asc };
    for column in E::key() {
        select = select.order_by(column, order.clone());
    }
    let mut rows = select.limit(request.limit + 1).all(db).await?;
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if request.from_end {
        rows.reverse();
    }
    Ok(Page { rows, has_more })
}

/// Counts what `select` selects.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn count<E: Paged>(
    db: &DatabaseConnection,
    select: Select<E>,
) -> Result<u64, StorageError>
where
    E::Model: Sync,
{
    Ok(select.count(db).await?)
}

/// Whether a row lies below (or else above) a place.
pub(super) fn beyond<E: Paged>(place: &[KeyPart], below: bool) -> SimpleExpr {
    let columns = E::key();
    let leading = columns[0];
    let leading_value = place[0].value();
    let row = SimpleExpr::Tuple(columns.iter().map(|column| column.into_expr()).collect());
    let bound = SimpleExpr::Tuple(place.iter().map(|part| part.value().into()).collect());
    if below {
        row.lt(bound).and(leading.lte(leading_value))
    } else {
        row.gt(bound).and(leading.gte(leading_value))
    }
}
