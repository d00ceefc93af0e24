//! Relay connections: opaque keyset cursors, a cap on the page, a total only when it is asked for.

use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields};
use async_graphql::{Context, Object, OutputType, Result, SchemaBuilder};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::audit::AuditEntry;
use super::event::Event;
use super::pageview::Pageview;
use super::product::Product;
use super::purchase::Purchase;
use super::quarantine::QuarantinedEvent;
use super::refund::Refund;
use super::user::User;
use super::user_agent::UserAgent;
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::graphql::context::ContextExt;
use crate::graphql::limits::{DEFAULT_PAGE, MAX_PAGE};
use crate::reports::records::{KeyPart, Listed, PageRequest};
use crate::reports::{Reports, cursor};

/// A list, and a row's place in it.
pub(in crate::graphql) struct Cursor(&'static str, Vec<KeyPart>);

impl Cursor {
    /// The text that names a place in a list.
    pub(in crate::graphql) fn of<E: Listed>(place: Vec<KeyPart>) -> String {
        Self(E::list(), place).encode_cursor()
    }
}

impl CursorType for Cursor {
    type Error = std::convert::Infallible;

    fn decode_cursor(_: &str) -> Result<Self, Self::Error> {
        unreachable!("cursors are read by PageArguments, which has an error for those that are not")
    }

    fn encode_cursor(&self) -> String {
        cursor::encode(self.0, &self.1)
    }
}

/// The arguments of every connection.
pub(in crate::graphql) struct PageArguments {
    pub(in crate::graphql) first: Option<i32>,
    pub(in crate::graphql) after: Option<String>,
    pub(in crate::graphql) last: Option<i32>,
    pub(in crate::graphql) before: Option<String>,
}

impl PageArguments {
    fn request<E: Listed>(self) -> Result<PageRequest, Problem> {
        let (size, from_end) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(Code::InvalidPage.into()),
            (None, Some(last)) => (last, true),
            (first, None) => (first.unwrap_or(DEFAULT_PAGE), false),
        };
        if !(1..=MAX_PAGE).contains(&size) {
            return Err(Code::InvalidPage.into());
        }
        Ok(PageRequest {
            limit: u64::try_from(size).unwrap_or(1),
            from_end,
            after: self.after.as_deref().map(cursor::decode::<E>).transpose()?,
            before: self
                .before
                .as_deref()
                .map(cursor::decode::<E>)
                .transpose()?,
        })
    }
}

type Count = Box<dyn Fn(Reports) -> BoxFuture<'static, Result<u64, Problem>> + Send + Sync>;

/// What a connection has beside its edges.
pub(in crate::graphql) struct Total {
    count: Count,
}

/// The whole list.
#[Object]
impl Total {
    /// How many records pass the filter; counted when asked for, which takes longer than a page.
    #[graphql(complexity = 25, cache_control(no_cache))]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64> {
        Ok((self.count)(ctx.reports().clone()).await?)
    }
}

pub(in crate::graphql) type Records<N> = Connection<Cursor, N, Total, EmptyFields>;

/// Says of each connection what it is, which the library does not.
pub(in crate::graphql) fn described<Q, M, S>(
    builder: SchemaBuilder<Q, M, S>,
) -> SchemaBuilder<Q, M, S> {
    builder
        .override_output_type_description::<Records<AuditEntry>>(
            "A page of entries of the audit log.",
        )
        .override_output_type_description::<Records<Event>>("A page of events.")
        .override_output_type_description::<Records<Pageview>>("A page of pageviews.")
        .override_output_type_description::<Records<Product>>("A page of products.")
        .override_output_type_description::<Records<Purchase>>("A page of purchases.")
        .override_output_type_description::<Records<QuarantinedEvent>>(
            "A page of events in quarantine.",
        )
        .override_output_type_description::<Records<Refund>>("A page of refunds.")
        .override_output_type_description::<Records<User>>("A page of users.")
        .override_output_type_description::<Records<UserAgent>>("A page of user agents.")
}

/// One page of the records that one sees and that pass a filter.
pub(in crate::graphql) async fn records<E, N>(
    reports: &Reports,
    view: &View,
    filter: E::Filter,
    arguments: PageArguments,
) -> Result<Records<N>, Problem>
where
    E: Listed,
    E::Model: Sync,
    N: OutputType + From<E::Model>,
{
    let request = arguments.request::<E>()?;
    let page = reports.page::<E>(view, &filter, &request).await?;
    let (has_previous, has_next) = if request.from_end {
        (page.has_more, request.before.is_some())
    } else {
        (request.after.is_some(), page.has_more)
    };
    let view = view.clone();
    let count = move |reports: Reports| {
        let (view, filter) = (view.clone(), filter.clone());
        async move { reports.count::<E>(&view, &filter).await }.boxed()
    };
    let total = Total {
        count: Box::new(count),
    };
    let mut connection = Connection::with_additional_fields(has_previous, has_next, total);
    let edge = |row: E::Model| Edge::new(Cursor(E::list(), E::place(&row)), N::from(row));
    connection.edges.extend(page.rows.into_iter().map(edge));
    Ok(connection)
}
