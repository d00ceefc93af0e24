//! What a client of GraphQL reads: `Accept`, with its weights.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// A media type that answers are given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// That of GraphQL over HTTP: statuses tell what happened.
    GraphqlResponse,
    /// Plain JSON, as clients knew it before: what ran, or could have, answers 200.
    Json,
    /// Server-sent events.
    EventStream,
}

/// What can be given, the best first among those that a client likes alike.
const KINDS: [Kind; 3] = [Kind::Json, Kind::GraphqlResponse, Kind::EventStream];

impl Kind {
    /// As a `Content-Type` says it.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
        }
    }

    /// How closely a range names this: 3 itself, 2 with all of its kind, 1 with everything.
    fn is_named_by(self, range: &str) -> u8 {
        match (self, range) {
            (Self::GraphqlResponse, "application/graphql-response+json")
            | (Self::Json, "application/json")
            | (Self::EventStream, "text/event-stream") => 3,
            (Self::GraphqlResponse | Self::Json, "application/*") => 2,
            (Self::GraphqlResponse | Self::Json, "*/*") => 1,
            // A stream is for those who ask for one.
            _ => 0,
        }
    }
}

/// What to answer in; nothing if there is nothing that the client reads.
///
/// The heaviest counts; of those alike, the one that is named most closely; then the one that is
/// named first.
pub(super) fn kind(headers: &HeaderMap) -> Option<Kind> {
    let lines = headers.get_all(ACCEPT).iter();
    let line: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let line = line.join(",");
    if line.trim().is_empty() {
        return Some(Kind::Json);
    }
    let ranges: Vec<(String, u16)> = line.split(',').filter_map(range).collect();
    let mut best: Option<(u16, u8, usize, Kind)> = None;
    for kind in KINDS {
        // The closest name says the weight.
        let named = ranges.iter().enumerate();
        let named = named.map(|(at, (range, weight))| (kind.is_named_by(range), at, *weight));
        let closest = named.filter(|(close, ..)| *close > 0);
        let Some((close, at, weight)) =
            closest.max_by_key(|(close, at, _)| (*close, usize::MAX - at))
        else {
            continue;
        };
        let better = best.is_none_or(|(weight_of, close_of, at_of, _)| {
            (weight, close, usize::MAX - at) > (weight_of, close_of, usize::MAX - at_of)
        });
        if weight > 0 && better {
            best = Some((weight, close, at, kind));
        }
    }
    best.map(|(.., kind)| kind)
}

/// Whether a client names a media type that pages cannot ask for by themselves.
pub(super) fn names_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let mut lines = lines.filter_map(|line| line.to_str().ok());
    let named = |range: &str| KINDS.iter().any(|kind| kind.is_named_by(range) == 3);
    lines.any(|line| {
        line.split(',')
            .filter_map(range)
            .any(|(range, _)| named(&range))
    })
}

/// A media range and its weight, in thousandths; nothing if it is none.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| range.contains('/'))?;
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    Some((
        range.to_ascii_lowercase(),
        weight.map_or(Some(1000), thousandths)?,
    ))
}

/// A weight from 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !matches!(whole, "0" | "1") {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    let weight = if whole == "1" { 1000 } else { 0 } + decimals;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(accept: &str) -> Option<Kind> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        kind(&headers)
    }

    #[test]
    fn the_heaviest_counts_then_the_closest_then_the_first() {
        const GRAPHQL: &str = "application/graphql-response+json";
        assert_eq!(kind(&HeaderMap::new()), Some(Kind::Json));
        for (accept, kind) in [
            ("", Some(Kind::Json)),
            ("*/*", Some(Kind::Json)),
            ("application/*", Some(Kind::Json)),
            ("APPLICATION/JSON", Some(Kind::Json)),
            (GRAPHQL, Some(Kind::GraphqlResponse)),
            ("application/json;q=0.9, */*", Some(Kind::GraphqlResponse)),
            ("text/event-stream", Some(Kind::EventStream)),
            ("text/html, text/*, image/png", None),
            ("application/json;q=0", None),
            (
                "application/json;q=0, */*;q=0.1",
                Some(Kind::GraphqlResponse),
            ),
            ("*/*;q=0", None),
            ("application/json;q=x", None),
            (
                "application/json; charset=utf-8 ; q=0.001",
                Some(Kind::Json),
            ),
        ] {
            assert_eq!(of(accept), kind, "{accept}");
        }
        let graphql = |text: &str| of(&text.replace('$', GRAPHQL));
        for accept in [
            "$, application/json;q=0.9",
            "*/*, $",
            "application/json;q=0.8,$;q=0.85",
        ] {
            assert_eq!(graphql(accept), Some(Kind::GraphqlResponse), "{accept}");
        }
        for accept in [
            "application/json, $",
            "$;q=0.5, */*;q=0.6",
            "$;q=0.1,application/json",
        ] {
            assert_eq!(graphql(accept), Some(Kind::Json), "{accept}");
        }
        assert_eq!(
            graphql("text/event-stream, $;q=0.9, application/json;q=0.5"),
            Some(Kind::EventStream)
        );
    }
}
