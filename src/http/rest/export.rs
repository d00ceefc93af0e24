//! A whole list as a stream, of any length in constant memory.
//!
//! It is read page by page, each behind the last record of the one before, so it holds neither a
//! transaction nor a connection while the client takes its time. While a page is written the next one
//! is read. Each record carries the cursor of its place: who was cut off goes on from the last whole
//! one. A stream that ends well says so: as lines of JSON with a last line, as CSV by ending as HTTP
//! has it. One that does not, does not.

mod lines;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(super) use lines::push;
use lines::{End, Last, Line};

use super::Reader;
use super::format::Format;
use super::lists::request;
use super::rows::Row;
use super::table::Table;
use crate::access::{Credentials, Identity, Scope};
use crate::domain::tenant::{TenantId, View};
use crate::error::{Code, Problem};
use crate::http::State;
use crate::http::turns::{Turn, Turns};
use crate::reports::cursor;
use crate::reports::records::{KeyPart, RecordFilter};

/// How many exports run at a time, of all and of one tenant.
const EXPORTS: usize = 8;
const EXPORTS_OF_TENANT: usize = 4;
/// How many records are read at a time.
const PAGE: u64 = 500;
/// How many bytes are handed over at a time, about.
const PIECE: usize = 64 * 1024;
/// How many pieces wait for the client.
const PIECES: usize = 2;
/// How long the client may take for a piece.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the next page may take, beyond which its statements have given up.
const PAGE_TIMEOUT: Duration = Duration::from_secs(40);

/// The exports that run.
#[derive(Clone, Debug)]
pub struct Exports {
    turns: Turns<TenantId>,
    closing: CancellationToken,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            turns: Turns::new(EXPORTS, EXPORTS_OF_TENANT),
            closing: CancellationToken::new(),
        }
    }
}

impl Exports {
    /// Ends them, each after the page it is at.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

/// A list on its way to a client.
pub(super) struct Export<R: Row> {
    pages: Pages<R>,
    lines: Lines,
    /// Given back when the export ends.
    turn: Turn<TenantId>,
}

/// Where its records come from.
struct Pages<R: Row> {
    guard: Guard,
    filter: RecordFilter,
    after: Option<Vec<KeyPart>>,
    /// How many more records are wanted, if not all.
    left: Option<u64>,
    list: PhantomData<fn() -> R>,
}

/// Who may have them.
#[derive(Clone)]
struct Guard {
    state: State,
    key: Credentials,
}

/// What they are written to.
struct Lines {
    format: Format,
    rows: u64,
    /// The cursor of the last record that was written, or where it began.
    last: Option<String>,
    table: Table,
    json: Vec<u8>,
}

/// Records of a page, each with its cursor.
struct Page<R> {
    /// Who sees this, sees them.
    view: View,
    records: Vec<(R, String)>,
    has_more: bool,
}

/// A page that was read, and what is behind it.
type Read<R> = (Page<R>, Pages<R>);

/// What goes from the one who reads to the one who answers.
enum Piece {
    Bytes(Bytes),
    /// All was written. A channel that closes without it broke off.
    End,
}

/// Why an export ends before its list does.
enum Cut {
    /// The client is gone, or takes nothing.
    Client,
    /// It cannot go on.
    Problem(Problem),
}

impl<R: Row> Export<R> {
    /// Takes a turn.
    pub(super) fn new(
        state: State,
        reader: Reader,
        filter: RecordFilter,
        after: Option<Vec<KeyPart>>,
        limit: Option<u64>,
        format: Format,
    ) -> Result<Self, Problem> {
        Ok(Self {
            turn: state.exports.turns.take(reader.identity.tenant())?,
            lines: Lines {
                format,
                rows: 0,
                last: after.as_ref().map(|place| cursor::at::<R::Of>(place)),
                table: Table::default(),
                json: Vec::new(),
            },
            pages: Pages {
                guard: Guard {
                    state,
                    key: reader.key,
                },
                filter,
                after,
                left: limit,
                list: PhantomData,
            },
        })
    }

    /// Begins: what is wrong with the question itself is still a problem.
    pub(super) async fn answer(self) -> Result<Response<Body>, Problem> {
        let Self { pages, lines, turn } = self;
        let headers = [
            (CONTENT_TYPE, lines.format.kind()),
            (CACHE_CONTROL, "private, no-store"),
            (VARY, "accept, authorization"),
        ];
        let first = pages.read().await?;
        let (pieces, written) = mpsc::channel(PIECES);
        let writing = async move {
            write(lines, first, &pieces).await;
            drop(turn);
        };
        tokio::spawn(writing);
        Ok((headers, body(written)).into_response())
    }
}

/// Writes what is wanted, and how it ended, if there are words for it.
async fn write<R: Row>(mut lines: Lines, first: Read<R>, pieces: &Sender<Piece>) {
    let is_ndjson = lines.format == Format::Ndjson;
    let (end, whole) = match write_all(&mut lines, first, pieces).await {
        Ok(whole) => (End::Done(true), whole),
        Err(Cut::Problem(problem)) if is_ndjson => (End::of(&problem), false),
        // CSV has no words for it: the answer breaks off.
        Err(_) => return,
    };
    if is_ndjson {
        lines.end(end, whole);
    }
    if lines.hand_over(pieces).await.is_ok() {
        let _ = timeout(PATIENCE, pieces.send(Piece::End)).await;
    }
}

/// Writes what is wanted; whether nothing is behind it.
async fn write_all<R: Row>(
    lines: &mut Lines,
    first: Read<R>,
    pieces: &Sender<Piece>,
) -> Result<bool, Cut> {
    let (mut page, mut behind) = first;
    let guard = behind.guard.clone();
    lines.begin(R::COLUMNS);
    loop {
        if !page.has_more || behind.left == Some(0) {
            lines.write_page(&page, &guard, pieces).await?;
            return Ok(!page.has_more);
        }
        // While this one is written the next one is read; not for a client that is gone.
        let reading = AbortOnDropHandle::new(tokio::spawn(behind.read()));
        lines.write_page(&page, &guard, pieces).await?;
        let read = reading.await.unwrap_or_else(|_| Err(Code::Internal.into()));
        (page, behind) = read.map_err(Cut::Problem)?;
    }
}

impl<R: Row> Pages<R> {
    /// The next page, for one who may still read it, and what is behind it.
    async fn read(self) -> Result<Read<R>, Problem> {
        let reading = timeout(PAGE_TIMEOUT, self.read_page()).await;
        reading.map_err(|_| Problem::new(Code::QueryTimeout))?
    }

    async fn read_page(mut self) -> Result<Read<R>, Problem> {
        let identity = self.guard.reader().await?;
        let view = identity.view();
        let limit = self.left.map_or(PAGE, |left| left.min(PAGE));
        let request = request(limit, self.after.take());
        let reports = &self.guard.state.reports;
        let page = reports.page::<R::Of>(view, &self.filter, &request);
        let page = page.await?;
        let count = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.after = page.rows.last().map(cursor::place::<R::Of>);
        let cursors: Vec<String> = page.rows.iter().map(cursor::of::<R::Of>).collect();
        let rows = R::of_page(&reports.records(), view, page.rows).await?;
        let page = Page {
            view: view.clone(),
            records: rows.into_iter().zip(cursors).collect(),
            has_more: page.has_more,
        };
        Ok((page, self))
    }
}

impl Guard {
    /// Passes who still sees this, while the server does not stop.
    async fn require(&self, view: &View) -> Result<(), Problem> {
        if self.state.exports.closing.is_cancelled() {
            return Err(Code::ShuttingDown.into());
        }
        let sees = self.reader().await?.view() == view;
        sees.then_some(()).ok_or_else(|| Code::OutOfScope.into())
    }

    /// Who reads, if they still may.
    async fn reader(&self) -> Result<Arc<Identity>, Problem> {
        let identity = self.state.access.identify(&self.key).await?;
        identity.may(Scope::Read)?;
        identity.may(Scope::Export)?;
        Ok(identity)
    }
}

impl Lines {
    /// Writes what stands above the records.
    fn begin(&mut self, columns: &[&str]) {
        if self.format == Format::Csv {
            for name in columns.iter().chain(&["cursor"]) {
                self.table.text(*name);
            }
            self.table.end_line();
        }
    }

    /// Writes a page to one who may still see it, however long they take.
    async fn write_page<R: Row>(
        &mut self,
        page: &Page<R>,
        guard: &Guard,
        pieces: &Sender<Piece>,
    ) -> Result<(), Cut> {
        guard.require(&page.view).await.map_err(Cut::Problem)?;
        for (row, cursor) in &page.records {
            self.write(row, cursor);
            if self.table.len() + self.json.len() >= PIECE {
                self.hand_over(pieces).await?;
                self.last = Some(cursor.clone());
                guard.require(&page.view).await.map_err(Cut::Problem)?;
            }
        }
        if let Some((_, cursor)) = page.records.last() {
            self.last = Some(cursor.clone());
        }
        Ok(())
    }

    fn write<R: Row>(&mut self, row: &R, cursor: &str) {
        self.rows += 1;
        if self.format == Format::Csv {
            row.write(&mut self.table);
            self.table.text(cursor);
            self.table.end_line();
        } else {
            push(&mut self.json, &Line { row, cursor });
        }
    }

    /// Writes the line that tells how it ended.
    fn end(&mut self, end: End, whole: bool) {
        let last = Last {
            end,
            rows: self.rows,
            next_cursor: self.last.take().filter(|_| !whole),
        };
        push(&mut self.json, &last);
    }

    /// Gives what was written to the client.
    async fn hand_over(&mut self, pieces: &Sender<Piece>) -> Result<(), Cut> {
        let bytes = match self.format {
            Format::Csv => self.table.take(),
            Format::Ndjson | Format::Json => std::mem::take(&mut self.json),
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let handing = pieces.send(Piece::Bytes(bytes.into()));
        match timeout(PATIENCE, handing).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Cut::Client),
        }
    }
}

/// The body of what is written; it fails, and HTTP tells so, if that breaks off.
fn body(written: Receiver<Piece>) -> Body {
    let pieces = unfold(Some(written), |written| async move {
        let mut written = written?;
        match written.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(written))),
            Some(Piece::End) => None,
            None => Some((Err(std::io::Error::other("the export broke off")), None)),
        }
    });
    // A packer asks once more after the end.
    Body::from_stream(pieces.fuse())
}
