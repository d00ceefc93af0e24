//! From a request to a response: documents by their ids, responses that are kept, bounds, or the
//! request is run.

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, once};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::cost::standing_in;
use super::document::{shape, text};
use super::errors::{code_of, ensure_code, of_problem};
use super::execute::{execute, execute_stream};
use super::{Loaders, Rules, Schema, limits, persisted};
use crate::access::Identity;
use crate::access::limits::{Kind, Limits, Standing};
use crate::cache::{Collected, Key, Served};
use crate::error::{Code, Problem};

/// What a response costs that is kept.
const POINTS_OF_KEPT: u32 = 1;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With an address that must change nothing, and for one answer.
    Get,
    /// With a body, and for one answer.
    Post,
    /// With an address that must change nothing, and for as many answers as there are.
    Watch,
    /// Over a socket, or with a body, for as many answers as there are.
    Talk,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Data, and nothing else.
    Whole,
    /// Data, which may be null, and errors of fields.
    Partial,
    /// No data: the document cannot be parsed.
    Unparsed,
    /// No data: the request cannot run.
    Refused(Code),
    /// No data: the server could not do its work.
    Failed(Code),
}

/// A response.
#[derive(Debug)]
pub struct Responded {
    /// As JSON.
    pub body: Bytes,
    /// What is in it.
    pub outcome: Outcome,
    /// Where its answers were found, if it is made of such as may be kept.
    pub served: Option<Served>,
}

/// One of the responses of an operation.
#[derive(Debug)]
pub struct Told {
    /// As JSON.
    pub body: String,
    /// Its errors alone, if they are all there is.
    pub errors: Option<String>,
}

/// Who answers.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "a schema has nothing to show")]
pub struct Answering<'a> {
    /// With these resolvers.
    pub schema: &'a Schema,
    /// Over these services.
    pub loaders: &'a Loaders,
    /// By these rules.
    pub rules: &'a Rules,
}

/// The key of a response to `identity`, asked for with these words: an address, a body, or one of the
/// requests in it.
///
/// A response is kept under all that it may depend on but facts: who asks, with which scopes, bound
/// to which documents, in which zone and currency, and what, to the letter: so one that is kept is
/// found before its request is read.
#[must_use]
pub fn key(rules: &Rules, identity: &Identity, way: Way, words: &[u8]) -> Key {
    let asked = (
        identity.view(),
        (identity.scopes(), rules.is_bound(identity)),
        (identity.currency, identity.timezone),
        way,
        xxh3_128(words),
    );
    Key::of(identity.tenant(), "response", &asked)
}

/// The response that is kept under a key, if there is one.
///
/// # Errors
/// That the limit of points is used up.
pub async fn kept(
    answering: Answering<'_>,
    identity: &Identity,
    key: Key,
    way: Way,
) -> Result<Option<Responded>, Problem> {
    let Some((body, served)) = answering.loaders.0.cache().response(key).await else {
        return Ok(None);
    };
    let standing = match answering.schema.data::<Limits>() {
        Some(limits) => limits.take(identity, Kind::Points, POINTS_OF_KEPT).await?,
        None => None,
    };
    Ok(Some(Responded {
        body: with_standing(&body, standing, way),
        outcome: Outcome::Whole,
        served: Some(served),
    }))
}

/// Responds to a request of `identity`, and keeps that under the key, if it may be.
///
/// # Errors
/// What is not even taken: a document that is not known, what may not come this way, or that the limit
/// of points is used up.
pub async fn respond(
    answering: Answering<'_>,
    identity: Arc<Identity>,
    mut request: Request,
    key: Key,
    way: Way,
) -> Result<Responded, Problem> {
    let Answering {
        schema,
        loaders,
        rules,
    } = answering;
    persisted::find(rules, loaders, &identity, &mut request).await?;
    if let Err(refused) = check(rules, &mut request, way)? {
        return Ok(refused);
    }
    let collected = Arc::new(Collected::default());
    let executing = execute(schema, loaders, identity, request, &collected);
    let executed = tokio::time::timeout(limits::EXECUTION, executing).await;
    let executed = executed.map_err(|_| Problem::new(Code::QueryTimeout))?;
    let (response, standing) = executed?;
    let may_keep = !response.cache_control.public && response.cache_control.max_age > 0;
    let served = collected.served().filter(|_| may_keep);
    let responded = Responded {
        served,
        ..Responded::of(response)
    };
    if may_keep && responded.outcome == Outcome::Whole {
        let cache = loaders.0.cache();
        cache.keep_response(key, &responded.body, &collected);
    }
    Ok(Responded {
        body: with_standing(&responded.body, standing, way),
        ..responded
    })
}

/// The response with where the limit stands. What an address gives says so in its head alone: the
/// same data are the same answer, whoever has how much left.
fn with_standing(body: &Bytes, standing: Option<Standing>, way: Way) -> Bytes {
    match standing {
        Some(standing) if way == Way::Post => standing_in(body, &standing),
        _ => body.clone(),
    }
}

/// Begins an operation of `identity` that may have many responses. What is refused is told by the
/// first, and is the last.
pub async fn watch(
    answering: Answering<'_>,
    (identity, address): (Arc<Identity>, Option<IpAddr>),
    mut request: Request,
    way: Way,
) -> BoxStream<'static, Told> {
    let Answering {
        schema,
        loaders,
        rules,
    } = answering;
    let ready = persisted::find(rules, loaders, &identity, &mut request).await;
    let ready = ready.and_then(|()| check(rules, &mut request, way));
    let refused = match ready {
        Ok(Ok(())) => {
            let responses = execute_stream(schema, loaders, (identity, address), request);
            return responses.map(Told::of).boxed();
        }
        Ok(Err(responded)) => Told {
            errors: Some(errors_of(&responded.body)),
            body: String::from_utf8_lossy(&responded.body).into_owned(),
        },
        Err(problem) => Told::of(Response::from_errors(vec![of_problem(&problem)])),
    };
    once(async { refused }).boxed()
}

/// The errors alone of a response that has nothing else.
fn errors_of(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["errors"].to_string()
}

/// Passes a request that the schema may be given: its document within its bounds, its operation known,
/// and such that it may come this way. The inner error is one of the document, which is told as a
/// response.
fn check(rules: &Rules, request: &mut Request, way: Way) -> Result<Result<(), Responded>, Problem> {
    let refuse = |error: ServerError| Ok(Err(Responded::of(Response::from_errors(vec![error]))));
    let tell = |problem: &Problem| refuse(of_problem(problem));
    if let Err(problem) = text::check(&request.query) {
        return tell(&problem);
    }
    let (name, variables) = (request.operation_name.clone(), request.variables.clone());
    let document = match request.parsed_query() {
        Ok(document) => document,
        Err(error) => {
            let responded = Responded::of(Response::from_errors(vec![error]));
            return Ok(Err(Responded {
                outcome: Outcome::Unparsed,
                ..responded
            }));
        }
    };
    let shaped = shape::check(document, rules.introspection);
    let operation = shaped.and_then(|()| shape::operation(document, name.as_deref()));
    let operation = match operation {
        Ok(operation) => operation,
        Err(problem) => return tell(&problem),
    };
    require_way(operation.ty, way)?;
    if let Err(problem) = shape::check_variables(operation, &variables) {
        return tell(&problem);
    }
    Ok(Ok(()))
}

/// Refuses what may not come this way.
fn require_way(kind: OperationType, way: Way) -> Result<(), Problem> {
    let detail = match (way, kind) {
        (Way::Talk, _)
        | (Way::Get | Way::Post | Way::Watch, OperationType::Query)
        | (Way::Post, OperationType::Mutation)
        | (Way::Watch, OperationType::Subscription) => return Ok(()),
        (Way::Post, OperationType::Subscription) => {
            let detail = "A subscription has many answers: ask for text/event-stream, or over a WebSocket (graphql-transport-ws).";
            return Err(Problem::with(Code::NotAcceptable, detail));
        }
        _ => {
            "GET asks queries alone: send mutations with POST, and subscriptions over a WebSocket (graphql-transport-ws) or for text/event-stream."
        }
    };
    Err(Problem::with(Code::MethodNotAllowed, detail))
}

/// A response as clients read it.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    extensions: &'a std::collections::BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
}

/// What became of a request with this response.
fn outcome(response: &Response) -> Outcome {
    let errors = &response.errors;
    let Some(first) = errors.first() else {
        return Outcome::Whole;
    };
    if response.data != Value::Null {
        return Outcome::Partial;
    }
    let failed = errors.iter().filter_map(code_of);
    if let Some(code) = failed.into_iter().find(|code| code.status() >= 500) {
        return Outcome::Failed(code);
    }
    if errors.iter().any(|error| !error.path.is_empty()) {
        return Outcome::Partial;
    }
    Outcome::Refused(code_of(first).unwrap_or(Code::InvalidQuery))
}

/// The JSON of a response, which has no data where nothing was run or the server failed.
fn json(response: &Response, outcome: Outcome) -> Vec<u8> {
    let has_data = matches!(outcome, Outcome::Whole | Outcome::Partial);
    let body = Body {
        data: has_data.then_some(&response.data),
        extensions: &response.extensions,
        errors: &response.errors[..response.errors.len().min(limits::ERRORS)],
    };
    serde_json::to_vec(&body).expect("an answer serialises")
}

impl Responded {
    fn of(mut response: Response) -> Self {
        response.errors.iter_mut().for_each(ensure_code);
        let outcome = outcome(&response);
        Self {
            body: json(&response, outcome).into(),
            outcome,
            served: None,
        }
    }
}

impl Told {
    fn of(mut response: Response) -> Self {
        response.errors.iter_mut().for_each(ensure_code);
        let outcome = outcome(&response);
        let errors = matches!(outcome, Outcome::Refused(_)).then(|| {
            let errors = &response.errors[..response.errors.len().min(limits::ERRORS)];
            serde_json::to_string(errors).expect("errors serialise")
        });
        let body = String::from_utf8(json(&response, outcome)).expect("JSON is UTF-8");
        Self { body, errors }
    }
}
