//! `GET /openapi.json`: what the REST addresses take and answer, as OpenAPI 3.1.
//!
//! It is made of the handlers and of the types that they read and write. The next address: a line
//! in `paths`, `#[utoipa::path]` on its handler; then `make schema` and read the difference.

pub(super) mod bodies;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HeaderBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, ResponseBuilder,
};
use utoipa::{Modify, OpenApi as _};

use super::etag::{self, Tag};
use super::{batch, receipts, rest, stream};
use crate::error::Code;
use crate::ingest::parse::KINDS;

/// What is described.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tidewater",
        description = "Real-time commerce analytics: events in, exact metrics out. Every request \
            carries an API key of one tenant as `Authorization: Bearer <key>`. Amounts of money are \
            decimals as texts, with the currency beside them; times are RFC 3339. `docs/API.md` \
            tells more; GraphQL at `/graphql` answers the same questions."
    ),
    tags(
        (name = "Reports", description = "Numbers over time, each with where it comes from."),
        (name = "Lists", description = "Records: a page as JSON with `nextCursor`, or with \
            `format=csv` or `format=ndjson` the whole list as a stream. Each record of a stream has \
            its `cursor` as its last field: who is cut off goes on behind the last whole record. \
            NDJSON ends with `{\"done\": true, \"rows\": n, \"nextCursor\": null}`, or with \
            `{\"error\": {...}, \"rows\": n, \"nextCursor\": \"...\"}`; a stream without such a line, \
            and CSV whose transfer breaks off, is not whole. In CSV a text that begins with `=`, \
            `+`, `-`, `@`, a tab or a carriage return has an apostrophe in front."),
        (name = "Exports", description = "Files that GraphQL's `createExport` has written: whole lists or \
            numbers, each of one moment, packed with gzip."),
        (name = "Events in", description = "Sending events, and what became of them.")
    ),
    paths(
        rest::metrics::metrics,
        rest::top::products,
        rest::top::pages,
        rest::sales::sales,
        rest::traffic::traffic,
        rest::restatements::restatements,
        rest::lists::events,
        rest::lists::pageviews,
        rest::lists::users,
        rest::lists::purchases,
        rest::lists::refunds,
        rest::lists::products,
        rest::files::file,
        batch::batch,
        stream::take,
        batch::message,
        receipts::receipt,
    ),
    components(schemas(bodies::ProblemBody)),
    modifiers(&Kinds, &Codes, &Keys, &Kept),
)]
struct Document;

/// The addresses of the Segment API, which differ in their names alone.
struct Kinds;

impl Modify for Kinds {
    fn modify(&self, document: &mut OpenApi) {
        let paths = &mut document.paths.paths;
        let Some(track) = paths.get("/v1/track").cloned() else {
            return;
        };
        for kind in KINDS {
            let mut item = track.clone();
            if let Some(operation) = &mut item.post {
                operation.operation_id = Some(kind.to_owned());
                operation.summary = Some(format!("A message of the Segment API: `{kind}`."));
            }
            paths.insert(format!("/v1/{kind}"), item);
        }
    }
}

/// Problems: every address may answer one, and each has a code of the table.
struct Codes;

impl Modify for Codes {
    fn modify(&self, document: &mut OpenApi) {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description("A problem (RFC 9457); `code` says which, and has its status.")
            .content("application/problem+json", problem)
            .build();
        for operation in operations(document) {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(response.clone()));
        }
        let lines = Code::ALL.iter().map(|code| {
            format!(
                "- `{}` ({}): {}",
                code.name(),
                code.status(),
                code.sentence()
            )
        });
        let lines: Vec<String> = lines.collect();
        let code = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .description(Some(format!(
                "Which problem, for programs; it never changes its meaning.\n\n{}",
                lines.join("\n")
            )))
            .enum_values(Some(Code::ALL.iter().map(|code| code.name())))
            .build();
        let schemas = document.components.as_mut().map(|all| &mut all.schemas);
        let problem = schemas.and_then(|schemas| schemas.get_mut("Problem"));
        if let Some(RefOr::T(Schema::Object(problem))) = problem {
            problem.properties.insert("code".to_owned(), code.into());
        }
    }
}

/// How a key is shown.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [
            ("bearer", HttpAuthScheme::Bearer),
            ("basic", HttpAuthScheme::Basic),
        ] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        let none: [&str; 0] = [];
        let requirement = |name| SecurityRequirement::new(name, none);
        document.security = Some(vec![requirement("bearer"), requirement("basic")]);
    }
}

/// What is asked can be kept, and asked for again with its tag.
struct Kept;

impl Modify for Kept {
    fn modify(&self, document: &mut OpenApi) {
        let tag = HeaderBuilder::new()
            .description(Some(
                "Of a JSON answer: send it back in `If-None-Match`, and what is still the same is \
                 answered with 304.",
            ))
            .build();
        let same = ResponseBuilder::new()
            .description("The answer is the one that `If-None-Match` names.")
            .build();
        let asked = operations(document).filter(|operation| {
            let tags = operation.tags.iter().flatten();
            tags.into_iter()
                .any(|tag| tag == "Reports" || tag == "Lists")
        });
        for operation in asked {
            let responses = &mut operation.responses.responses;
            if let Some(RefOr::T(found)) = responses.get_mut("200") {
                found
                    .headers
                    .insert("ETag".to_owned(), RefOr::T(tag.clone()));
            }
            responses.insert("304".to_owned(), RefOr::T(same.clone()));
        }
    }
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|PathItem { get, post, .. }| get.iter_mut().chain(post))
}

/// The document as JSON.
#[must_use]
pub fn document() -> String {
    let document = Document::openapi().to_pretty_json();
    document.expect("a description is plain JSON") + "\n"
}

/// The document, for programs.
pub(super) async fn answer(headers: HeaderMap) -> Response<Body> {
    static DOCUMENT: LazyLock<(String, Tag)> = LazyLock::new(|| {
        let text = document();
        let tag = Tag::strong(text.as_bytes());
        (text, tag)
    });
    let (text, tag) = &*DOCUMENT;
    etag::answer(
        &headers,
        tag,
        etag::PUBLIC,
        "application/json",
        text.clone(),
    )
}
