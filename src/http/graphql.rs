//! `POST /graphql`, and `GET /graphql` for queries; a `GET` that wants to be a WebSocket becomes one.

use std::sync::Arc;

use async_graphql::{Request, ServerError};
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State as Extract};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::cached;
use super::etag::{self, Tag};
use super::identity::{Authenticated, Whence};
use super::problem::{retry_after, status};
use super::{State, socket};
use crate::access::Identity;
use crate::error::{Code, Problem};
use crate::graphql::{Responded, Way, code_of, respond, retry_after_of};

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// Answers one request, always with a GraphQL body. A query that ran answers 200, unless the server
/// could not do its work; one that was refused answers its code's status.
pub(super) async fn answer(
    Extract(state): Extract<State>,
    identity: Result<Authenticated, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let kind = media_type(&headers);
    let request = async {
        let Authenticated(identity) = identity?;
        let body = state.bodies.read(&headers, body).await?;
        let request: Request = serde_json::from_slice(&body).map_err(|error| {
            Problem::with(
                Code::MalformedRequest,
                format!("The body is not a GraphQL request: {error}."),
            )
        })?;
        Ok((identity, request, body.into_room()))
    };
    let (identity, request, _room) = match request.await {
        Ok(ready) => ready,
        Err(problem) => return refusal(&problem, kind),
    };
    let responded = match run(&state, identity, request, Way::Post).await {
        Ok(responded) => responded,
        Err(problem) => return refusal_of_run(&problem, kind),
    };
    let body = responded.body.clone();
    let mut answer = ([(CONTENT_TYPE, kind)], body).into_response();
    tell(&mut answer, &responded, kind);
    answer
}

/// Answers one query of an address, or opens a socket.
pub(super) async fn get(
    Extract(state): Extract<State>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    whence: Whence,
    identity: Result<Authenticated, Problem>,
    headers: HeaderMap,
    uri: Uri,
) -> Response<Body> {
    if let Ok(upgrade) = upgrade {
        return socket::upgrade(state, upgrade, whence);
    }
    let kind = media_type(&headers);
    let request = || Ok((identity?.0, request_of(&uri)?));
    let (identity, request) = match request() {
        Ok(ready) => ready,
        Err(problem) => return refusal(&problem, kind),
    };
    let responded = match run(&state, identity, request, Way::Get).await {
        Ok(responded) => responded,
        Err(problem) => return refusal_of_run(&problem, kind),
    };
    let body = responded.body.clone();
    let mut answer = if responded.errors.is_empty() {
        let caching = responded.served.map(|served| served.fresh_for);
        let caching = cached::control(caching.unwrap_or_default());
        etag::answer(&headers, &Tag::strong(&body), &caching, kind, body)
    } else {
        let caching = (CACHE_CONTROL, "no-store");
        ([(CONTENT_TYPE, kind), caching], body).into_response()
    };
    tell(&mut answer, &responded, kind);
    answer
}

async fn run(
    state: &State,
    identity: Arc<Identity>,
    request: Request,
    way: Way,
) -> Result<Responded, Problem> {
    respond(&state.schema, &state.loaders, identity, request, way).await
}

/// Says in the head of an answer what is in its body.
fn tell(answer: &mut Response<Body>, responded: &Responded, kind: &'static str) {
    if let Some(served) = &responded.served {
        let headers = answer.headers_mut();
        headers.insert(cached::CACHE_STATUS, cached::status(served));
    }
    // A request that did not run has its code's status where the client can tell it from an answer.
    let telling = |error: &&ServerError| {
        let refused = kind == GRAPHQL_RESPONSE && error.path.is_empty();
        refused || code_of(error).is_some_and(|code| code.status() >= 500)
    };
    let told = responded.errors.iter().find(telling);
    if let Some((error, code)) = told.and_then(|error| Some((error, code_of(error)?))) {
        *answer.status_mut() = status(code);
        retry_after(answer, retry_after_of(error));
    }
}

/// The request of an address, as GraphQL over HTTP has it: `variables` and `extensions` are JSON.
fn request_of(uri: &Uri) -> Result<Request, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        query: Option<String>,
        operation_name: Option<String>,
        variables: Option<String>,
        extensions: Option<String>,
    }
    fn read<T: DeserializeOwned + Default>(name: &str, text: Option<String>) -> Result<T, Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(T::default());
        };
        serde_json::from_str(&text).map_err(|error| {
            let detail = format!("`{name}` is not a JSON object: {error}.");
            Problem::with(Code::MalformedRequest, detail)
        })
    }
    let malformed = || {
        let detail = "GET /graphql takes `query`, `operationName`, `variables` and `extensions`; as a WebSocket it speaks graphql-transport-ws.";
        Problem::with(Code::MalformedRequest, detail)
    };
    let Query(asked) = Query::<Parameters>::try_from_uri(uri).map_err(|_| malformed())?;
    if asked.query.is_none() && asked.extensions.is_none() {
        return Err(malformed());
    }
    let mut request = Request::new(asked.query.unwrap_or_default())
        .variables(read("variables", asked.variables)?);
    request.operation_name = asked.operation_name.filter(|name| !name.is_empty());
    request.extensions = read("extensions", asked.extensions)?;
    Ok(request)
}

/// Refuses what was understood but may not run: as an answer where clients expect one.
fn refusal_of_run(problem: &Problem, kind: &'static str) -> Response<Body> {
    let mut answer = refusal(problem, kind);
    if problem.code == Code::PersistedQueryNotFound && kind != GRAPHQL_RESPONSE {
        *answer.status_mut() = StatusCode::OK;
    }
    answer
}

fn refusal(problem: &Problem, kind: &'static str) -> Response<Body> {
    let mut extensions = json!({"code": problem.code.name()});
    if let Some(wait) = problem.retry_after() {
        extensions["retryAfter"] = wait.as_secs().into();
    }
    let body = json!({"errors": [{"message": problem.message(), "extensions": extensions}]});
    let mut answer = (status(problem.code), body.to_string()).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    retry_after(&mut answer, problem.retry_after());
    answer
}

/// What the client reads: the media type of GraphQL over HTTP if it says so, else plain JSON.
fn media_type(headers: &HeaderMap) -> &'static str {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains(GRAPHQL_RESPONSE)) {
        GRAPHQL_RESPONSE
    } else {
        "application/json"
    }
}
