//! What HTTP says of kept answers: entity tags, `Cache-Status`, `Cache-Control`; queries by GET and
//! documents by their hash.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{OF_RESPONSES, sales};
use crate::support::{Order, TestApp, answer};

const MARCH: &str = "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z";

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// A page without packing, perhaps with a tag that is known.
async fn get(app: &TestApp, path: &str, known: Option<&str>) -> Response {
    let mut request = app.request(Method::GET, path);
    request = request.header("accept-encoding", "identity");
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    request.send().await.unwrap()
}

/// The address of a query.
fn address(parameters: &[(&str, &str)]) -> String {
    let base = "http://x/graphql";
    let url = reqwest::Url::parse_with_params(base, parameters).unwrap();
    format!("/graphql?{}", url.query().unwrap())
}

#[tokio::test]
async fn an_answer_has_one_tag_until_what_it_is_made_of_changes() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let query = sales(1, 2, 0);
    for path in [
        format!("/v1/sales?{MARCH}"),
        format!("/v1/traffic?{MARCH}"),
        address(&[("query", &query)]),
    ] {
        let first = get(&app, &path, None).await;
        assert_eq!(header(&first, "cache-status"), "Tidewater; fwd=miss");
        let second = get(&app, &path, None).await;
        assert_eq!(
            header(&second, "cache-status"),
            "Tidewater; hit; detail=process"
        );
        let tag = header(&second, "etag").to_owned();
        assert!(tag.starts_with('"'), "{tag}");
        assert_eq!(header(&second, "cache-control"), "private, no-cache");
        // GraphQL says in its body, too, where it was found.
        assert_eq!(header(&first, "etag") == tag, !path.contains("graphql"));
        let body = second.bytes().await.unwrap();
        for _ in 0..3 {
            let third = get(&app, &path, None).await;
            assert!(header(&third, "cache-status").starts_with("Tidewater; hit"));
            assert_eq!(third.bytes().await.unwrap(), body);
            let same = get(&app, &path, Some(&tag)).await;
            assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert!(header(&same, "cache-status").starts_with("Tidewater; hit"));
            assert!(same.bytes().await.unwrap().is_empty());
        }
        app.accept(&[Order::of("mug").event()]).await;
        let changed = get(&app, &path, Some(&tag)).await;
        assert_eq!(changed.status(), StatusCode::OK, "{path}");
        assert_ne!(header(&changed, "etag"), tag);
    }
}

#[tokio::test]
async fn a_client_may_keep_what_may_be_old_for_the_rest_of_that_age() {
    let app = TestApp::start().await;
    let query = sales(1, 2, 600);
    for path in [
        format!("/v1/sales?{MARCH}&maxStaleness=600"),
        address(&[("query", &query)]),
    ] {
        for _ in 0..4 {
            let answer = get(&app, &path, None).await;
            let seconds = header(&answer, "cache-control").strip_prefix("private, max-age=");
            let seconds: u64 = seconds.unwrap().parse().unwrap();
            assert!((500..=600).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test]
async fn a_response_of_reports_is_kept_whole_and_no_other() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let whole = async |query: &str, variables: Value| {
        let before = app.metric(OF_RESPONSES).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(app.ask_with(query, variables.clone()).await);
        }
        assert_eq!(answers[1], answers[2]);
        assert_eq!(answers[1], answers[3]);
        app.metric(OF_RESPONSES).await - before
    };
    let none = json!({});
    let one = sales(1, 2, 0);
    let one = one.strip_prefix("{ ").unwrap().strip_suffix('}').unwrap();
    let two = format!("{{ __typename first: {one} second: {one} }}");
    assert!(whole(&two, none.clone()).await >= 2.0, "{two}");
    let named = "query Q($to: DateTime!) { sales(range: {from: \"2026-03-01T00:00:00Z\", to: $to})
        { totals { orders } } }";
    let to = |day: u32| json!({"to": format!("2026-03-{day:02}T00:00:00Z")});
    assert!(whole(named, to(2)).await >= 2.0);
    assert!(whole(named, to(3)).await >= 2.0);
    // What is not kept is not kept together with what is.
    for other in [
        "purchases(first: 1) { nodes { productId event { eventId } } }",
        "eventSchemas { eventType }",
        "product(id: \"mug\") { title }",
    ] {
        let query = format!("{{ {other} {}", &sales(1, 2, 0)[2..]);
        assert!(
            whole(&query, none.clone()).await.abs() < f64::EPSILON,
            "{query}"
        );
        let alone = format!("{{ {other} }}");
        assert!(
            whole(&alone, none.clone()).await.abs() < f64::EPSILON,
            "{alone}"
        );
    }
    // Nor is an error.
    let wrong = format!(
        "{{ bad: sales(range: {{from: \"2026-03-02T00:00:00Z\", to: \"2026-03-01T00:00:00Z\"}}) {{ currency }} {}",
        &sales(1, 2, 0)[2..]
    );
    assert!(whole(&wrong, none).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn get_asks_queries_alone() {
    let app = TestApp::start().await;
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let ask = async |parameters: &[(&str, &str)]| {
        answer(app.request(Method::GET, &address(parameters))).await
    };
    let (status, told) = ask(&[
        (
            "query",
            "query A { __typename } query B($id: String!) { product(id: $id) { title } }",
        ),
        ("operationName", "B"),
        ("variables", r#"{"id": "mug"}"#),
    ])
    .await;
    assert_eq!(
        (status, &told["data"]),
        (StatusCode::OK, &json!({"product": null}))
    );
    let mutation = "mutation { reclassifyUserAgent(userAgent: \"x\", bot: true) { changed } }";
    let subscription = "subscription { liveSales(window: ONE_HOUR) { orders } }";
    let both = format!("query A {{ __typename }} {mutation}").replace("mutation {", "mutation B {");
    for refused in [
        vec![("query", mutation)],
        vec![("query", subscription)],
        vec![("query", both.as_str()), ("operationName", "B")],
    ] {
        let (status, told) = ask(&refused).await;
        assert_eq!(
            (status, code(&told)),
            (StatusCode::METHOD_NOT_ALLOWED, json!("method_not_allowed"))
        );
    }
    assert_eq!(
        ask(&[("query", &both), ("operationName", "A")]).await.0,
        StatusCode::OK
    );
    let (status, told) = ask(&[("query", &both)]).await;
    assert_eq!(
        (status, code(&told)),
        (StatusCode::OK, json!("unknown_operation"))
    );
    for malformed in [
        vec![],
        vec![("variables", "{}")],
        vec![("query", "{ __typename }"), ("variables", "{")],
        vec![("query", "{ __typename }"), ("extensions", "[]")],
    ] {
        let (status, told) = ask(&malformed).await;
        assert_eq!(
            (status, code(&told)),
            (StatusCode::BAD_REQUEST, json!("malformed_request"))
        );
    }
    let nobody = app.anonymous(Method::GET, &address(&[("query", "{ __typename }")]));
    assert_eq!(answer(nobody).await.0, StatusCode::UNAUTHORIZED);
    let wrong = get(&app, &address(&[("query", "{ nothing }")]), None).await;
    assert_eq!(header(&wrong, "cache-control"), "no-store");
    assert!(!wrong.headers().contains_key("etag"));
}

#[tokio::test]
async fn a_document_that_was_sent_once_is_asked_by_its_hash() {
    let app = TestApp::start().await;
    app.accept(&[Order::of("mug").event()]).await;
    let query = sales(1, 2, 0);
    let hash = format!("{:x}", Sha256::digest(query.as_bytes()));
    let extensions = |hash: &str| json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let post = async |body: Value| answer(app.request(Method::POST, "/graphql").json(&body)).await;
    let first = &json!({"extensions": extensions(&hash)});
    let (status, told) = post(first.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(
        told["errors"][0]["extensions"]["code"],
        "PERSISTED_QUERY_NOT_FOUND"
    );
    let other = format!("{:x}", Sha256::digest(b"another"));
    for wrong in [
        json!({"query": query, "extensions": extensions(&other)}),
        json!({"query": query, "extensions": extensions("ab")}),
        json!({"query": query, "extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash}}}),
    ] {
        let (status, told) = post(wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
    }
    let whole = json!({"query": query, "extensions": extensions(&hash)});
    for body in [whole, first.clone()] {
        let (_, told) = post(body).await;
        assert_eq!(told["data"]["sales"]["totals"]["orders"], 1, "{told}");
    }
    let text = extensions(&hash.to_ascii_uppercase()).to_string();
    let path = address(&[("extensions", &text)]);
    let (_, told) = answer(app.request(Method::GET, &path)).await;
    assert_eq!(told["data"]["sales"]["totals"]["orders"], 1, "{told}");
}
