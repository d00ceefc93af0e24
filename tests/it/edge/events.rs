//! Server-sent events: graphql-sse in the mode of distinct connections.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;

use crate::support::{Order, TestApp};

const WATCH: &str = "subscription { liveSales(window: ONE_HOUR) { orders } }";

/// The events of an answer.
struct Events {
    answer: Response,
    text: String,
}

impl Events {
    fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/event-stream; charset=utf-8");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self {
            answer,
            text: String::new(),
        }
    }

    /// The name and the data of the next event; nothing at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        let waiting = tokio::time::timeout(Duration::from_secs(20), self.hear()).await;
        waiting.expect("the server is silent")
    }

    async fn hear(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                let rest = rest.to_owned();
                self.text = rest;
                if event.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    let of =
                        |line: &str| line.strip_prefix(name).map(|rest| rest.trim().to_owned());
                    event.lines().find_map(of)
                };
                let data = serde_json::from_str(&field("data:")?).unwrap_or_default();
                return Some((field("event:")?, data));
            }
            // A server that stops may break off.
            let more = self.answer.chunk().await.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

fn post(app: &TestApp, query: &str) -> RequestBuilder {
    let request = app
        .request(Method::POST, "/graphql")
        .header("accept", "text/event-stream");
    request.json(&json!({"query": query}))
}

async fn events(request: RequestBuilder) -> Events {
    Events::of(request.send().await.unwrap())
}

#[tokio::test]
async fn a_subscription_goes_on_for_as_long_as_it_is_listened_to() {
    // In the window of the orders below.
    let noon = "2026-03-01T12:00:00Z".parse().unwrap();
    let app = TestApp::with_clock(Clock::manual(noon)).await;
    let get = app
        .request(Method::GET, "/graphql")
        .query(&[("query", WATCH)]);
    for request in [post(&app, WATCH), get.header("accept", "text/event-stream")] {
        let mut events = events(request).await;
        let (name, first) = events.next().await.unwrap();
        let orders = first["data"]["liveSales"]["orders"].as_u64().unwrap();
        assert_eq!(name, "next");
        app.accept(&[Order::of("mug").event()]).await;
        let (_, next) = events.next().await.unwrap();
        assert_eq!(next["data"]["liveSales"]["orders"], orders + 1);
    }
}

#[tokio::test]
async fn a_question_is_one_event_and_the_last() {
    let app = TestApp::start().await;
    for (query, data, code) in [
        (
            "{ __typename }",
            json!({"__typename": "Query"}),
            Value::Null,
        ),
        (
            "mutation { __typename }",
            json!({"__typename": "Mutation"}),
            Value::Null,
        ),
        // What cannot run is an event, too: that is what the client reads.
        ("{", Value::Null, json!("invalid_query")),
        (
            "subscription { nothing }",
            Value::Null,
            json!("invalid_query"),
        ),
    ] {
        let mut events = events(post(&app, query)).await;
        let (name, told) = events.next().await.unwrap();
        let heard = (
            name.as_str(),
            &told["data"],
            &told["errors"][0]["extensions"]["code"],
        );
        assert_eq!(heard, ("next", &data, &code), "{query}");
        assert_eq!(
            events.next().await,
            Some(("complete".to_owned(), Value::Null))
        );
        assert_eq!(events.next().await, None);
    }
    // An address changes nothing.
    let get = app
        .request(Method::GET, "/graphql")
        .query(&[("query", "mutation { __typename }")]);
    let mut events = events(get.header("accept", "text/event-stream")).await;
    let (_, told) = events.next().await.unwrap();
    assert_eq!(
        told["errors"][0]["extensions"]["code"],
        "method_not_allowed"
    );
}

#[tokio::test]
async fn who_has_no_key_is_told_so_before_anything_begins() {
    let app = TestApp::start().await;
    let request = app
        .anonymous(Method::POST, "/graphql")
        .header("accept", "text/event-stream");
    let answer = request.json(&json!({"query": WATCH})).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    // Over plain JSON there is nothing to watch.
    let plain = app
        .request(Method::POST, "/graphql")
        .json(&json!({"query": WATCH}));
    assert_eq!(plain.send().await.unwrap().status(), 406);
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_events_and_so_does_a_server_that_stops() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let now = Clock::System.now();
    let tenant = keys::ensure_tenant(&db, keys::DEFAULT_TENANT)
        .await
        .unwrap();
    let tenant = TenantId(tenant.tenant_id);
    let key = keys::create(&db, tenant, "partner", &[Scope::Read], now)
        .await
        .unwrap();
    let partner = app.anonymous(Method::POST, "/graphql").bearer_auth(&key);
    let partner = partner
        .header("accept", "text/event-stream")
        .json(&json!({"query": WATCH}));
    let mut partner = events(partner).await;
    partner.next().await.unwrap();
    let mut own = events(post(&app, WATCH)).await;
    own.next().await.unwrap();

    let listed = keys::list(&db, tenant).await.unwrap();
    let found = listed.iter().find(|key| key.label == "partner").unwrap();
    assert!(keys::revoke(&db, found.api_key_id, now).await.unwrap());
    let (_, told) = partner.next().await.unwrap();
    assert_eq!(told["errors"][0]["extensions"]["code"], "revoked_key");
    assert_eq!(partner.next().await.unwrap().0, "complete");
    assert_eq!(partner.next().await, None);

    // It says nothing more, so clients ask again.
    app.stop();
    assert_eq!(own.next().await, None);
}
