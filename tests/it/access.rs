//! Who gets in, what they see, how much they may do, and what is written down of it.

mod audit;
mod isolation;
mod keys;
mod limits;
mod operations;
mod rows;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, answer};

/// Makes a key: its id and its secret.
async fn key(app: &TestApp, input: Value) -> (String, String) {
    let query = "mutation($input: ApiKeyInput!) {
        createApiKey(input: $input) { secret apiKey { apiKeyId } } }";
    let made = app.ask_with(query, json!({"input": input})).await;
    let made = &made["data"]["createApiKey"];
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    };
    (text(&made["apiKey"]["apiKeyId"]), text(&made["secret"]))
}

/// Makes a tenant: the secret of its first key.
async fn tenant(app: &TestApp, name: &str) -> String {
    let query = "mutation($name: String!) { createTenant(input: {name: $name}) { secret } }";
    let made = app.ask_with(query, json!({"name": name})).await;
    let secret = made["data"]["createTenant"]["secret"].as_str();
    secret.unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A request that reads, by the holder of a key.
fn reading(app: &TestApp, key: &str) -> RequestBuilder {
    app.anonymous(Method::GET, "/v1/products").bearer_auth(key)
}

/// The status and the code of an answer; an empty code where it is none.
async fn code(request: RequestBuilder) -> (StatusCode, String) {
    let (status, answer) = answer(request).await;
    let code = answer["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}
