//! Documents that are made to cost: none of them runs, each is refused with its code.

mod documents;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestApp;
use documents::KINDS;

/// The codes that such documents are refused with.
const CODES: [&str; 7] = [
    "document_too_large",
    "query_too_deep",
    "query_too_complex",
    "too_many_aliases",
    "too_many_directives",
    "too_many_root_fields",
    "invalid_query",
];

/// How many bytes this process has taken from the system at most, in kibibytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_thousand_hostile_documents_are_refused_each_with_its_code() {
    let app = TestApp::start().await;
    app.data("{ __typename }").await;
    let (mut slowest, before) = ((Duration::ZERO, ""), peak());
    let mut told: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for at in 0..1_000 {
        let (kind, make) = KINDS[at % KINDS.len()];
        let body = json!({"query": make(at / KINDS.len())}).to_string();
        let begun = Instant::now();
        let request = app.request(Method::POST, "/graphql").body(body);
        let answer = request
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let took = begun.elapsed();
        if took > slowest.0 {
            slowest = (took, kind);
        }
        assert!(answer.get("data").is_none(), "{kind}: {answer}");
        assert!(answer["errors"].as_array().unwrap().len() <= 50, "{kind}");
        let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap();
        *told
            .entry(kind)
            .or_default()
            .entry(code.to_owned())
            .or_default() += 1;
    }
    // For those who want the figures: `cargo test hostile -- --nocapture`.
    println!(
        "slowest {slowest:?}; the process grew by {} KiB",
        peak() - before
    );
    println!("{told:#?}");
    let all = told.values().flat_map(BTreeMap::keys);
    assert_eq!(
        all.filter(|code| !CODES.contains(&code.as_str())).count(),
        0,
        "{told:#?}"
    );
    for (kind, code) in [
        ("deep fields", "query_too_deep"),
        ("deep and broken", "query_too_deep"),
        ("deep lists", "query_too_deep"),
        ("wide", "too_many_root_fields"),
        ("wide within", "query_too_complex"),
        ("aliases", "too_many_aliases"),
        ("fragments that double", "query_too_complex"),
        ("fragments in a row", "query_too_deep"),
        ("a circle of many", "invalid_query"),
        ("a circle that nobody uses", "invalid_query"),
        ("directives at one place", "too_many_directives"),
        ("directives everywhere", "too_many_directives"),
        ("a huge text", "document_too_large"),
        ("many operations", "document_too_large"),
    ] {
        assert!(told[kind].contains_key(code), "{kind}: {:?}", told[kind]);
    }
}

#[tokio::test]
async fn the_json_of_a_request_has_its_bounds() {
    let app = TestApp::start().await;
    let code = async |body: String| {
        let request = app.request(Method::POST, "/graphql").body(body);
        let answer = request
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let variables = |value: String| {
        format!(r#"{{"query": "{{ __typename }}", "variables": {{"v": {value}}}}}"#)
    };
    let many = format!("[{}]", vec!["[]"; 260_000].join(","));
    assert_eq!(code(variables(many)).await, "too_many_values");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(code(variables(deep)).await, "malformed_json");
    assert_eq!(
        code(variables(format!("\"{}\"", "x".repeat(5 << 20)))).await,
        "body_too_large"
    );
    assert_eq!(
        code("{\"query\": \"\u{0}\"}".to_owned()).await,
        "malformed_json"
    );
}

#[tokio::test]
async fn a_subscription_has_one_field_at_its_root() {
    let app = TestApp::start().await;
    let window = "liveSales(window: ONE_HOUR) { orders }";
    for query in [
        format!("subscription {{ a: {window} b: {window} }}"),
        format!("subscription {{ ...F }} fragment F on Subscription {{ a: {window} b: {window} }}"),
    ] {
        let mut socket = app.subscribe(&query).await;
        let message = socket.hear().await.unwrap();
        assert_eq!(message["type"], "error");
        assert_eq!(message["payload"][0]["extensions"]["code"], "invalid_query");
    }
}
