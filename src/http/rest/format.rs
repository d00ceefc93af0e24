//! In which format a list, or a report of rows, is answered: what `format` says, or else what
//! `Accept` prefers.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde::Deserialize;
use utoipa::ToSchema;

use super::JSON;
use crate::error::{Code, Problem};
use crate::http::stream::NDJSON;

const CSV: &str = "text/csv";

/// How a list is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum Format {
    /// A page as one object.
    #[schema(rename = "json")]
    Json,
    /// The whole list as a table: RFC 4180, with a header.
    #[schema(rename = "csv")]
    Csv,
    /// The whole list as lines of JSON.
    #[schema(rename = "ndjson")]
    Ndjson,
}

impl Format {
    /// The format that was asked for.
    pub(super) fn wanted(named: Option<Self>, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(format) = named {
            return Ok(format);
        }
        let lines = headers.get_all(ACCEPT).iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        accepted(&lines.join(",")).ok_or_else(|| Code::NotAcceptable.into())
    }

    /// What its media type is.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => NDJSON,
        }
    }

    /// The format that a media range stands for.
    fn of(range: &str) -> Option<Self> {
        match range.to_ascii_lowercase().as_str() {
            JSON | "application/*" | "*/*" => Some(Self::Json),
            CSV | "text/*" => Some(Self::Csv),
            NDJSON | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// What an `Accept` header prefers: of equals what stands first; JSON if it says nothing.
fn accepted(header: &str) -> Option<Format> {
    let ranges = header.split(',').map(str::trim);
    let mut ranges: Vec<(f32, &str)> = ranges
        .filter(|range| !range.is_empty())
        .map(weighed)
        .collect();
    if ranges.is_empty() {
        return Some(Format::Json);
    }
    let refused = |format| {
        let no =
            |(weight, range): &(f32, &str)| *weight <= 0.0 && Format::of(range) == Some(format);
        ranges.iter().any(no)
    };
    let all = [Format::Json, Format::Csv, Format::Ndjson];
    let refused: Vec<Format> = all.into_iter().filter(|format| refused(*format)).collect();
    ranges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let wanted = ranges.iter().filter(|(weight, _)| *weight > 0.0);
    let mut formats = wanted.filter_map(|(_, range)| Format::of(range));
    formats.find(|format| !refused.contains(format))
}

/// A media range and how much it is wanted.
fn weighed(range: &str) -> (f32, &str) {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    (weight.and_then(|q| q.parse().ok()).unwrap_or(1.0), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preferred_is_given() {
        for (header, format) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("text/csv", Some(Format::Csv)),
            ("Text/CSV; header=present", Some(Format::Csv)),
            ("application/x-ndjson", Some(Format::Ndjson)),
            ("text/csv, application/json", Some(Format::Csv)),
            ("text/csv;q=0.5, application/json", Some(Format::Json)),
            (
                "text/html, application/xhtml+xml, */*;q=0.8",
                Some(Format::Json),
            ),
            ("application/json;q=0, */*", None),
            ("application/json;q=0, text/*", Some(Format::Csv)),
            ("application/xml", None),
            ("text/csv;q=0", None),
        ] {
            assert_eq!(accepted(header), format, "{header}");
        }
    }
}
