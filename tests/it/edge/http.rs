//! GraphQL over HTTP beyond the audits: the statuses of the draft, negotiation, batches, settings.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tidewater::config::{Environment, GraphqlConfig, StatusCodes};

use crate::support::{TestApp, TestDb, config};

const GRAPHQL: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

/// A server with these settings.
pub async fn with(change: impl FnOnce(&mut GraphqlConfig)) -> TestApp {
    let db = TestDb::migrated().await;
    let mut config = config(&db.url(), None);
    change(&mut config.graphql);
    TestApp::start_with(db, config).await.ready().await
}

async fn ask(app: &TestApp, accept: &str, body: &Value) -> Response {
    let request = app.request(Method::POST, "/graphql");
    let request = request.header("accept", accept).json(body);
    request.send().await.unwrap()
}

/// The status, the code of the first error, and whether there is an entry `data`.
async fn told(answer: Response) -> (u16, String, bool) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let code = body["errors"][0]["extensions"]["code"].as_str();
    (
        status,
        code.unwrap_or_default().to_owned(),
        body.get("data").is_some(),
    )
}

#[tokio::test]
async fn what_cannot_run_has_its_status_and_no_data() {
    let app = TestApp::start().await;
    let draft = with(|graphql| graphql.status = StatusCodes::Draft).await;
    let two = "query A { __typename } query B { __typename }";
    let wants = "query($p: String!) { product(id: $p) { title } }";
    for (body, code, audited, by_draft) in [
        (json!({"query": "{"}), "invalid_query", 400, 400),
        (json!({"query": ""}), "invalid_query", 400, 400),
        (json!({"query": "{ nothing }"}), "invalid_query", 400, 422),
        (json!({"query": two}), "unknown_operation", 422, 422),
        (
            json!({"query": two, "operationName": "C"}),
            "unknown_operation",
            422,
            422,
        ),
        (
            json!({"query": "{ __typename }", "operationName": "C"}),
            "unknown_operation",
            422,
            422,
        ),
        (json!({"query": wants}), "invalid_variables", 400, 422),
        (
            json!({"query": wants, "variables": {"p": null}}),
            "invalid_variables",
            400,
            422,
        ),
        (
            json!({"query": wants, "variables": {"p": {"a": 1}}}),
            "invalid_query",
            400,
            422,
        ),
        (
            json!({"query": "fragment F on Query { ...F } { ...F }"}),
            "invalid_query",
            400,
            422,
        ),
    ] {
        let refused = |status| (status, code.to_owned(), false);
        assert_eq!(
            told(ask(&app, GRAPHQL, &body).await).await,
            refused(audited),
            "{body}"
        );
        assert_eq!(
            told(ask(&draft, GRAPHQL, &body).await).await,
            refused(by_draft),
            "{body}"
        );
        assert_eq!(
            told(ask(&app, JSON, &body).await).await,
            refused(200),
            "{body}"
        );
    }
    // What is no request at all.
    for (body, by_draft) in [(json!({"qeury": ""}), 422), (json!([]), 422)] {
        let refused = |status| (status, "malformed_request".to_owned(), false);
        assert_eq!(
            told(ask(&app, GRAPHQL, &body).await).await,
            refused(400),
            "{body}"
        );
        assert_eq!(
            told(ask(&draft, GRAPHQL, &body).await).await,
            refused(by_draft),
            "{body}"
        );
        assert_eq!(
            told(ask(&draft, JSON, &body).await).await,
            refused(400),
            "{body}"
        );
    }
}

#[tokio::test]
async fn data_with_errors_is_a_partial_success() {
    let app = TestApp::start().await;
    let partial =
        json!({"query": "{ __typename product(id: \"mug\") { title } node(id: \"?\") { id } }"});
    let answer = ask(&app, GRAPHQL, &partial).await;
    assert_eq!(
        answer.headers()["content-type"],
        "application/graphql-response+json; charset=utf-8"
    );
    let (status, code, has_data) = told(answer).await;
    assert_eq!((status, code.as_str(), has_data), (294, "invalid_id", true));
    assert_eq!(told(ask(&app, JSON, &partial).await).await.0, 200);
    // A field that may not be null takes all data with it: it ran, nevertheless.
    let nothing = json!({"query": "{ events(first: 0) { totalCount } }"});
    assert_eq!(
        told(ask(&app, GRAPHQL, &nothing).await).await,
        (294, "invalid_page".to_owned(), true)
    );
}

#[tokio::test]
async fn the_media_type_is_the_one_that_the_client_likes_best() {
    let app = TestApp::start().await;
    let body = json!({"query": "{ __typename }"});
    for (accept, status, kind) in [
        (
            "application/graphql-response+json, application/json;q=0.9",
            200,
            GRAPHQL,
        ),
        (
            "application/graphql-response+json;q=0.1, application/json",
            200,
            JSON,
        ),
        ("text/html, application/*;q=0.2", 200, JSON),
        ("text/html", 406, JSON),
        ("application/json;q=0", 406, JSON),
    ] {
        let answer = ask(&app, accept, &body).await;
        let given = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            (answer.status().as_u16(), given),
            (status, format!("{kind}; charset=utf-8")),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn no_page_of_another_site_can_send_a_mutation() {
    let app = TestApp::start().await;
    let mutation = "mutation { __typename }";
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=iso-8859-1"),
    ] {
        let request = app.request(Method::POST, "/graphql");
        let mut request = request.body(json!({"query": mutation}).to_string());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        assert_eq!(request.send().await.unwrap().status(), 415, "{kind:?}");
    }
    for accept in [GRAPHQL, JSON, "*/*"] {
        let request = app
            .request(Method::GET, "/graphql")
            .query(&[("query", mutation)]);
        let answer = request.header("accept", accept).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    let put = app.request(Method::PUT, "/graphql").send().await.unwrap();
    assert_eq!(put.status(), 405);
    let allowed = put.headers()["allow"].to_str().unwrap();
    assert!(
        allowed.contains("POST") && allowed.contains("GET"),
        "{allowed}"
    );
}

#[tokio::test]
async fn batches_are_off_unless_they_are_set_and_then_bounded() {
    let body = |requests: usize| json!(vec![json!({"query": "{ __typename }"}); requests]);
    let app = TestApp::start().await;
    let refused = told(ask(&app, JSON, &body(10)).await).await;
    assert_eq!(refused, (400, "malformed_request".to_owned(), false));
    let app = with(|graphql| graphql.batch = 3).await;
    let three = json!([
        {"query": "{ __typename }"}, {"query": "{ nothing }"}, {"query": "mutation { __typename }"}
    ]);
    let answer: Value = ask(&app, JSON, &three).await.json().await.unwrap();
    let ran = |at: usize| answer[at]["data"]["__typename"].clone();
    assert_eq!(
        (ran(0), ran(1), ran(2)),
        (json!("Query"), Value::Null, json!("Mutation"))
    );
    assert_eq!(
        told(ask(&app, JSON, &body(4)).await).await.1,
        "batch_too_large"
    );
    assert_eq!(
        told(ask(&app, JSON, &body(0)).await).await.1,
        "malformed_request"
    );
    assert_eq!(
        told(ask(&app, JSON, &json!({"query": "{ __typename }"})).await)
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn production_tells_nothing_that_it_was_not_asked_to() {
    let app = with(|graphql| graphql.environment = Environment::Production).await;
    let code = async |query: &str| told(ask(&app, GRAPHQL, &json!({"query": query})).await).await;
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \"Query\") { name } }",
        "query { ...F } fragment F on Query { a: __schema { queryType { name } } }",
    ] {
        assert_eq!(
            code(query).await,
            (403, "introspection_disabled".to_owned(), false),
            "{query}"
        );
    }
    let misspelt = json!({"query": "{ purchasess { nodes { __typename } } }"});
    let body = ask(&app, JSON, &misspelt).await.text().await.unwrap();
    assert!(
        body.contains("invalid_query") && !body.contains("Did you mean"),
        "{body}"
    );
    assert_eq!(app.get("/graphiql").await.0, 404);
    // A page can ask for anything, but not say what it reads.
    let get = |accept: &str| {
        let request = app
            .request(Method::GET, "/graphql")
            .query(&[("query", "{ __typename }")]);
        request.header("accept", accept).send()
    };
    assert_eq!(get("*/*").await.unwrap().status(), 406);
    assert_eq!(get(JSON).await.unwrap().status(), 200);

    let app = TestApp::start().await;
    let body = ask(&app, JSON, &misspelt).await.text().await.unwrap();
    assert!(body.contains("Did you mean"), "{body}");
    let set = with(|graphql| {
        graphql.environment = Environment::Production;
        graphql.introspection = Some(true);
        graphql.graphiql = Some(true);
    });
    let set = set.await;
    assert_eq!(set.get("/graphiql").await.0, 200);
    let types = set.data("{ __schema { types { name } } }").await;
    assert!(types["__schema"]["types"].as_array().unwrap().len() > 50);
}
