//! `POST /graphql`, and `GET /graphql` for queries; a `GET` that wants to be a WebSocket becomes one,
//! and who asks for `text/event-stream` is sent [`super::events`].
//!
//! Answers keep to the draft of GraphQL over HTTP. In `application/graphql-response+json` the status
//! tells what happened; in `application/json` whatever could be read as a request answers 200.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State as Extract};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::json;

use super::accept::{self, Kind};
use super::etag::{self, Tag};
use super::identity::{Authenticated, Whence, key};
use super::problem::{retry_after, status};
use super::{State, cached, events, socket};
use crate::access::{Credentials, Identity};
use crate::config::StatusCodes;
use crate::error::{Code, Problem};
use crate::graphql::{
    Address, Asked, Outcome, Request, Responded, Way, kept, key as words_key, read_address, respond,
};

/// An answer that has some of its data, and errors: the status that the draft gives it.
const PARTIAL: u16 = 294;

/// Answers a body.
pub(super) async fn answer(
    Extract(state): Extract<State>,
    whence: Whence,
    identity: Result<Authenticated, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let Some(kind) = accept::kind(&headers) else {
        return refusal(&state, &not_acceptable(), Kind::Json);
    };
    let ready = async {
        let Authenticated(identity) = identity?;
        require_json(&headers)?;
        let body = state.bodies.read(&headers, body).await?;
        Ok((identity, body))
    };
    let (identity, body) = match ready.await {
        Ok(ready) => ready,
        Err(problem) => return refusal(&state, &problem, kind),
    };
    let key = words_key(&state.rules, &identity, Way::Post, &body);
    if kind != Kind::EventStream {
        match kept(state.answering(), &identity, key, Way::Post).await {
            Ok(Some(responded)) => return told(&state, &responded, kind),
            Ok(None) => {}
            Err(problem) => return refusal(&state, &problem, kind),
        }
    }
    let asked = match Asked::read(&body, state.rules.batch) {
        Ok(asked) => asked,
        Err(problem) => return refusal(&state, &problem, kind),
    };
    let _room = body.into_room();
    match asked {
        Asked::One(request) if kind == Kind::EventStream => {
            let shown = shown(whence, &headers);
            Box::pin(events::answer(&state, shown, identity, *request, Way::Talk)).await
        }
        Asked::One(request) => {
            let answering = state.answering();
            let responding = respond(answering, identity, *request, key, Way::Post);
            // What is rare is not to make what is frequent larger.
            match Box::pin(responding).await {
                Ok(responded) => told(&state, &responded, kind),
                Err(problem) => refusal_of_run(&state, &problem, kind),
            }
        }
        Asked::Batch(requests) => Box::pin(batch(&state, &identity, requests)).await,
    }
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
    let kind = accept::kind(&headers);
    let Some(kind) = kind.filter(|_| !state.strict_get || accept::names_json(&headers)) else {
        return refusal(&state, &not_acceptable(), Kind::Json);
    };
    let identity = match identity {
        Ok(Authenticated(identity)) => identity,
        Err(problem) => return refusal(&state, &problem, kind),
    };
    if kind == Kind::EventStream {
        let request = match request_of(&uri) {
            Ok(request) => request,
            Err(problem) => return refusal(&state, &problem, kind),
        };
        let shown = shown(whence, &headers);
        return Box::pin(events::answer(&state, shown, identity, request, Way::Watch)).await;
    }
    let responded = match run(&state, identity, &uri).await {
        Ok(responded) => responded,
        Err(problem) => {
            let mut answer = refusal_of_run(&state, &problem, kind);
            if problem.code == Code::MethodNotAllowed {
                let allowed = HeaderValue::from_static("POST");
                answer.headers_mut().insert(ALLOW, allowed);
            }
            return answer;
        }
    };
    if responded.outcome != Outcome::Whole {
        return told(&state, &responded, kind);
    }
    let caching = responded.served.as_ref().map(|served| served.fresh_for);
    let caching = cached::control(caching.unwrap_or_default());
    let body = responded.body.clone();
    let content = kind.content_type();
    let mut answer = etag::answer(&headers, &Tag::strong(&body), &caching, content, body);
    say_where(&mut answer, &responded);
    answer
}

/// What was shown to be let in.
fn shown(whence: Whence, headers: &HeaderMap) -> Result<Credentials, Problem> {
    Ok(whence.with(key(headers)?))
}

/// Responds to the query of an address.
async fn run(state: &State, identity: Arc<Identity>, uri: &Uri) -> Result<Responded, Problem> {
    let words = uri.query().unwrap_or_default();
    let key = words_key(&state.rules, &identity, Way::Get, words.as_bytes());
    if let Some(responded) = kept(state.answering(), &identity, key, Way::Get).await? {
        return Ok(responded);
    }
    let request = request_of(uri)?;
    let answering = state.answering();
    Box::pin(respond(answering, identity, request, key, Way::Get)).await
}

/// Answers the requests of a batch, one after the other.
async fn batch(state: &State, identity: &Arc<Identity>, requests: Vec<Request>) -> Response<Body> {
    let mut bodies = Vec::with_capacity(requests.len());
    for request in requests {
        let responded = one_of_batch(state, identity, request).await;
        let body = responded.map_or_else(|problem| errors(&problem), |done| done.body);
        bodies.push(String::from_utf8_lossy(&body).into_owned());
    }
    // An array is no GraphQL response: its media type is that of any JSON.
    let headers = [
        (CONTENT_TYPE, Kind::Json.content_type()),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("[{}]", bodies.join(","))).into_response()
}

async fn one_of_batch(
    state: &State,
    identity: &Arc<Identity>,
    request: Request,
) -> Result<Responded, Problem> {
    let Request {
        query,
        operation_name,
        variables,
        extensions,
        ..
    } = &request;
    let asked = (query, operation_name, variables, &extensions.0);
    let words = serde_json::to_vec(&asked).expect("what was JSON is JSON");
    let key = words_key(&state.rules, identity, Way::Post, &words);
    if let Some(responded) = kept(state.answering(), identity, key, Way::Post).await? {
        return Ok(responded);
    }
    let identity = Arc::clone(identity);
    respond(state.answering(), identity, request, key, Way::Post).await
}

/// What became of a request, as an answer.
fn told(state: &State, responded: &Responded, kind: Kind) -> Response<Body> {
    let headers = [
        (CONTENT_TYPE, kind.content_type()),
        (CACHE_CONTROL, "no-store"),
        (VARY, "accept, authorization"),
    ];
    let mut answer = (headers, responded.body.clone()).into_response();
    say_where(&mut answer, responded);
    let tells = kind == Kind::GraphqlResponse;
    *answer.status_mut() = match responded.outcome {
        Outcome::Failed(code) => {
            retry_after(&mut answer, code.retry_after());
            status(code)
        }
        Outcome::Partial if tells => StatusCode::from_u16(PARTIAL).expect("it has three digits"),
        Outcome::Unparsed if tells => StatusCode::BAD_REQUEST,
        Outcome::Refused(code) if tells => status_of_refusal(state, code),
        Outcome::Whole | Outcome::Partial | Outcome::Unparsed | Outcome::Refused(_) => {
            StatusCode::OK
        }
    };
    answer
}

/// The status of a request that is refused. The audits of graphql-http want 400 of what is well
/// formed but cannot run, the draft wants 422.
fn status_of_refusal(state: &State, code: Code) -> StatusCode {
    let is_contested = matches!(
        code,
        Code::InvalidQuery | Code::InvalidVariables | Code::MalformedRequest
    );
    if is_contested && state.status_codes == StatusCodes::Draft {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    status(code)
}

fn say_where(answer: &mut Response<Body>, responded: &Responded) {
    if let Some(served) = &responded.served {
        let headers = answer.headers_mut();
        headers.insert(cached::CACHE_STATUS, cached::status(served));
    }
}

/// The request of an address, as GraphQL over HTTP has it: `variables` and `extensions` are JSON.
fn request_of(uri: &Uri) -> Result<Request, Problem> {
    let address = Query::<Address>::try_from_uri(uri).map_err(|_| {
        let detail = "GET /graphql takes `query` or `documentId`, `operationName`, `variables` and `extensions`; as a WebSocket it speaks graphql-transport-ws.";
        Problem::with(Code::MalformedRequest, detail)
    })?;
    read_address(address.0)
}

/// Passes bodies that say that they are JSON. Pages of other sites cannot say so without asking the
/// browser, which asks us: so none of them can send a mutation with a form.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail: &str| Problem::with(Code::UnsupportedMediaType, detail);
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return Err(unsupported(
            "Say what the body is: `Content-Type: application/json`.",
        ));
    };
    let parameters = kind.to_str().unwrap_or_default().split(';').skip(1);
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        if is_charset && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return Err(unsupported("Send the body in UTF-8."));
        }
    }
    Ok(())
}

/// Refuses what was understood but may not run: as an answer where clients expect one.
fn refusal_of_run(state: &State, problem: &Problem, kind: Kind) -> Response<Body> {
    let mut answer = refusal(state, problem, kind);
    if problem.code == Code::PersistedQueryNotFound && kind == Kind::Json {
        *answer.status_mut() = StatusCode::OK;
    }
    answer
}

/// Refuses a request before it runs. Where events are asked for, the answer is JSON.
pub(super) fn refusal(state: &State, problem: &Problem, kind: Kind) -> Response<Body> {
    let (status, kind) = match kind {
        Kind::GraphqlResponse => (status_of_refusal(state, problem.code), kind),
        Kind::Json | Kind::EventStream => (status(problem.code), Kind::Json),
    };
    let mut answer = (status, errors(problem)).into_response();
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static(kind.content_type());
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        super::problem::challenge(headers);
    }
    retry_after(&mut answer, problem.retry_after());
    answer
}

/// A response that has a problem, and nothing else.
fn errors(problem: &Problem) -> Bytes {
    let mut extensions = json!({"code": problem.code.name()});
    if let Some(wait) = problem.retry_after() {
        extensions["retryAfter"] = wait.as_secs().into();
    }
    let body = json!({"errors": [{"message": problem.message(), "extensions": extensions}]});
    body.to_string().into()
}

fn not_acceptable() -> Problem {
    let detail = "Ask for application/graphql-response+json, application/json or text/event-stream with `Accept`.";
    Problem::with(Code::NotAcceptable, detail)
}
