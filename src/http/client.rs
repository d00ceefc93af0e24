//! What every request is looked at for before anything else: where it comes from, whether there is a
//! key in its address, and how much its sender may do without a key. And what its answer tells of
//! limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::State;
use super::middleware::is_too_long;
use crate::access::limits::{Meter, Standing, is_known, pay};
use crate::access::looks_like_a_key;
use crate::domain::network::Network;
use crate::error::{Code, Problem};

/// What a key is called by those who put it into an address.
const NAMES: [&str; 5] = [
    "api_key",
    "apikey",
    "access_token",
    "authorization",
    "auth_token",
];
/// Through which address a request came.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The address of who asks, if it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) Option<IpAddr>);

/// Notes where a request comes from, and tells with its answer where limits stand.
pub(super) async fn meet(
    Extract(state): Extract<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    let client = peer.map(|peer| client(peer, request.headers(), &state.proxies));
    request.extensions_mut().insert(Client(client));
    let answering = answer(request, next);
    let (mut answer, standings) = Meter::of(&state.limits, client, answering).await;
    if !standings.is_empty() {
        tell(answer.headers_mut(), &standings);
    }
    answer
}

async fn answer(request: Request, next: Next) -> Response {
    if is_too_long(request.uri()) {
        return Problem::new(Code::UriTooLong).into_response();
    }
    let asked = request.uri().query().unwrap_or_default();
    if has_key(asked) || looks_like_a_key(request.uri().path()) {
        return Problem::new(Code::KeyInUrl).into_response();
    }
    let shows_key = request.headers().contains_key(AUTHORIZATION);
    // A preflight has no key, and asks for nothing.
    let is_stranger = !shows_key && !sends_key_in_body(request.uri().path());
    if is_stranger
        && request.method() != axum::http::Method::OPTIONS
        && let Err(problem) = pay().await
    {
        return problem.into_response();
    }
    let answer = next.run(request).await;
    // Who shows a key that is none, or that nobody asked for, or none where one may be in the body.
    if !is_stranger
        && !is_known()
        && let Err(problem) = pay().await
    {
        return problem.into_response();
    }
    answer
}

/// Whether events are sent to this address: their senders may have the key in the body.
fn sends_key_in_body(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    crate::ingest::parse::KINDS
        .iter()
        .any(|kind| path.strip_prefix("/v1/") == Some(kind))
        || matches!(
            path,
            "/v1/batch" | "/v1/events" | "/batch" | "/capture" | "/e"
        )
}

/// Whether a key is among the parameters of an address.
fn has_key(query: &str) -> bool {
    let is_key = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !value.is_empty() && NAMES.iter().any(|one| name.eq_ignore_ascii_case(one))
    };
    looks_like_a_key(query) || query.split('&').any(is_key)
}

/// Who asks: the last address that no trusted proxy is at.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| proxies.iter().any(|network| network.has(address));
    let mut client = peer;
    let lines = headers.get_all(FORWARDED_FOR);
    let lines = lines.iter().filter_map(|line| line.to_str().ok());
    let mut way: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    while is_trusted(client) {
        let Some(before) = way.pop().and_then(|text| text.trim().parse().ok()) else {
            break;
        };
        client = before;
    }
    client
}

fn tell(headers: &mut HeaderMap, standings: &[Standing]) {
    let (mut policy, mut limit) = (String::new(), String::new());
    for standing in standings {
        let name = standing.kind.name();
        let comma = if policy.is_empty() { "" } else { ", " };
        let (most, period) = (standing.limit, standing.kind.period().as_secs());
        let left = standing.remaining.min(most);
        let full_in = standing.full_in.as_secs() + u64::from(standing.full_in.subsec_nanos() > 0);
        // Writing to a text cannot fail.
        let _ = write!(
            policy,
            "{comma}\"{name}\";q={most};w={period};qu=\"{name}\""
        );
        let _ = write!(limit, "{comma}\"{name}\";r={left};t={full_in}");
    }
    let value =
        |text: &str| HeaderValue::from_str(text).expect("it has letters, digits and signs alone");
    headers.insert(POLICY, value(&policy));
    headers.insert(LIMIT, value(&limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_asks_is_the_last_one_whom_no_trusted_proxy_speaks_for() {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let asked = |peer, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
            }
            client(at(peer), &headers, &proxies)
        };
        let (forged, shop) = ("198.51.100.1", at("203.0.113.7"));
        assert_eq!(asked("203.0.113.7", &[forged]), shop);
        assert_eq!(asked("10.0.0.1", &["203.0.113.7"]), shop);
        assert_eq!(
            asked("10.0.0.1", &["198.51.100.1, 203.0.113.7, 10.1.1.1"]),
            shop
        );
        assert_eq!(asked("::1", &[forged, "203.0.113.7"]), shop);
        assert_eq!(asked("10.0.0.1", &["unknown"]), at("10.0.0.1"));
        assert_eq!(asked("10.0.0.1", &[]), at("10.0.0.1"));
    }

    #[test]
    fn a_key_in_an_address_is_found_by_its_form_or_its_name() {
        assert!(has_key("from=2026&api_key=abc"));
        assert!(has_key("x=tw_live_abc"));
        assert!(!has_key("from=2026&key="));
        assert!(!has_key("api_key="));
    }
}
