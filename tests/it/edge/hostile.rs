//! Documents that are made to cost: none of them runs, each is refused with its code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestApp;

type Make = fn(usize) -> String;

/// Kinds of hostile documents, each growing with a number.
const KINDS: [(&str, Make); 22] = [
    ("deep fields", |n| {
        format!("{}{}", "{ a ".repeat(20 + n), "}".repeat(20 + n))
    }),
    ("deep and broken", |n| "{ a ".repeat(50 + 100 * n)),
    ("deep inline fragments", |n| {
        format!(
            "{{ {} a {} }}",
            "... { ".repeat(60 + n),
            "} ".repeat(60 + n)
        )
    }),
    ("deep lists", |n| {
        format!(
            "{{ a(b: {}{}) }}",
            "[".repeat(60 + 100 * n),
            "]".repeat(60 + 100 * n)
        )
    }),
    ("deep objects", |n| {
        format!(
            "{{ a(b: {}1{}) }}",
            "{c: ".repeat(60 + n),
            "}".repeat(60 + n)
        )
    }),
    ("wide", |n| {
        format!("{{ {} }}", "__typename ".repeat(51 + 40 * n))
    }),
    ("wide within", |n| {
        format!(
            "{{ events {{ {} }} }}",
            "totalCount ".repeat(1_001 + 50 * n)
        )
    }),
    ("aliases", |n| {
        let all: Vec<String> = (0..51 + n).map(|at| format!("a{at}: __typename")).collect();
        format!("{{ {} }}", all.join(" "))
    }),
    ("fragments that double", |n| {
        let link = |at: usize| {
            format!(
                "fragment F{at} on Query {{ ...F{} ...F{} }} ",
                at + 1,
                at + 1
            )
        };
        let links: String = (0..12 + n).map(link).collect();
        format!(
            "{{ ...F0 }} {links} fragment F{} on Query {{ __typename }}",
            12 + n
        )
    }),
    ("fragments in a row", |n| {
        let link = |at: usize| format!("fragment F{at} on Query {{ ...F{} }} ", at + 1);
        let links: String = (0..60 + 5 * n).map(link).collect();
        format!(
            "{{ ...F0 }} {links} fragment F{} on Query {{ __typename }}",
            60 + 5 * n
        )
    }),
    ("a circle of one", |n| {
        format!(
            "{{ ...F }} fragment F on Query {{ {} ...F }}",
            "a ".repeat(n)
        )
    }),
    ("a circle of many", |n| {
        let link = |at: usize| format!("fragment F{at} on Query {{ ...F{} }} ", (at + 1) % (n + 2));
        format!("{{ ...F0 }} {}", (0..n + 2).map(link).collect::<String>())
    }),
    ("a circle that nobody uses", |n| {
        format!(
            "{{ __typename }} fragment F on Query {{ {} ...G }} fragment G on Query {{ ...F }}",
            "a ".repeat(n)
        )
    }),
    ("directives at one place", |n| {
        format!("{{ __typename {} }}", "@aa".repeat(6 + 50 * n))
    }),
    ("directives everywhere", |n| {
        format!("{{ {} }}", "__typename @a @b ".repeat(26 + n))
    }),
    ("a huge text", |n| {
        format!("{{ a(b: \"{}\") }}", "x".repeat((128 + n) * 1024))
    }),
    ("a huge block", |n| {
        format!("{{ a(b: \"\"\"{}\"\"\") }}", "\n".repeat((128 + n) * 1024))
    }),
    ("a huge comment", |n| {
        format!("{{ __typename }} #{}", "[".repeat((128 + n) * 1024))
    }),
    ("a huge number", |n| {
        format!("{{ a(b: {}) }}", "9".repeat((128 + n) * 1024))
    }),
    ("many operations", |n| {
        let all: Vec<String> = (0..1_300 + n)
            .map(|at| format!("query Q{at} {{ a }} "))
            .collect();
        all.concat()
    }),
    ("many variables", |n| {
        let all: Vec<String> = (0..1_300 + n)
            .map(|at| format!("$v{at}: Int = 1"))
            .collect();
        format!("query({}) {{ __typename }}", all.join(", "))
    }),
    ("many arguments", |n| {
        format!("{{ a({}) }}", "b: 1, ".repeat(1_700 + n))
    }),
];

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
