//! What is refused, and with which words.

use serde_json::{Value, json};

use super::random::QUERY;
use crate::sales::later;

/// A change to a good question, and the code and words that it is refused with.
type Case = (Value, &'static str, &'static str);

fn questions() -> Vec<Case> {
    vec![
        (
            json!({"measures": []}),
            "invalid_metrics",
            "1 to 10 measures",
        ),
        (
            json!({"measures": vec!["EVENTS"; 11]}),
            "invalid_metrics",
            "1 to 10 measures",
        ),
        (
            json!({"dimensions": ["REGION", "CHANNEL", "CAMPAIGN", "DEVICE"]}),
            "invalid_metrics",
            "At most 3 dimensions",
        ),
        (json!({"limit": 0}), "invalid_metrics", "1 to 1000"),
        (json!({"limit": 1001}), "invalid_metrics", "1 to 1000"),
        (
            json!({"rolling": {"buckets": 367}}),
            "invalid_metrics",
            "1 to 366",
        ),
        (
            json!({"dimensions": ["CATEGORY"], "categoryLevel": 0}),
            "invalid_metrics",
            "1 or more",
        ),
        (
            json!({"orderBy": {"measure": "USERS"}}),
            "invalid_metrics",
            "not asked for",
        ),
        (
            json!({"dimensions": ["EVENT_TYPE"]}),
            "unsupported_dimension",
            "REVENUE has no dimension EVENT_TYPE",
        ),
        (
            json!({"filter": {"dimension": {"dimension": "PAGE_URL", "in": ["/"]}}}),
            "unsupported_dimension",
            "It has: CATEGORY, PRODUCT, REGION",
        ),
    ]
}

fn ranges() -> Vec<Case> {
    let between = |from: &str, to: &str| json!({"between": {"from": from, "to": to}});
    let centuries = between("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let inverted = between("2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z");
    vec![
        (
            json!({"timezone": "Mars/Olympus"}),
            "invalid_timezone",
            "IANA",
        ),
        (json!({"currency": "XYZ"}), "invalid_currency", ""),
        (json!({"range": inverted}), "invalid_range", ""),
        (
            json!({"range": {"last": {"count": 0, "unit": "DAY"}}}),
            "invalid_range",
            "",
        ),
        (
            json!({"range": {"last": {"count": -1, "unit": "DAY"}}}),
            "invalid_range",
            "",
        ),
        (
            json!({"range": {"last": {"count": 2_000_000_000, "unit": "YEAR"}}}),
            "invalid_range",
            "",
        ),
        (
            json!({"range": {"last": {"count": 1, "unit": "TOTAL"}}}),
            "invalid_range",
            "",
        ),
        (
            json!({"range": centuries, "granularity": "MINUTE"}),
            "too_many_buckets",
            "coarser",
        ),
    ]
}

fn filters() -> Vec<Case> {
    let region = json!({"dimension": {"dimension": "REGION", "in": ["DE"]}});
    let deep = (0..8).fold(region.clone(), |inner, _| json!({"not": inner}));
    let wide = json!({"or": vec![&region; 50]});
    let property = |test: Value| {
        let mut property = json!({"path": ["a"]});
        let test = test.as_object().unwrap().clone();
        property.as_object_mut().unwrap().extend(test);
        json!({"filter": {"property": property}})
    };
    vec![
        (json!({"filter": deep}), "invalid_filter", "at most 8 deep"),
        (
            json!({"filter": wide}),
            "invalid_filter",
            "at most 50 conditions",
        ),
        (
            json!({"filter": {"dimension": {"dimension": "REGION", "in": vec!["x"; 101]}}}),
            "invalid_filter",
            "at most 100 values",
        ),
        (
            json!({"filter": {"dimension": {"dimension": "REGION", "in": ["a\u{0}b"]}}}),
            "invalid_filter",
            "NUL",
        ),
        (property(json!({})), "invalid_filter", "exactly one of"),
        (
            property(json!({"min": "1", "max": "2"})),
            "invalid_filter",
            "exactly one of",
        ),
        (
            property(json!({"min": "1e5"})),
            "invalid_filter",
            "plain decimals",
        ),
        (
            property(json!({"min": "NaN"})),
            "invalid_filter",
            "plain decimals",
        ),
        (
            json!({"filter": {"property": {"path": [], "exists": true}}}),
            "invalid_filter",
            "1 to 16 names",
        ),
    ]
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_limit() {
    let app = later().await;
    let march = json!({"between": {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}});
    for (change, code, words) in questions().into_iter().chain(ranges()).chain(filters()) {
        let mut input = json!({"measures": ["REVENUE"], "range": march});
        input
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = app.ask_with(QUERY, json!({"input": input})).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], code, "{answer} of {change}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{message} of {change}");
    }
}
