//! Who is asking: `Authorization: Bearer <key>`, or HTTP Basic with the key as user name.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::State;
use super::client::Client;
use crate::access::{Credentials, Identity};
use crate::domain::network::site;
use crate::error::{Code, Problem};
use crate::ingest::{MAX_BYTES, MAX_FOREIGN_BYTES};

/// The identity behind a request's key.
pub(super) struct Authenticated(pub(super) Arc<Identity>);

impl FromRequestParts<State> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let shown = credentials(parts)?;
        Ok(Self(state.access.identify(&shown).await?))
    }
}

/// The same, where the key may be in the body as well: nobody yet, if there is no header.
pub(super) struct Caller {
    /// Whose key stood before the body.
    pub(super) known: Option<Arc<Identity>>,
    from: Whence,
}

impl Caller {
    /// Whether a key was shown before the body.
    pub(super) const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Where they are, as far as their limits go.
    pub(super) fn site(&self) -> Option<IpAddr> {
        self.from.address.map(site)
    }

    /// What is shown with a key that stood in the body.
    pub(super) fn with(&self, key: &str) -> Credentials {
        self.from.clone().with(key.to_owned())
    }

    /// How many bytes a batch may have; fewer from those who show no key before the body.
    pub(super) const fn may_send(&self) -> usize {
        if self.is_known() {
            MAX_BYTES
        } else {
            MAX_FOREIGN_BYTES
        }
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let from = Whence::of(parts);
        let known = if parts.headers.contains_key(AUTHORIZATION) {
            let shown = from.clone().with(key(&parts.headers)?);
            Some(state.access.identify(&shown).await?)
        } else {
            None
        };
        Ok(Self { known, from })
    }
}

/// Where a request is from.
#[derive(Clone, Debug, Default)]
pub(super) struct Whence {
    /// The page, as a browser says.
    origin: Option<String>,
    /// The address, as far as proxies are trusted.
    pub(super) address: Option<IpAddr>,
}

impl Whence {
    /// Of a request, that came through [`super::client`].
    pub(super) fn of(parts: &Parts) -> Self {
        let origin = parts.headers.get(ORIGIN);
        let origin = origin.and_then(|origin| origin.to_str().ok());
        let address = parts.extensions.get::<Client>();
        Self {
            origin: origin.map(str::to_owned),
            address: address.and_then(|client| client.0),
        }
    }

    /// With this key.
    pub(super) fn with(self, secret: String) -> Credentials {
        Credentials {
            secret,
            origin: self.origin,
            address: self.address,
        }
    }
}

impl FromRequestParts<State> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// What a request shows to be let in.
pub(super) fn credentials(parts: &Parts) -> Result<Credentials, Problem> {
    Ok(Whence::of(parts).with(key(&parts.headers)?))
}

/// The key of the `Authorization` header.
pub(super) fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let header = headers.get(AUTHORIZATION).ok_or(Code::MissingKey)?;
    let header = header.to_str().map_err(|_| Code::MalformedKey)?;
    let key = bearer(header).or_else(|| basic(header));
    key.ok_or_else(|| Code::MissingKey.into())
}

/// The key of `Bearer <key>`.
pub(super) fn bearer(header: &str) -> Option<String> {
    let (scheme, key) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim().to_owned())
}

/// The user name of `Basic <base64 of name:password>`.
fn basic(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, _) = decoded.split_once(':')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_both_schemes() {
        assert_eq!(bearer("Bearer tw_1").as_deref(), Some("tw_1"));
        assert_eq!(bearer("bearer  tw_1 ").as_deref(), Some("tw_1"));
        assert_eq!(basic("Basic dHdfMTo=").as_deref(), Some("tw_1"));
        assert_eq!(basic("Basic ???"), None);
        assert_eq!(bearer("tw_1"), None);
    }
}
