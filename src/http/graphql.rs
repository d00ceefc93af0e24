//! `POST /graphql`.

use async_graphql::ServerError;
use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

use super::State;
use super::identity::Authenticated;
use super::problem::{retry_after, status};
use crate::error::{Code, Problem};
use crate::graphql::{code_of, execute};

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
        let request: async_graphql::Request = serde_json::from_slice(&body).map_err(|error| {
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
    let response = execute(&state.schema, &state.loaders, identity, request).await;
    let body = serde_json::to_string(&response).expect("an answer serialises");
    let mut answer = (StatusCode::OK, body).into_response();
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A request that did not run has its code's status where the client can tell it from an answer.
    let telling = |error: &&ServerError| {
        let refused = kind == GRAPHQL_RESPONSE && error.path.is_empty();
        refused || code_of(error).is_some_and(|code| code.status() >= 500)
    };
    if let Some(code) = response.errors.iter().find(telling).and_then(code_of) {
        *answer.status_mut() = status(code);
        retry_after(&mut answer, code);
    }
    answer
}

fn refusal(problem: &Problem, kind: &'static str) -> Response<Body> {
    let body = json!({"errors": [{
        "message": problem.message(),
        "extensions": {"code": problem.code.name()},
    }]});
    let mut answer = (status(problem.code), body.to_string()).into_response();
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    retry_after(&mut answer, problem.code);
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
