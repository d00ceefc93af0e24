//! Lists of records: a page as JSON, or all of it as a stream.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::export::Export;
use super::format::Format;
use super::parameters::{Parameters, maybe_instant, range, texts, word};
use super::rows::Row;
use super::rows::event::Event;
use super::rows::pageview::Pageview;
use super::rows::product::Product;
use super::rows::purchase::Purchase;
use super::rows::refund::Refund;
use super::rows::user::User;
use super::{Reader, json};
use crate::access::Scope;
use crate::access::limits::Kind;
use crate::error::{Code, Problem};
use crate::http::State;
use crate::http::etag::{self, Tag};
use crate::reports::cursor;
use crate::reports::parameters::{types, word as stored_word};
use crate::reports::records::{KeyPart, PageRequest, RecordFilter};

/// How many records a page has at most.
const MAX_PAGE: u64 = 500;
/// How many a page has unless it says otherwise.
const DEFAULT_PAGE: u64 = 100;

/// Parameters of a list: its own, and those of all lists.
macro_rules! parameters {
    ($(#[doc = $doc:literal] $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        #[doc = $doc]
        #[derive(Deserialize, IntoParams)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(in crate::http) struct $name {
            $($(#[$meta])* $field: $type,)*
            /// How many records: of JSON 1 to 500, 100 if absent; of a stream any number, all if
            /// absent.
            #[param(minimum = 1)]
            limit: Option<u64>,
            /// Go on behind this place: a `nextCursor` or the `cursor` of a record of this list.
            cursor: Option<String>,
            /// In which format, whatever `Accept` says: `json` (a page), `csv` or `ndjson` (streams).
            #[serde(default, deserialize_with = "word")]
            #[param(inline)]
            format: Option<Format>,
        }

        impl $name {
            fn paging(&mut self) -> Paging {
                Paging {
                    limit: self.limit,
                    cursor: self.cursor.take(),
                    format: self.format,
                }
            }
        }
    )+};
}

parameters! {
    /// Which events.
    EventsParameters {
        /// Of any of these types, after commas: at most 50.
        #[serde(default, deserialize_with = "texts")]
        #[param(style = Form, explode = false)]
        types: Option<Vec<String>>,
        /// Not before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        from: Option<DateTime<Utc>>,
        /// Before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        to: Option<DateTime<Utc>>,
        /// Of the user whom this id of the server's stands for, under whichever of their ids.
        user_id: Option<Uuid>,
        /// Of this region.
        region: Option<String>,
        /// Of bots alone, or of others alone.
        bot: Option<bool>,
    }
    /// Which pageviews.
    PageviewsParameters {
        /// Not before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        from: Option<DateTime<Utc>>,
        /// Before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        to: Option<DateTime<Utc>>,
        /// Of the user whom this id of the server's stands for, under whichever of their ids.
        user_id: Option<Uuid>,
        /// Of this region.
        region: Option<String>,
    }
    /// Which purchases or refunds.
    PurchasesParameters {
        /// Not before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        from: Option<DateTime<Utc>>,
        /// Before: RFC 3339 with an offset, taken to whole minutes.
        #[serde(default, deserialize_with = "maybe_instant")]
        to: Option<DateTime<Utc>>,
        /// Of the user whom this id of the server's stands for, under whichever of their ids.
        user_id: Option<Uuid>,
        /// Of this product: the shop's id.
        product_id: Option<String>,
        /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
        category: Option<String>,
        /// Of this region.
        region: Option<String>,
    }
    /// Which users: all.
    UsersParameters {}
    /// Which products.
    ProductsParameters {
        /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
        category: Option<String>,
    }
}

/// What all lists take.
struct Paging {
    limit: Option<u64>,
    cursor: Option<String>,
    format: Option<Format>,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct List<R> {
    /// The records.
    data: Vec<R>,
    /// Where to go on, with `cursor`; null at the end of the list.
    next_cursor: Option<String>,
}

macro_rules! list {
    ($(#[$doc:meta])+ $name:ident, $path:literal, $row:ident, $parameters:ident, $filter:expr) => {
        $(#[$doc])+
        #[utoipa::path(
            get, path = $path, tag = "Lists", params($parameters),
            responses((status = 200, description = "A page as JSON, or the list as a stream.", content(
                (List<$row> = "application/json"),
                ($row = "application/x-ndjson"),
                (String = "text/csv"),
            )))
        )]
        pub(in crate::http) async fn $name(
            Extract(state): Extract<State>,
            reader: Reader,
            Parameters(mut asked): Parameters<$parameters>,
            headers: HeaderMap,
        ) -> Result<Response<Body>, Problem> {
            let paging = asked.paging();
            let filter: fn($parameters) -> Result<RecordFilter, Problem> = $filter;
            let filter = filter(asked)?;
            answer::<$row>(state, reader, &headers, filter, paging).await
        }
    };
}

list! {
    /// Events, the newest first.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    events, "/v1/events", Event, EventsParameters,
    |asked| Ok(RecordFilter {
        types: asked.types.map(types).transpose()?,
        range: range(asked.from, asked.to)?,
        user_ids: asked.user_id.map(|id| vec![id]),
        region: stored_word(asked.region)?,
        bot: asked.bot,
        ..RecordFilter::default()
    })
}

list! {
    /// Pageviews, the newest first.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    pageviews, "/v1/pageviews", Pageview, PageviewsParameters,
    |asked| Ok(RecordFilter {
        range: range(asked.from, asked.to)?,
        user_ids: asked.user_id.map(|id| vec![id]),
        region: stored_word(asked.region)?,
        ..RecordFilter::default()
    })
}

list! {
    /// Users, by id, each once whatever ids turned out to be theirs.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    users, "/v1/users", User, UsersParameters, |_| Ok(RecordFilter::default())
}

list! {
    /// Lines of orders, the newest first.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    purchases, "/v1/purchases", Purchase, PurchasesParameters, lines
}

list! {
    /// Lines of what was paid back, the newest first.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    refunds, "/v1/refunds", Refund, PurchasesParameters, lines
}

list! {
    /// Products of the catalogue, by id.
    ///
    /// Needs the scope `read`; as a stream `export`, too.
    products, "/v1/products", Product, ProductsParameters,
    |asked| Ok(RecordFilter {
        category: stored_word(asked.category)?,
        ..RecordFilter::default()
    })
}

fn lines(asked: PurchasesParameters) -> Result<RecordFilter, Problem> {
    Ok(RecordFilter {
        range: range(asked.from, asked.to)?,
        user_ids: asked.user_id.map(|id| vec![id]),
        product_id: stored_word(asked.product_id)?,
        category: stored_word(asked.category)?,
        region: stored_word(asked.region)?,
        ..RecordFilter::default()
    })
}

async fn answer<R: Row>(
    state: State,
    reader: Reader,
    headers: &HeaderMap,
    filter: RecordFilter,
    paging: Paging,
) -> Result<Response<Body>, Problem> {
    let format = Format::wanted(paging.format, headers)?;
    let after = paging.cursor.as_deref().map(cursor::decode::<R::Of>);
    let after = after.transpose()?;
    if format != Format::Json {
        if paging.limit == Some(0) {
            return Err(unfit_limit("`limit` of a stream is at least 1."));
        }
        reader.identity.may(Scope::Export)?;
        state
            .limits
            .take(&reader.identity, Kind::Exports, 1)
            .await?;
        let export = Export::<R>::new(state, reader, filter, after, paging.limit, format)?;
        return export.answer().await;
    }
    let limit = paging.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("`limit` of a page is 1 to {MAX_PAGE}.");
        return Err(unfit_limit(&detail));
    }
    let view = reader.identity.view();
    let request = request(limit, after);
    let page = state.reports.page::<R::Of>(view, &filter, &request).await?;
    let end = page.rows.last().filter(|_| page.has_more);
    let list = List {
        next_cursor: end.map(cursor::of::<R::Of>),
        data: R::of_page(&state.reports.records(), view, page.rows).await?,
    };
    let body = json(&list);
    let tag = Tag::strong(&body);
    Ok(etag::answer(
        headers,
        &tag,
        etag::PRIVATE,
        format.kind(),
        body,
    ))
}

/// So many records behind a place.
pub(super) fn request(limit: u64, after: Option<Vec<KeyPart>>) -> PageRequest {
    PageRequest {
        limit,
        after,
        ..PageRequest::default()
    }
}

fn unfit_limit(detail: &str) -> Problem {
    Problem::with(Code::InvalidParameter, detail)
}
