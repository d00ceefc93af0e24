//! The lines of an export as JSON: records, and a last one that says how it ended.

use serde::Serialize;

use crate::error::Problem;

/// A line of JSON.
#[derive(Serialize)]
pub(super) struct Line<'a, R> {
    #[serde(flatten)]
    pub(super) row: &'a R,
    pub(super) cursor: &'a str,
}

/// The last line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Last {
    #[serde(flatten)]
    pub(super) end: End,
    /// How many records there were.
    pub(super) rows: u64,
    /// Where to go on; null at the end of the list.
    pub(super) next_cursor: Option<String>,
}

/// How an export ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum End {
    Done(bool),
    Error(Broken),
}

/// Why it cannot go on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Broken {
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl End {
    /// It cannot go on.
    pub(super) fn of(problem: &Problem) -> Self {
        let wait = problem.retry_after();
        Self::Error(Broken {
            code: problem.code.name(),
            message: problem.message().to_owned(),
            retry_after: wait.map(|wait| wait.as_secs().max(1)),
        })
    }
}

/// Writes a line of JSON.
pub(in crate::http::rest) fn push(lines: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *lines, line).expect("answers are plain JSON");
    lines.push(b'\n');
}
