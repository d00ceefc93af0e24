//! What every answer says beside its body: ids of requests, and what browsers may do with it.

use reqwest::Method;

use crate::support::TestApp;

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let app = TestApp::start().await;
    for path in [
        "/graphql",
        "/v1/sales",
        "/nothing",
        "/graphiql",
        "/openapi.json",
    ] {
        let id = async |given: Option<&str>| {
            let mut request = app.request(Method::GET, path);
            if let Some(given) = given {
                request = request.header("x-request-id", given);
            }
            let answer = request.send().await.unwrap();
            answer.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(id(Some("abc-1.2_3:Z")).await, "abc-1.2_3:Z", "{path}");
        let made = id(None).await;
        assert_eq!(made.len(), 36, "{path}");
        assert_ne!(made, id(None).await);
        for strange in ["", "a b", "a\"b", "<b>", &"a".repeat(65)] {
            assert_eq!(id(Some(strange)).await.len(), 36, "{strange}");
        }
    }
}

#[tokio::test]
async fn browsers_take_answers_for_what_they_are() {
    let app = TestApp::start().await;
    for path in [
        "/graphql",
        "/v1/sales",
        "/nothing",
        "/graphiql",
        "/reference",
        "/openapi.json",
    ] {
        let answer = app.request(Method::GET, path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        let scripts = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"));
        assert!(
            scripts.is_none_or(|scripts| scripts.trim() == "script-src 'self'"),
            "{policy}"
        );
        assert!(!answer.headers().contains_key("strict-transport-security"));
        assert!(!answer.headers().contains_key("server"));
    }
}

#[tokio::test]
async fn an_address_has_an_end() {
    let app = TestApp::start().await;
    let path = format!("/graphql?query={}", "a".repeat(17 * 1024));
    let answer = app.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 414);
}
