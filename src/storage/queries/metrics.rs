//! How much of each quantity is there, per bucket and group? One statement for each subject, from
//! the smallest source that answers exactly; which that is, the report says.
//!
//! A statement is put together of constant pieces ([`frame`]: where a dimension is found; [`sql`]:
//! what is bound); all values are bound. Each reads ranges of the keys of the tables it names, and
//! groups by hashing.

mod expected;
mod frame;
mod sql;
mod users;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::condition::{Condition, Key};
use crate::domain::measure::Subject;
use crate::domain::money::Currency;
use crate::domain::tenant::View;
use crate::storage::StorageError;
use crate::storage::entity::sales_minute::Grain;
pub use expected::expected;
use frame::Frame;
use sql::Sql;

/// How long a row of a rollup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Span {
    /// A minute.
    Minute,
    /// A quarter of an hour; every bound must be one.
    Quarter,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// `sales_minute` or `sales_quarter`, at this grain.
    Sales(Grain, Span),
    /// `traffic_minute` or `traffic_quarter`.
    Traffic(Span),
    /// `user_day`, where every bound is a midnight in the tenant's zone.
    UserDays,
    /// `event`, `purchase` and `refund`.
    Facts,
}

/// Which groups are told apart.
#[derive(Clone, Copy, Debug)]
pub enum Groups<'a> {
    /// All there are.
    All,
    /// These alone.
    Only(&'a [Vec<String>]),
    /// All but these, together as one.
    Except(&'a [Vec<String>]),
}

/// What is asked of a source.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// Whose facts, and which of them there are as far as this question goes.
    pub view: &'a View,
    /// The tenant's time zone, for what goes by the day.
    pub tenant_zone: Tz,
    /// Where buckets begin, and where the last one ends.
    pub bounds: &'a [DateTime<Utc>],
    /// What groups are told apart by.
    pub keys: &'a [Key],
    /// Which groups.
    pub groups: Groups<'a>,
    /// Which facts.
    pub filter: Option<&'a Condition>,
    /// Of orders: in which currency; in any if absent.
    pub currency: Option<Currency>,
    /// Whether to count what bots did.
    pub bots: bool,
    /// How many rows may be answered.
    pub limit: u32,
}

/// The quantities of one bucket and group.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Row {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// The value of each key, empty where a fact has none; nothing of all other groups together.
    pub key: Vec<String>,
    /// The quantities of the subject in their order, whole numbers.
    pub quantities: Vec<String>,
    /// How many rows of the source these are.
    pub rows_read: i64,
}

/// The quantities of a subject, in their order: lines have revenue, refunds, units, orders; events
/// have events, pageviews, additions to carts; carts have users and buyers; sessions have sessions,
/// bounces, microseconds; all others one.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn metrics(
    db: &impl ConnectionTrait,
    subject: Subject,
    source: Source,
    cut: &Cut<'_>,
) -> Result<Vec<Row>, StorageError> {
    if cut.bounds.len() < 2 {
        return Ok(Vec::new());
    }
    let rows = Row::find_by_statement(statement(subject, source, cut));
    Ok(rows.all(db).await?)
}

/// What PostgreSQL is asked for it; there are at least two bounds.
#[must_use]
pub fn statement(subject: Subject, source: Source, cut: &Cut<'_>) -> Statement {
    let sql = match (subject, source) {
        (Subject::Lines, Source::Sales(grain, span)) => sums(
            cut,
            Frame::Sales(grain, span),
            &["sum(revenue)", "sum(refunds)", "sum(units)", "sum(orders)"],
        ),
        (Subject::Lines, _) => sums(
            cut,
            Frame::Lines,
            &[
                "sum(revenue)",
                "sum(refunds)",
                "sum(units)",
                "count(DISTINCT fact.event_id) FILTER (WHERE sold)",
            ],
        ),
        (Subject::Events, Source::Traffic(span)) => sums(
            cut,
            Frame::Traffic(span),
            &[
                "sum(events)",
                "sum(pageviews)",
                "coalesce(sum(events) FILTER (WHERE event_type = 'add_to_cart'), 0)",
            ],
        ),
        (Subject::Events, _) => sums(
            cut,
            Frame::Events,
            &[
                "count(*)",
                "count(fact.page_url)",
                "count(*) FILTER (WHERE fact.event_type = 'add_to_cart')",
            ],
        ),
        (Subject::Users | Subject::Buyers, Source::UserDays) => {
            users::by_day(cut, subject == Subject::Buyers)
        }
        (Subject::Users, _) => users::distinct(cut, Frame::Events),
        (Subject::Buyers, _) => users::distinct(cut, Frame::Lines),
        (Subject::Carts, _) => users::carts(cut),
        (Subject::NewUsers, _) => users::new(cut, Frame::Events),
        (Subject::NewBuyers, _) => users::new(cut, Frame::Lines),
        (Subject::Sessions, _) => users::sessions(cut),
    };
    sql.limited(cut.limit)
}

/// The users of one bucket and group.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Members {
    /// From 1; the n-th bucket begins at the n-th bound.
    pub bucket: i32,
    /// The value of each key.
    pub key: Vec<String>,
    /// Of carts: 0 if they put something in, 1 if they bought.
    pub did: i32,
    /// The numbers of those who have one.
    pub numbers: Vec<i32>,
    /// The ids of the others.
    pub ids: Vec<Uuid>,
    /// How many facts these are.
    pub rows_read: i64,
}

/// Who the users, buyers or users of carts are whom [`metrics()`] counts, read from the facts.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn members(
    db: &impl ConnectionTrait,
    subject: Subject,
    cut: &Cut<'_>,
) -> Result<Vec<Members>, StorageError> {
    let frame = match subject {
        Subject::Buyers => Frame::Lines,
        _ => Frame::Events,
    };
    let sql = users::members(cut, frame, subject == Subject::Carts);
    let statement = sql.limited(cut.limit);
    Ok(Members::find_by_statement(statement).all(db).await?)
}

/// What a user did under a session id.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Visit {
    /// Whose it is: their number, if they have one,
    pub number: Option<i32>,
    /// and their id.
    pub who: Uuid,
    /// Under which id.
    pub session_id: String,
    /// When the first of it was.
    pub first: DateTime<Utc>,
    /// Which event that was.
    pub event_id: Uuid,
    /// When the last was.
    pub last: DateTime<Utc>,
    /// How many events they are.
    pub facts: i64,
    /// Of the first: from which region.
    pub region: String,
    /// By which channel.
    pub channel: String,
    /// Of which campaign.
    pub campaign: String,
    /// On which page.
    pub page: String,
    /// With which device.
    pub device: String,
}

/// The visits between the first and the last bound, read from the facts.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn visits(db: &impl ConnectionTrait, cut: &Cut<'_>) -> Result<Vec<Visit>, StorageError> {
    let statement = users::visits(cut).limited(cut.limit);
    Ok(Visit::find_by_statement(statement).all(db).await?)
}

/// Sums over the rows of a frame.
fn sums(cut: &Cut<'_>, frame: Frame, quantities: &[&str]) -> Sql {
    let mut sql = Sql::default();
    let bounds = sql.bind(cut.bounds.to_vec());
    let from = frame.from(&mut sql, cut);
    let keys = frame.keys(&mut sql, cut);
    let condition = frame.condition(&mut sql, cut, &keys);
    let time = frame.time();
    sql.select(
        cut,
        &keys,
        &format!("width_bucket({time}, {bounds})"),
        quantities,
        "count(*)",
        &format!("FROM {from} WHERE {condition}"),
    );
    sql
}
