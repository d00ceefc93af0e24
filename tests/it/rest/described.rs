//! `/openapi.json` and `/reference` say what there is.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tidewater::error::Code;

use super::{get, json_of};
use crate::support::TestApp;

#[tokio::test]
async fn the_document_is_served_and_whole() {
    let app = TestApp::start().await;
    let request = app.anonymous(Method::GET, "/openapi.json");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let tag = answer.headers()["etag"].clone();
    let document: Value = answer.json().await.unwrap();
    let known = app.anonymous(Method::GET, "/openapi.json");
    let known = known.header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);

    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut undescribed = Vec::new();
    let mut dangling = Vec::new();
    walk(&document, "", &mut |path, value| {
        if let Some(target) = value["$ref"].as_str() {
            let pointer = target.trim_start_matches('#');
            if document.pointer(pointer).is_none() {
                dangling.push(target.to_owned());
            }
        }
        // A field may be called `properties`, too.
        if path.ends_with("/properties") {
            return;
        }
        let fields = value["properties"].as_object().into_iter().flatten();
        for (name, field) in fields {
            let target = field["$ref"]
                .as_str()
                .map(|text| text.trim_start_matches('#').to_owned());
            let meant = target.and_then(|target| document.pointer(&target));
            // What may be null says so, and is described, in one of several.
            let several = field["oneOf"].as_array().into_iter().flatten();
            let described = [Some(field), meant].into_iter().flatten().chain(several);
            if !described
                .clone()
                .any(|field| field["description"].is_string())
            {
                undescribed.push(format!("{path}.{name}"));
            }
        }
        for parameter in value["parameters"].as_array().into_iter().flatten() {
            if !parameter["description"].is_string() {
                undescribed.push(format!("{path}.{}", parameter["name"]));
            }
        }
    });
    assert_eq!(undescribed, Vec::<String>::new());
    assert_eq!(dangling, Vec::<String>::new());

    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    let codes: BTreeSet<&str> = codes
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(codes, Code::ALL.iter().map(|code| code.name()).collect());
}

fn walk<'a>(value: &'a Value, path: &str, look: &mut impl FnMut(&str, &'a Value)) {
    look(path, value);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                walk(field, &format!("{path}/{name}"), look);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                walk(item, &format!("{path}/{n}"), look);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_is_described_is_there_and_answers_so() {
    let app = TestApp::start().await;
    super::fill(&app).await;
    let document = json_of(&app, "/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/sales",
        "/v1/events",
        "/v1/batch",
        "/v1/track",
        "/v1/receipts/{batchId}",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let wanted = method.to_uppercase().parse::<Method>().unwrap();
            let path = path
                .replace("{batchId}", "67e55044-10b1-426f-9247-bb680e5fe0c8")
                .replace("{token}", "67e55044-10b1-426f-9247-bb680e5fe0c8");
            let status = app.anonymous(wanted, &path).send().await.unwrap().status();
            // It is there, and asks for a key; senders may show it in the body.
            assert!(
                matches!(status.as_u16(), 400 | 401 | 415),
                "{method} {path}: {status}"
            );
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            if method == "get" && !path.contains("receipts") && !path.contains("exports") {
                let range = "?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z";
                let range = if operation["tags"][0] == "Reports" {
                    range
                } else {
                    ""
                };
                let measures = match path.as_str() {
                    "/v1/metrics" => "&measures=REVENUE&dimensions=REGION",
                    _ => "",
                };
                let answer = json_of(&app, &format!("{path}{range}{measures}")).await;
                assert_described(&document, schema, &answer, &path);
            }
        }
    }
}

/// Every field of an answer is one of its schema.
fn assert_described(document: &Value, schema: &Value, answer: &Value, place: &str) {
    let resolve = |schema: &Value| -> Value {
        let target = schema["$ref"]
            .as_str()
            .map(|text| text.trim_start_matches('#').to_owned());
        target
            .and_then(|target| document.pointer(&target).cloned())
            .unwrap_or(schema.clone())
    };
    let schema = resolve(schema);
    if let Some(several) = schema["oneOf"].as_array() {
        let present = several.iter().find(|one| one["type"] != "null").unwrap();
        if !answer.is_null() {
            assert_described(document, present, answer, place);
        }
        return;
    }
    match answer {
        Value::Array(items) => {
            for item in items {
                assert_described(document, &schema["items"], item, place);
            }
        }
        Value::Object(fields) => {
            // Properties and the like are whatever was sent.
            if schema["properties"].is_null() && schema["allOf"].is_null() {
                assert_eq!(schema["type"], "object", "{place}: {schema}");
                return;
            }
            let mut parts = vec![schema.clone()];
            while let Some(n) = parts.iter().position(|part| part["allOf"].is_array()) {
                let whole = parts.swap_remove(n);
                parts.extend(whole["allOf"].as_array().unwrap().iter().map(resolve));
            }
            for (name, value) in fields {
                let field = parts.iter().find_map(|part| part["properties"].get(name));
                let field = field.unwrap_or_else(|| panic!("{place}.{name} is not described"));
                assert_described(document, field, value, &format!("{place}.{name}"));
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_reference_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = get(&app, "/reference").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    let text = page.text().await.unwrap();
    let links: Vec<&str> = text
        .split(['"', '\''])
        .filter(|part| part.starts_with("/reference/"))
        .collect();
    assert_eq!(links, ["/reference/page.css", "/reference/page.js"]);
    for link in links {
        let asset = get(&app, link).await;
        assert_eq!(asset.status(), StatusCode::OK, "{link}");
        assert!(!asset.text().await.unwrap().contains("https://"), "{link}");
    }
    assert_eq!(
        get(&app, "/reference/nothing").await.status(),
        StatusCode::NOT_FOUND
    );
}
