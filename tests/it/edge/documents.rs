//! Documents that an id stands for: the operator's list, and what clients sent once.

use std::io::Write as _;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tidewater::clock::Clock;
use tidewater::config::GraphqlConfig;

use super::http::with;
use crate::support::{KEY, Redis, Subscription, TestApp, TestDb, answer};

const LISTED: &str = "query Name { __typename }";
const WATCH: &str = "subscription { liveSales(window: ONE_HOUR) { orders } }";

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

fn by_hash(hash: &str) -> Value {
    json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}})
}

async fn post(app: &TestApp, body: &Value) -> (StatusCode, Value) {
    let request = app.request(Method::POST, "/graphql");
    answer(
        request
            .header("accept", "application/graphql-response+json")
            .json(body),
    )
    .await
}

fn code(told: &Value) -> &str {
    told["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_default()
}

/// A list of documents, in a file.
fn manifest(content: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.to_string().as_bytes()).unwrap();
    file
}

fn listing(file: &NamedTempFile, only: bool) -> impl FnOnce(&mut GraphqlConfig) {
    let path = file.path().to_owned();
    move |graphql| {
        graphql.persisted_documents = Some(path);
        graphql.persisted_only = only;
    }
}

#[tokio::test]
async fn a_document_that_one_server_was_sent_is_known_to_the_others() {
    let redis = Redis::durable().await;
    let db = std::sync::Arc::new(TestDb::migrated().await);
    let one = TestApp::on(db.clone(), Some(&redis.url()), Clock::System).await;
    let other = TestApp::on(db, Some(&redis.url()), Clock::System).await;
    let product = json!({"product": null});
    let unknown = "{ product(id: \"cup\") { title } }";
    let (_, told) = post(&other, &by_hash(&hash(unknown))).await;
    assert_eq!(code(&told), "PERSISTED_QUERY_NOT_FOUND");
    // A server that has just begun may not have reached its Redis yet: others are sent then.
    let mut tries = 0;
    let query = loop {
        let query = format!("{{ product(id: \"mug {tries}\") {{ title }} }}");
        let mut whole = by_hash(&hash(&query));
        whole["query"] = query.clone().into();
        assert_eq!(post(&one, &whole).await.1["data"], product);
        if post(&other, &by_hash(&hash(&query))).await.1["data"] == product {
            break query;
        }
        tries += 1;
        assert!(tries < 100, "never known to the other");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    // The same by the standard's name for it.
    let by_id = json!({"documentId": format!("sha256:{}", hash(&query))});
    assert_eq!(post(&other, &by_id).await.1["data"], product);
    // One that could not be parsed is not kept.
    let deep = "{ a ".repeat(100);
    let mut whole = by_hash(&hash(&deep));
    whole["query"] = deep.clone().into();
    assert_eq!(code(&post(&one, &whole).await.1), "query_too_deep");
    assert_eq!(
        code(&post(&one, &by_hash(&hash(&deep))).await.1),
        "PERSISTED_QUERY_NOT_FOUND"
    );
}

#[tokio::test]
async fn only_what_is_listed_runs_where_it_is_set_so() {
    let plain = manifest(&json!({hash(LISTED): LISTED, "watch": WATCH}));
    let apollo = manifest(&json!({
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [
            {"id": hash(LISTED), "name": "Name", "type": "query", "body": LISTED},
            {"id": "watch", "name": "Watch", "type": "subscription", "body": WATCH},
        ],
    }));
    for file in [&plain, &apollo] {
        let app = with(listing(file, true)).await;
        let runs = [
            json!({"documentId": format!("sha256:{}", hash(LISTED))}),
            json!({"documentId": hash(LISTED), "operationName": "Name"}),
            by_hash(&hash(LISTED)),
            json!({"query": LISTED}),
        ];
        for body in runs {
            let (status, told) = post(&app, &body).await;
            assert_eq!(
                (status.as_u16(), &told["data"]),
                (200, &json!({"__typename": "Query"})),
                "{body}"
            );
        }
        let mut registers = by_hash(&hash("{ __typename }"));
        registers["query"] = "{ __typename }".into();
        let refused = [
            json!({"query": "{ __typename }"}),
            json!({"documentId": "another"}),
            by_hash(&hash("{ __typename }")),
            registers,
        ];
        for body in refused {
            let (status, told) = post(&app, &body).await;
            assert_eq!(
                (status.as_u16(), code(&told)),
                (403, "document_not_allowed"),
                "{body}"
            );
        }
        let get = app
            .request(Method::GET, "/graphql")
            .query(&[("documentId", hash(LISTED))]);
        assert_eq!(get.send().await.unwrap().status(), 200);
        let mut socket = Subscription::connect(&app.url).await;
        let payload = json!({"authorization": format!("Bearer {KEY}")});
        socket
            .say(json!({"type": "connection_init", "payload": payload}))
            .await;
        socket.hear().await.unwrap();
        let payload = json!({"documentId": "watch"});
        socket
            .say(json!({"type": "subscribe", "id": "1", "payload": payload}))
            .await;
        assert_eq!(socket.next().await, json!({"liveSales": {"orders": 0}}));
        let payload = json!({"query": "{ __typename }"});
        socket
            .say(json!({"type": "subscribe", "id": "2", "payload": payload}))
            .await;
        let message = socket.hear().await.unwrap();
        assert_eq!(
            message["payload"][0]["extensions"]["code"],
            "document_not_allowed"
        );
    }
}

#[tokio::test]
async fn a_list_is_a_short_cut_where_it_is_not_all() {
    let file = manifest(&json!({"name": LISTED}));
    let app = with(listing(&file, false)).await;
    for body in [
        json!({"documentId": "name"}),
        json!({"query": "{ __typename }"}),
    ] {
        assert_eq!(
            post(&app, &body).await.1["data"],
            json!({"__typename": "Query"}),
            "{body}"
        );
    }
    for (body, wanted) in [
        (
            json!({"documentId": "another"}),
            "PERSISTED_QUERY_NOT_FOUND",
        ),
        (
            json!({"documentId": "name", "query": "{ a }"}),
            "malformed_request",
        ),
        (
            json!({"documentId": "another", "query": "{ a }"}),
            "malformed_request",
        ),
        (json!({"documentId": "sha256:AB"}), "malformed_request"),
        (json!({"documentId": 1}), "malformed_request"),
    ] {
        assert_eq!(code(&post(&app, &body).await.1), wanted, "{body}");
    }
}

#[tokio::test]
async fn a_key_may_be_bound_to_what_is_listed_by_itself() {
    let file = manifest(&json!({"name": LISTED}));
    let app = with(listing(&file, false)).await;
    let made = app
        .data(
            r#"mutation { createApiKey(input: {name: "app", scopes: [READ], persistedOnly: true}) {
                secret apiKey { persistedOnly } } }"#,
        )
        .await;
    let made = &made["createApiKey"];
    assert_eq!(made["apiKey"]["persistedOnly"], true);
    let secret = made["secret"].as_str().unwrap();
    let ask = async |key: &str, body: Value| -> Value {
        let request = app.anonymous(Method::POST, "/graphql").bearer_auth(key);
        let answer = request.json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    };
    // What may be kept: the bound key must not be shown what another had made.
    let kept = r#"{ topProducts(range: {between: {from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"}}) {
        provenance { source } } }"#;
    for _ in 0..3 {
        app.data(kept).await;
        let told = ask(secret, json!({"query": kept})).await;
        assert_eq!(code(&told), "document_not_allowed");
    }
    let told = ask(secret, json!({"documentId": "name"})).await;
    assert_eq!(told["data"], json!({"__typename": "Query"}));
    // Nor does it ask otherwise.
    let list = app.anonymous(Method::GET, "/v1/users").bearer_auth(secret);
    let (status, told) = answer(list).await;
    assert_eq!(
        (status.as_u16(), &told["code"]),
        (403, &json!("document_not_allowed"))
    );
}
