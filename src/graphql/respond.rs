//! From a request to a response: documents by their hash, responses that are kept, or the request
//! is run.

use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, ServerError, Value};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::cost::standing_in;
use super::execute::execute;
use super::{Loaders, Schema};
use crate::access::Identity;
use crate::access::limits::{Kind, Limits, Standing};
use crate::cache::{Collected, Key, Served};
use crate::error::{Code, Problem};

/// What a response costs that is kept.
const POINTS_OF_KEPT: u32 = 1;
/// What clients of persisted documents look for in the message.
const NOT_FOUND: &str = "PersistedQueryNotFound";

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With an address that must change nothing.
    Get,
    /// With a body.
    Post,
}

/// A response.
#[derive(Debug)]
pub struct Responded {
    /// As JSON.
    pub body: Bytes,
    /// What is in it of errors.
    pub errors: Vec<ServerError>,
    /// Where its answers were found, if it is made of such as may be kept.
    pub served: Option<Served>,
}

/// Responds to a request of `identity`.
///
/// A response is kept under all that it may depend on but facts: who asks, with which scopes, zone
/// and currency, and what. So that what was refused once is refused again.
///
/// # Errors
/// What cannot be run: a document that is not known, what may not come this way, or that the limit of
/// points is used up.
pub async fn respond(
    schema: &Schema,
    loaders: &Loaders,
    identity: Arc<Identity>,
    mut request: Request,
    way: Way,
) -> Result<Responded, Problem> {
    let cache = loaders.0.cache();
    find_document(loaders, &identity, &mut request).await?;
    let asked = (
        identity.view(),
        identity.scopes(),
        (identity.currency, identity.timezone),
        &request.query,
        &request.operation_name,
        &request.variables,
    );
    let key = Key::of(identity.tenant(), "response", &asked);
    if let Some((body, served)) = cache.response(key).await {
        let standing = match schema.data::<Limits>() {
            Some(limits) => limits.take(&identity, Kind::Points, POINTS_OF_KEPT).await?,
            None => None,
        };
        return Ok(Responded {
            body: told(&body, standing, way),
            errors: Vec::new(),
            served: Some(served),
        });
    }
    if way == Way::Get {
        require_query(&mut request)?;
    }
    let collected = Arc::new(Collected::default());
    let executed = execute(schema, loaders, identity, request, &collected).await;
    let (response, standing) = executed?;
    let body = serde_json::to_vec(&response).expect("an answer serialises");
    let body = Bytes::from(body);
    let may_keep = !response.cache_control.public && response.cache_control.max_age > 0;
    let served = collected.served().filter(|_| may_keep);
    if may_keep && response.errors.is_empty() {
        cache.keep_response(key, &body, &collected);
    }
    Ok(Responded {
        body: told(&body, standing, way),
        errors: response.errors,
        served,
    })
}

/// The response with where the limit stands. What an address gives says so in its head alone: the
/// same data are the same answer, whoever has how much left.
fn told(body: &Bytes, standing: Option<Standing>, way: Way) -> Bytes {
    match standing {
        Some(standing) if way == Way::Post => standing_in(body, &standing),
        _ => body.clone(),
    }
}

/// Automatic persisted queries: a hash stands for a document that was sent with it once.
async fn find_document(
    loaders: &Loaders,
    identity: &Identity,
    request: &mut Request,
) -> Result<(), Problem> {
    let Some(Value::Object(persisted)) = request.extensions.get("persistedQuery") else {
        return Ok(());
    };
    let malformed = |detail: &str| Problem::with(Code::MalformedRequest, detail);
    let is_first = |version: &Value| matches!(version, Value::Number(n) if n.as_i64() == Some(1));
    if !persisted.get("version").is_some_and(is_first) {
        return Err(malformed("`persistedQuery.version` is 1."));
    }
    let hash = match persisted.get("sha256Hash") {
        Some(Value::String(hash)) if hash.len() == 64 => hash.to_ascii_lowercase(),
        _ => {
            let detail = "`persistedQuery.sha256Hash` is the SHA-256 of the document: 64 hexadecimal digits.";
            return Err(malformed(detail));
        }
    };
    let key = Key::of(identity.tenant(), "document", &hash);
    let cache = loaders.0.cache();
    if request.query.is_empty() {
        let document = cache.document(key).await;
        let unknown = || Problem::with(Code::PersistedQueryNotFound, NOT_FOUND);
        request.query = document.ok_or_else(unknown)?.to_string();
        return Ok(());
    }
    let digest = format!("{:x}", Sha256::digest(request.query.as_bytes()));
    if digest != hash {
        return Err(malformed(
            "`persistedQuery.sha256Hash` is not the SHA-256 of `query`.",
        ));
    }
    cache.keep_document(key, &request.query).await;
    Ok(())
}

/// Refuses what is no query. What cannot be parsed fails later, in words of its own.
fn require_query(request: &mut Request) -> Result<(), Problem> {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else {
        return Ok(());
    };
    let is_query = match (&document.operations, &name) {
        (DocumentOperations::Single(only), _) => only.node.ty == OperationType::Query,
        (DocumentOperations::Multiple(all), Some(name)) => all
            .get(name.as_str())
            .is_none_or(|operation| operation.node.ty == OperationType::Query),
        (DocumentOperations::Multiple(all), None) => all
            .values()
            .all(|operation| operation.node.ty == OperationType::Query),
    };
    if is_query {
        return Ok(());
    }
    let detail = "GET asks queries alone: send mutations with POST, and subscriptions over a WebSocket (graphql-transport-ws).";
    Err(Problem::with(Code::MethodNotAllowed, detail))
}
