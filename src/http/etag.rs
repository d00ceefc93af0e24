//! Answers that a client may keep: each has an entity tag, and who has that already is told so
//! with 304 instead of being sent the same again.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use xxhash_rust::xxh3::xxh3_128;

/// Of a tenant's answers: for the one who asked alone, and asked for again each time.
pub(super) const PRIVATE: &str = "private, no-cache";
/// Of what is the same for all.
pub(super) const PUBLIC: &str = "public, no-cache";

/// How many headers an answer has, about.
const HEADERS: usize = 20;

/// The entity tag of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// Of a body, byte by byte.
    pub(super) fn strong(body: &[u8]) -> Self {
        Self(format!("\"{:032x}\"", xxh3_128(body)))
    }

    /// Of what matters in a body that also holds what does not, such as when it was made.
    pub(super) fn weak(what_matters: &[u8]) -> Self {
        Self(format!("W/\"{:032x}\"", xxh3_128(what_matters)))
    }

    /// Whether the client says that it has this answer. As the standard (RFC 9110, 13.1.2) has it,
    /// a weak tag is as good as a strong one here.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(IF_NONE_MATCH).iter();
        let mut lines = lines.filter_map(|line| line.to_str().ok());
        lines.any(|line| line.trim() == "*" || opaque_tags(line).any(|tag| tag == self.opaque()))
    }

    fn opaque(&self) -> &str {
        self.0.trim_start_matches("W/").trim_matches('"')
    }
}

/// The tags of a list without what marks weak ones; they may hold commas.
fn opaque_tags(list: &str) -> impl Iterator<Item = &str> {
    list.split('"').skip(1).step_by(2)
}

/// The answer with this body, or 304 if the client has it.
pub(super) fn answer(
    request: &HeaderMap,
    tag: &Tag,
    caching: &str,
    kind: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut answer = if tag.is_known(request) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, kind)], body.into()).into_response()
    };
    let headers = answer.headers_mut();
    // With all that every answer says.
    headers.reserve(HEADERS);
    let tag = HeaderValue::from_str(&tag.0).expect("hexadecimal digits in quotes are a header");
    headers.insert(ETAG, tag);
    let caching = HeaderValue::from_str(caching).expect("a few plain words are a header");
    headers.insert(CACHE_CONTROL, caching);
    headers.insert(VARY, HeaderValue::from_static("accept, authorization"));
    answer
}

/// A packed body is another one: its tag only says that it means the same.
pub(super) fn weaken_packed(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_ENCODING) {
        return;
    }
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let strong = tag.filter(|tag| !tag.starts_with("W/"));
    let weak = strong.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_tag_alone() {
        let tag = Tag::strong(b"{}");
        let known = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(line).unwrap());
            tag.is_known(&headers)
        };
        let own = &tag.0;
        for line in [
            own.clone(),
            format!("W/{own}"),
            "*".to_owned(),
            format!("\"a, b\" ,{own}"),
            format!("W/\"x\", W/{own}, \"y\""),
        ] {
            assert!(known(&line), "{line}");
        }
        for line in ["", "\"\"", "\"*\"", tag.opaque(), "\"", "W/"] {
            assert!(!known(line), "{line}");
        }
        assert!(!tag.is_known(&HeaderMap::new()));
        assert_ne!(tag, Tag::strong(b"{ }"));
    }
}
