//! Exports as files: how they are written, and `GET /v1/exports/{token}`, which gives them.
//!
//! Who has the secret of a link needs no key. The export's id works in its place, with a key. A file
//! is read piece by piece as the client takes it, and may be asked for in parts.

mod range;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Extract};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::stream::try_unfold;
use uuid::Uuid;

use super::export::push;
use super::lists::request;
use super::metrics::Metrics;
use super::rows::Row;
use super::rows::event::Event;
use super::rows::pageview::Pageview;
use super::rows::product::Product;
use super::rows::purchase::Purchase;
use super::rows::refund::Refund;
use super::rows::user::User;
use super::table::Table;
use crate::access::{Credentials, Identity, Scope};
use crate::domain::tenant::View;
use crate::error::{Code, Problem};
use crate::http::State;
use crate::http::identity::{self, Whence};
use crate::http::stream::Unpacked;
use crate::reports::cursor;
use crate::reports::exports::run::Rendering;
use crate::reports::exports::{
    Export, ExportFormat, ExportQuestion, ExportState, Exported, File, Stop,
};
use crate::reports::metrics::{MetricsAnswer, MetricsQuestion};
use crate::reports::records::{RecordFilter, Records};
use range::Part;

/// How many records are read at a time.
const PAGE: u64 = 1_000;
/// How many bytes are handed over at a time, about.
const PIECE: usize = 64 * 1024;

/// Writes exports in the words of the REST face.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Rendering for Files {
    async fn list(
        &self,
        records: &Records<'_>,
        view: &View,
        question: &ExportQuestion,
        file: &mut File<'_>,
    ) -> Result<(), Stop> {
        let format = question.format;
        match &question.what {
            Exported::Events(filter) => list::<Event>(records, view, filter, format, file).await,
            Exported::Pageviews(filter) => {
                list::<Pageview>(records, view, filter, format, file).await
            }
            Exported::Users(filter) => list::<User>(records, view, filter, format, file).await,
            Exported::Purchases(filter) => {
                list::<Purchase>(records, view, filter, format, file).await
            }
            Exported::Refunds(filter) => list::<Refund>(records, view, filter, format, file).await,
            Exported::Products(filter) => {
                list::<Product>(records, view, filter, format, file).await
            }
            Exported::Metrics(_) | Exported::UserData(_) => Ok(()),
        }
    }

    fn metrics(
        &self,
        question: &MetricsQuestion,
        answer: MetricsAnswer,
        format: ExportFormat,
    ) -> (Vec<u8>, u64) {
        let answer = Metrics::of(question, answer);
        let rows = answer.rows();
        let text = match format {
            ExportFormat::Csv => {
                let mut table = Table::default();
                answer.write(&question.keys, &mut table);
                table.take()
            }
            ExportFormat::Ndjson => answer.lines().1,
        };
        (text, rows)
    }
}

/// Writes a whole list, page by page.
async fn list<R: Row>(
    records: &Records<'_>,
    view: &View,
    filter: &RecordFilter,
    format: ExportFormat,
    file: &mut File<'_>,
) -> Result<(), Stop> {
    let (mut table, mut lines) = (Table::default(), Vec::new());
    if format == ExportFormat::Csv {
        for name in R::COLUMNS {
            table.text(*name);
        }
        table.end_line();
    }
    let (mut after, mut waiting) = (None, 0);
    loop {
        let wanted = request(PAGE, after);
        let page = records.page::<R::Of>(view, filter, &wanted).await?;
        after = page.rows.last().map(cursor::place::<R::Of>);
        for row in R::of_page(records, view, page.rows).await? {
            match format {
                ExportFormat::Csv => {
                    row.write(&mut table);
                    table.end_line();
                }
                ExportFormat::Ndjson => push(&mut lines, &row),
            }
            waiting += 1;
            if table.len() + lines.len() >= PIECE {
                file.write(&taken(&mut table, &mut lines), waiting).await?;
                waiting = 0;
            }
        }
        if !page.has_more {
            break;
        }
    }
    file.write(&taken(&mut table, &mut lines), waiting).await
}

/// What was written in either form.
fn taken(table: &mut Table, lines: &mut Vec<u8>) -> Vec<u8> {
    let mut text = table.take();
    text.append(lines);
    text
}

/// The file of an export.
///
/// `token` is the secret of the link that `createExport` tells, and no key is needed; or the
/// export's id, and a key with the scope `export` is. The file is packed with gzip. It can be asked for
/// in parts with `Range`, so that a download goes on where it was cut off.
#[utoipa::path(
    get, path = "/v1/exports/{token}", tag = "Exports",
    params(("token" = String, Path, description = "The secret of the link, or the export's id.")),
    responses(
        (status = 200, description = "The whole file.", body = Vec<u8>, content_type = "application/gzip"),
        (status = 206, description = "The part that `Range` names.", body = Vec<u8>, content_type = "application/gzip"),
    )
)]
pub(in crate::http) async fn file(
    Extract(state): Extract<State>,
    Path(token): Path<String>,
    whence: Whence,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let (export, key) = match token.parse::<Uuid>() {
        Ok(id) => {
            let key = whence.with(identity::key(&headers)?);
            let identity = let_in(&state, &key).await?;
            (
                state.reports.export(&identity.viewer(), id).await?,
                Some(key),
            )
        }
        Err(_) => (state.reports.linked_export(&token).await?, None),
    };
    match export.state {
        ExportState::Done => {}
        ExportState::Expired => return Err(Code::UnknownExport.into()),
        ExportState::Queued | ExportState::Running | ExportState::Failed => {
            return Err(Code::ExportNotReady.into());
        }
    }
    let version = format!("\"{}\"", export.version());
    let length = u64::try_from(export.bytes).unwrap_or(0);
    let (status, part) = match Part::asked(&headers, &version, length) {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Of(part) => (StatusCode::PARTIAL_CONTENT, part),
        Part::None => {
            let mut answer = Problem::new(Code::UnsatisfiableRange).into_response();
            let of = header(&format!("bytes */{length}"));
            answer.headers_mut().insert(CONTENT_RANGE, of);
            return Ok(answer);
        }
    };
    let named = export.question.as_ref();
    let ending = named.map_or("gz".to_owned(), |asked| {
        format!("{}.gz", asked.format.ending())
    });
    let name = named.map_or("export", |asked| asked.what.name());
    let created = export.created_at.format("%Y%m%dT%H%M%SZ");
    let disposition = format!("attachment; filename=\"{name}-{created}.{ending}\"");
    let (first, bytes) = (part.start, part.end - part.start);
    let body = body(state, key, export, part);
    // It is packed already.
    let mut answer = (status, Extension(Unpacked), body).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(CONTENT_DISPOSITION, header(&disposition));
    headers.insert(CONTENT_LENGTH, bytes.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(ETAG, header(&version));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = first + bytes - 1;
        let of = header(&format!("bytes {first}-{last}/{length}"));
        headers.insert(CONTENT_RANGE, of);
    }
    Ok(answer)
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("it has letters, digits and signs alone")
}

/// Who has this key, if it opens files.
async fn let_in(state: &State, key: &Credentials) -> Result<Arc<Identity>, Problem> {
    let identity = state.access.identify(key).await?;
    identity.may(Scope::Export)?;
    identity.may_ask_freely()?;
    Ok(identity)
}

/// The bytes of a part; it breaks off if they are deleted meanwhile, or the key opens them no more.
fn body(
    state: State,
    key: Option<Credentials>,
    export: Export,
    part: std::ops::Range<u64>,
) -> Body {
    let pieces = try_unfold(part.start, move |at| {
        let (state, key, export, end) = (state.clone(), key.clone(), export.clone(), part.end);
        async move {
            if at >= end {
                return Ok(None);
            }
            if let Some(key) = &key
                && let Err(problem) = let_in(&state, key).await
            {
                return Err(std::io::Error::other(problem.message().to_owned()));
            }
            let reports = &state.reports;
            let place = i64::try_from(at).map_err(std::io::Error::other)?;
            let read = reports.export_bytes(&export, place).await;
            let mut bytes = read.map_err(|_| std::io::Error::other("the database is away"))?;
            bytes.truncate(usize::try_from(end - at).unwrap_or(usize::MAX));
            if bytes.is_empty() {
                return Err(std::io::Error::other("the export was deleted"));
            }
            let next = at + bytes.len() as u64;
            Ok(Some((Bytes::from(bytes), next)))
        }
    });
    Body::from_stream(pieces)
}
