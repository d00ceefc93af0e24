//! A whole list as a stream, of any length in constant memory.
//!
//! It is read page by page behind the last record that was written, so it holds neither a
//! transaction nor a connection while the client takes its time. Each record carries the cursor of
//! its place: who was cut off goes on from the last whole one. A stream that ends well says so: as
//! lines of JSON with a last line, as CSV by ending as HTTP has it. One that does not, does not.

mod lines;

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

pub(super) use lines::push;
use lines::{End, Last, Line};

use super::Reader;
use super::format::Format;
use super::lists::request;
use super::rows::Row;
use super::table::Table;
use crate::access::{Credentials, Scope};
use crate::error::{Code, Problem};
use crate::http::State;
use crate::http::turns::{Turn, Turns};
use crate::reports::cursor;
use crate::reports::records::{KeyPart, RecordFilter};

/// How many exports run at a time, of all and of one tenant.
const EXPORTS: usize = 8;
const EXPORTS_OF_TENANT: usize = 4;
/// How many records are read at a time.
const PAGE: u64 = 250;
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
    turns: Turns,
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
    state: State,
    key: Credentials,
    filter: RecordFilter,
    format: Format,
    after: Option<Vec<KeyPart>>,
    /// How many more records are wanted, if not all.
    left: Option<u64>,
    rows: u64,
    /// The cursor of the last record that was written, or where it began.
    last: Option<String>,
    table: Table,
    lines: Vec<u8>,
    #[expect(dead_code, reason = "given back when the export ends")]
    turn: Turn,
    list: std::marker::PhantomData<fn() -> R>,
}

/// Records of a page, each with its cursor.
struct Page<R> {
    records: Vec<(R, String)>,
    has_more: bool,
}

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
            state,
            key: reader.key,
            filter,
            format,
            last: after.as_ref().map(|place| cursor::at::<R::Of>(place)),
            after,
            left: limit,
            rows: 0,
            table: Table::default(),
            lines: Vec::new(),
            list: std::marker::PhantomData,
        })
    }

    /// Begins: what is wrong with the question itself is still a problem.
    pub(super) async fn answer(mut self) -> Result<Response<Body>, Problem> {
        let first = self.read().await?;
        let headers = [
            (CONTENT_TYPE, self.format.kind()),
            (CACHE_CONTROL, "private, no-store"),
            (VARY, "accept, authorization"),
        ];
        let (pieces, written) = mpsc::channel(PIECES);
        tokio::spawn(self.run(first, pieces));
        Ok((headers, body(written)).into_response())
    }

    async fn run(mut self, first: Page<R>, pieces: Sender<Piece>) {
        let end = match self.write_all(first, &pieces).await {
            Ok(end) => end,
            Err(Cut::Problem(problem)) if self.format == Format::Ndjson => End::of(&problem),
            // CSV has no words for it: the answer breaks off.
            Err(_) => return,
        };
        if self.format == Format::Ndjson {
            let whole = matches!(end, End::Done(_)) && self.left != Some(0);
            let last = Last {
                end,
                rows: self.rows,
                next_cursor: self.last.take().filter(|_| !whole),
            };
            push(&mut self.lines, &last);
        }
        if self.hand_over(&pieces).await.is_ok() {
            let _ = timeout(PATIENCE, pieces.send(Piece::End)).await;
        }
    }

    async fn write_all(&mut self, first: Page<R>, pieces: &Sender<Piece>) -> Result<End, Cut> {
        if self.format == Format::Csv {
            for name in R::COLUMNS.iter().chain(&["cursor"]) {
                self.table.text(*name);
            }
            self.table.end_line();
        }
        let closing = self.state.exports.closing.clone();
        let mut page = first;
        loop {
            for (row, cursor) in &page.records {
                self.write(row, cursor);
                if self.table.len() + self.lines.len() >= PIECE {
                    self.hand_over(pieces).await?;
                }
            }
            if let Some((_, cursor)) = page.records.pop() {
                self.last = Some(cursor);
            }
            if !page.has_more {
                self.left = None;
                return Ok(End::Done(true));
            }
            if self.left == Some(0) {
                return Ok(End::Done(true));
            }
            if closing.is_cancelled() {
                return Err(Cut::Problem(Code::ShuttingDown.into()));
            }
            page = self.read().await.map_err(Cut::Problem)?;
        }
    }

    /// The next page, for one who may still read it.
    async fn read(&mut self) -> Result<Page<R>, Problem> {
        let reading = timeout(PAGE_TIMEOUT, self.read_page()).await;
        reading.map_err(|_| Problem::new(Code::QueryTimeout))?
    }

    async fn read_page(&mut self) -> Result<Page<R>, Problem> {
        let identity = self.state.access.identify(&self.key).await?;
        identity.may(Scope::Read)?;
        identity.may(Scope::Export)?;
        let view = identity.view();
        let limit = self.left.map_or(PAGE, |left| left.min(PAGE));
        let request = request(limit, self.after.take());
        let reports = &self.state.reports;
        let page = reports.page::<R::Of>(view, &self.filter, &request);
        let page = page.await?;
        let count = u64::try_from(page.rows.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.after = page.rows.last().map(cursor::place::<R::Of>);
        let cursors: Vec<String> = page.rows.iter().map(cursor::of::<R::Of>).collect();
        let rows = R::of_page(&reports.records(), view, page.rows).await?;
        Ok(Page {
            records: rows.into_iter().zip(cursors).collect(),
            has_more: page.has_more,
        })
    }

    fn write(&mut self, row: &R, cursor: &str) {
        self.rows += 1;
        if self.format == Format::Csv {
            row.write(&mut self.table);
            self.table.text(cursor);
            self.table.end_line();
        } else {
            push(&mut self.lines, &Line { row, cursor });
        }
    }

    /// Gives what was written to the client.
    async fn hand_over(&mut self, pieces: &Sender<Piece>) -> Result<(), Cut> {
        let bytes = match self.format {
            Format::Csv => self.table.take(),
            Format::Ndjson | Format::Json => std::mem::take(&mut self.lines),
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
