//! What cannot be asked so, and by whom.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{MARCH, fill, get, json_of};
use crate::records::tenants::{key, reader};
use crate::support::{TestApp, answer};

const ADDRESSES: [&str; 12] = [
    "/v1/sales?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z",
    "/v1/traffic?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z",
    "/v1/events",
    "/v1/pageviews",
    "/v1/users",
    "/v1/purchases",
    "/v1/refunds",
    "/v1/products",
    "/v1/metrics?measures=EVENTS&last=1h",
    "/v1/top/products?last=1h",
    "/v1/top/pages?last=1h",
    "/v1/restatements?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z",
];

#[tokio::test]
async fn each_bad_parameter_has_its_code() {
    let app = TestApp::start().await;
    fill(&app).await;
    let sales = format!("/v1/sales?{MARCH}");
    let range = "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z";
    let user = json_of(&app, "/v1/users?limit=1").await;
    let foreign = user["nextCursor"].as_str().unwrap();
    for (path, code) in [
        ("/v1/sales".to_owned(), "invalid_parameter"),
        (
            "/v1/sales?from=2026-03-01T00:00:00Z".to_owned(),
            "invalid_parameter",
        ),
        (
            "/v1/sales?from=yesterday&to=today".to_owned(),
            "invalid_parameter",
        ),
        (
            "/v1/sales?from=2026-03-01&to=2026-04-01".to_owned(),
            "invalid_parameter",
        ),
        (format!("/v1/sales?{range}"), "invalid_range"),
        (format!("/v1/traffic?{range}"), "invalid_range"),
        (format!("/v1/events?{range}"), "invalid_range"),
        (
            "/v1/events?from=1900-01-01T00:00:00Z".to_owned(),
            "invalid_range",
        ),
        (
            format!("{sales}&granularity=FORTNIGHT"),
            "invalid_parameter",
        ),
        (format!("{sales}&granularity="), "invalid_parameter"),
        (format!("{sales}&granularity=MINUTE"), "too_many_buckets"),
        (format!("{sales}&timezone=Mars"), "invalid_timezone"),
        (format!("{sales}&currency=DOGE"), "invalid_currency"),
        (
            format!("{sales}&groupBy=CATEGORY,COLOUR"),
            "invalid_parameter",
        ),
        (format!("{sales}&include=users"), "invalid_parameter"),
        (format!("{sales}&includeBots=perhaps"), "invalid_parameter"),
        (
            format!("{sales}&from=2026-03-01T00:00:00Z"),
            "invalid_parameter",
        ),
        (format!("{sales}&colour=blue"), "invalid_parameter"),
        (
            format!("/v1/traffic?{MARCH}&groupBy=REGION"),
            "invalid_parameter",
        ),
        ("/v1/events?limit=0".to_owned(), "invalid_parameter"),
        ("/v1/events?limit=501".to_owned(), "invalid_parameter"),
        ("/v1/events?limit=-1".to_owned(), "invalid_parameter"),
        ("/v1/events?limit=ten".to_owned(), "invalid_parameter"),
        (
            "/v1/events?limit=0&format=csv".to_owned(),
            "invalid_parameter",
        ),
        ("/v1/events?format=xml".to_owned(), "invalid_parameter"),
        ("/v1/events?cursor=".to_owned(), "invalid_cursor"),
        ("/v1/events?cursor=aGVsbG8".to_owned(), "invalid_cursor"),
        (format!("/v1/events?cursor={foreign}"), "invalid_cursor"),
        (
            format!("/v1/events?format=ndjson&cursor={foreign}"),
            "invalid_cursor",
        ),
        (
            format!("/v1/products?format=csv&cursor={foreign}"),
            "invalid_cursor",
        ),
        ("/v1/events?userId=u1".to_owned(), "invalid_parameter"),
        ("/v1/events?types=No%20Type".to_owned(), "invalid_filter"),
        (
            format!("/v1/events?types={}", vec!["click"; 51].join(",")),
            "invalid_filter",
        ),
        ("/v1/events?region=%00".to_owned(), "invalid_filter"),
        ("/v1/events?bot=maybe".to_owned(), "invalid_parameter"),
        ("/v1/events?productId=mug".to_owned(), "invalid_parameter"),
        (
            "/v1/users?from=2026-03-01T00:00:00Z".to_owned(),
            "invalid_parameter",
        ),
        ("/v1/sales/".to_owned(), "not_found"),
    ] {
        let answer = get(&app, &path).await;
        let kind = answer.headers()["content-type"].clone();
        let status = answer.status().as_u16();
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{path}: {problem}");
        assert_eq!(problem["status"], status, "{path}");
        assert_eq!(kind, "application/problem+json", "{path}");
        assert_ne!(problem["detail"], json!(""), "{path}");
    }
    let detail = json_of_problem(&app, &format!("{sales}&colour=blue")).await;
    assert!(detail.contains("colour"), "{detail}");
}

async fn json_of_problem(app: &TestApp, path: &str) -> String {
    let (_, problem) = app.get(path).await;
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_format_that_cannot_be_given_is_refused() {
    let app = TestApp::start().await;
    let accept = |kind: &'static str, path: &'static str| {
        let request = app.request(Method::GET, path).header("accept", kind);
        async move { request.send().await.unwrap() }
    };
    let refused = accept("application/xml", "/v1/events").await;
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "not_acceptable");
    for (kind, path, given) in [
        (
            "text/csv",
            "/v1/events",
            "text/csv; charset=utf-8; header=present",
        ),
        ("application/x-ndjson", "/v1/events", "application/x-ndjson"),
        (
            "application/json, text/csv;q=0.5",
            "/v1/events",
            "application/json",
        ),
        (
            "application/xml",
            "/v1/events?format=json",
            "application/json",
        ),
        (
            "text/csv",
            "/v1/events?format=ndjson",
            "application/x-ndjson",
        ),
    ] {
        let answer = accept(kind, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{kind} {path}");
        assert_eq!(answer.headers()["content-type"], given, "{kind} {path}");
    }
    let deleted = app
        .request(Method::DELETE, "/v1/events")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn reading_needs_a_key_with_the_scope() {
    use tidewater::access::Scope;
    let app = TestApp::start().await;
    let ingest = key(&app, "default", Scope::Ingest).await;
    let read = reader(&app, "default").await;
    for path in ADDRESSES {
        for suffix in ["", "format=csv", "format=ndjson"] {
            let mark = if path.contains('?') { '&' } else { '?' };
            if path.contains('?') && !suffix.is_empty() {
                continue;
            }
            let path = format!("{path}{mark}{suffix}");
            let path = path.trim_end_matches(['&', '?']);
            let (status, problem) = answer(app.anonymous(Method::GET, path)).await;
            assert_eq!(
                (status.as_u16(), &problem["code"]),
                (401, &json!("missing_key")),
                "{path}"
            );
            let request = app
                .anonymous(Method::GET, path)
                .bearer_auth("tw_no_such_key");
            assert_eq!(answer(request).await.1["code"], "unknown_key", "{path}");
            let request = app.anonymous(Method::GET, path).bearer_auth(&ingest);
            let (status, problem) = answer(request).await;
            assert_eq!(
                (status.as_u16(), &problem["code"]),
                (403, &json!("forbidden")),
                "{path}"
            );
            let request = app.anonymous(Method::GET, path).bearer_auth(&read);
            assert_eq!(answer(request).await.0, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    let app = TestApp::start().await;
    fill(&app).await;
    let other = reader(&app, "another shop").await;
    let own = json_of(&app, "/v1/purchases?limit=1").await;
    let cursor = own["nextCursor"].as_str().unwrap();
    let user = own["data"][0]["userId"].as_str().unwrap();
    let ask = |path: String| {
        let request = app.anonymous(Method::GET, &path).bearer_auth(&other);
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            answer.text().await.unwrap()
        }
    };
    for list in &ADDRESSES[2..8] {
        let nothing = r#"{"data":[],"nextCursor":null}"#;
        assert_eq!(ask((*list).to_owned()).await, nothing, "{list}");
        let lines = ask(format!("{list}?format=ndjson")).await;
        assert_eq!(
            lines, "{\"done\":true,\"rows\":0,\"nextCursor\":null}\n",
            "{list}"
        );
        let table = ask(format!("{list}?format=csv")).await;
        assert_eq!(table.matches("\r\n").count(), 1, "{list}");
    }
    for path in [
        format!("/v1/purchases?cursor={cursor}"),
        format!("/v1/purchases?userId={user}"),
    ] {
        assert_eq!(ask(path).await, r#"{"data":[],"nextCursor":null}"#);
    }
    let sales: Value = serde_json::from_str(&ask(ADDRESSES[0].to_owned()).await).unwrap();
    assert_eq!(
        (&sales["totals"]["orders"], &sales["totals"]["revenue"]),
        (&json!(0), &json!("0.00"))
    );
    let traffic: Value = serde_json::from_str(&ask(ADDRESSES[1].to_owned()).await).unwrap();
    assert_eq!(traffic["totals"]["events"], 0);
}
