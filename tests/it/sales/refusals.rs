//! Questions that cannot be answered.

use super::later;

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_code() {
    let app = later().await;
    let year = r#"range: {from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z"}"#;
    let range = |from: &str, to: &str| format!(r#"range: {{from: "{from}", to: "{to}"}}"#);
    for (arguments, code) in [
        (
            range("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
            "invalid_range",
        ),
        (
            range("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            "invalid_range",
        ),
        (
            range("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
            "invalid_range",
        ),
        (
            range("1969-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
            "invalid_range",
        ),
        (
            range("2026-01-01T00:00:00Z", "2101-01-01T00:00:00Z"),
            "invalid_range",
        ),
        (format!("{year}, granularity: MINUTE"), "too_many_buckets"),
        (
            format!("{year}, granularity: QUARTER_HOUR"),
            "too_many_buckets",
        ),
        (
            format!(r#"{year}, timezone: "Europe/Atlantis""#),
            "invalid_timezone",
        ),
        (format!(r#"{year}, timezone: "+02:00""#), "invalid_timezone"),
        (format!(r#"{year}, timezone: """#), "invalid_timezone"),
    ] {
        for question in ["sales", "traffic"] {
            let query = format!("{{ {question}({arguments}) {{ timezone }} }}");
            assert_eq!(app.code(&query).await, code, "{query}");
        }
    }
    for currency in ["", "usd", "US", "XXZ", "DOLLAR"] {
        let query = format!(r#"{{ sales({year}, currency: "{currency}") {{ currency }} }}"#);
        assert_eq!(app.code(&query).await, "invalid_currency", "{query}");
    }
    // As much as may be: 10 000 buckets of an hour.
    let most = range("2026-01-01T00:00:00Z", "2027-02-21T16:00:00Z");
    let query = format!("{{ traffic({most}, granularity: HOUR) {{ buckets {{ events }} }} }}");
    let answer = app.data(&query).await;
    assert_eq!(
        answer["traffic"]["buckets"].as_array().unwrap().len(),
        10_000
    );
}
