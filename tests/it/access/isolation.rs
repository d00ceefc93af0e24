//! Two tenants: nothing of one ever appears at the other, whatever is asked and whatever is done.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tidewater::clock::Clock;
use uuid::Uuid;

use super::operations::{Foreign, change_all, read_all};
use super::tenant;
use crate::metrics::random::summed_up;
use crate::support::{KEY, TestApp, answer};

/// Stands in every text of whom nobody else may see.
pub(super) const HIDDEN: &str = "zebra";

fn pick<'a>(random: &mut StdRng, words: &[&'a str]) -> &'a str {
    words[random.random_range(0..words.len())]
}

/// What random events are made of.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// Stands in every text.
    pub(super) mark: &'static str,
    pub(super) regions: &'static [&'static str],
    pub(super) products: &'static [&'static str],
}

/// Random events, each text of which has the mark; some of this moment, some late.
pub(super) fn random_events(words: Words, count: usize, seed: u64) -> Vec<Value> {
    let mut random = StdRng::seed_from_u64(seed);
    let mark = words.mark;
    let event = |_| {
        let user = format!("{mark}-{}", random.random_range(0..9));
        let at = if random.random_bool(0.2) {
            Clock::System.now()
        } else {
            let second = random.random_range(0..86_400 * 2);
            "2026-03-01T00:00:00Z"
                .parse::<chrono::DateTime<chrono::Utc>>()
                .unwrap()
                + chrono::TimeDelta::seconds(second)
        };
        let mut event = json!({
            "eventId": Uuid::from_u128(random.random()),
            "timestamp": at.to_rfc3339(),
            "userId": user,
            "sessionId": format!("{user}-s"),
            "campaign": format!("{mark}-campaign"),
            "properties": {"note": mark},
        });
        let region = pick(&mut random, words.regions);
        if !region.is_empty() {
            event["region"] = region.into();
        }
        let mut lines = || -> Vec<Value> {
            let lines = 0..random.random_range(1..3);
            let line = |_| {
                json!({
                    "productId": pick(&mut random, words.products),
                    "quantity": random.random_range(1..5),
                    "amount": format!("{}.{:02}", random.random_range(1..99), random.random_range(0..100)),
                })
            };
            lines.map(line).collect()
        };
        let lines = lines();
        match random.random_range(0..5) {
            0 | 1 => {
                event["type"] = "purchase".into();
                event["currency"] = pick(&mut random, &["USD", "EUR"]).into();
                event["lines"] = lines.into();
            }
            2 => {
                event["type"] = "refund".into();
                event["currency"] = "USD".into();
                event["lines"] = lines.into();
            }
            3 => {
                event["type"] = "pageview".into();
                event["url"] = format!("/{mark}/{}", random.random_range(0..4)).into();
            }
            _ => event["type"] = format!("{mark}_seen").into(),
        }
        event
    };
    (0..count).map(event).collect()
}

/// Sends events; the batch's id.
pub(super) async fn send(app: &TestApp, key: &str, events: &[Value]) -> String {
    let request = app.anonymous(Method::POST, "/v1/batch").bearer_auth(key);
    let (_, sent) = answer(request.json(&json!(events))).await;
    assert_eq!(sent["rejected"], 0, "{sent}");
    sent["batchId"].as_str().unwrap().to_owned()
}

/// Puts products of a category.
pub(super) async fn put(app: &TestApp, key: &str, category: &str, products: &[&str]) {
    let product = |id: &&str| {
        format!(
            "{{productId: \"{id}\", title: \"{id} it is\", category: [\"{category}\", \"deep\"]}}"
        )
    };
    let products: Vec<String> = products.iter().map(product).collect();
    let query = format!(
        "mutation {{ putProducts(products: [{}]) {{ stored }} }}",
        products.join(", ")
    );
    let put = app.ask_as(key, &query).await;
    assert!(put["errors"].is_null(), "{put}");
}

/// Ids of records whose texts have the mark, as one sees them who holds this key.
pub(super) async fn ids(app: &TestApp, key: &str, mark: &str, batch: String) -> Foreign {
    let query = "{
        events(first: 100) { nodes { eventId userId campaign } }
        pageviews(first: 100) { nodes { pageviewId pageUrl } }
        purchases(first: 100) { nodes { purchaseId productId } }
        refunds(first: 100) { nodes { refundId productId } }
    }";
    let seen = app.ask_as(key, query).await;
    let first = |list: &str, id: &str, with: &str| {
        let nodes = seen["data"][list]["nodes"].as_array().unwrap();
        let marked = nodes
            .iter()
            .find(|node| node[with].as_str().is_some_and(|text| text.contains(mark)));
        marked.unwrap_or_else(|| panic!("no {list}: {seen}"))[id]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let made = app
        .ask_as(
            key,
            "mutation { createExport(input: {what: EVENTS}) { id } }",
        )
        .await;
    let export = made["data"]["createExport"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    loop {
        let query = format!("{{ export(id: \"{export}\") {{ state }} }}");
        if app.ask_as(key, &query).await["data"]["export"]["state"] == "DONE" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Foreign {
        event: first("events", "eventId", "campaign"),
        purchase: first("purchases", "purchaseId", "productId"),
        refund: first("refunds", "refundId", "productId"),
        pageview: first("pageviews", "pageviewId", "pageUrl"),
        user: first("events", "userId", "campaign"),
        external: format!("{mark}-1"),
        product: format!("{mark}-mug"),
        batch,
        export,
    }
}

/// Nothing of what is hidden stands in an answer.
pub(super) fn assert_clean(answers: &[(String, Value)]) {
    for (asked, answer) in answers {
        let text = answer.to_string();
        assert!(!text.contains(HIDDEN), "{asked}: {text}");
    }
}

#[track_caller]
pub(super) fn assert_same(before: &[(String, Value)], after: &[(String, Value)]) {
    for ((asked, before), (_, after)) in before.iter().zip(after) {
        assert_eq!(before, after, "{asked}");
    }
}

const ZEBRA: Words = Words {
    mark: HIDDEN,
    regions: &["zebra-north", "zebra-south", ""],
    products: &["zebra-mug", "zebra-pot", "zebra-rake"],
};
const OWN: Words = Words {
    mark: "otter",
    regions: &["north", ""],
    products: &["mug", "pot"],
};

#[tokio::test]
async fn nothing_of_a_tenant_appears_at_another_whatever_is_asked_or_done() {
    let app = TestApp::start().await;
    let other = tenant(&app, "another shop").await;
    put(&app, KEY, "zebra", ZEBRA.products).await;
    put(&app, &other, "Kitchen", OWN.products).await;
    let batch = send(&app, KEY, &random_events(ZEBRA, 100, 1)).await;
    send(&app, &other, &random_events(OWN, 60, 2)).await;
    let foreign = ids(&app, KEY, HIDDEN, batch).await;

    summed_up(&app).await;
    let before = read_all(&app, &other, &foreign).await;
    assert_clean(&before);
    // Much more happens at the one, of every kind.
    let schema = "mutation { putEventSchema(eventType: \"zebra_shown\", mode: ENFORCE,
        schema: {required: [\"stripes\"]}) { eventSchema { eventType } } }";
    app.data(schema).await;
    send(&app, KEY, &random_events(ZEBRA, 300, 3)).await;
    let held =
        json!({"type": "zebra_shown", "userId": "zebra", "timestamp": "2026-03-01T12:00:00Z"});
    let held: Vec<Value> = (0..3)
        .map(|_| {
            let mut event = held.clone();
            event["eventId"] = Uuid::new_v4().to_string().into();
            event
        })
        .collect();
    // The schema is known within seconds everywhere, here at once.
    send(&app, KEY, &held).await;
    let after = read_all(&app, &other, &foreign).await;
    assert_clean(&after);
    assert_same(&before, &after);

    // And nothing that the other does changes anything here. What is read from where changes once
    // what is over is summed up.
    summed_up(&app).await;
    let here = read_all(&app, KEY, &foreign).await;
    assert!(
        here.iter()
            .any(|(_, answer)| answer.to_string().contains(HIDDEN))
    );
    change_all(&app, &other, &foreign).await;
    assert_same(&here, &read_all(&app, KEY, &foreign).await);
}
