//! What is told of a user with several ids.

use serde_json::{Value, json};
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;
use uuid::Uuid;

use super::{alias, aliases, identify, known, merged, visitor, whose};
use crate::support::{Order, TestApp, answer, assert_consistent, pageview};

/// Users of whole days are counted otherwise.
const DAY: &str = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;

/// How many users and buyers the reports count, in all and in each hour.
async fn counted(app: &TestApp) -> Value {
    let range = r#"range: {from: "2026-03-01T11:00:00Z", to: "2026-03-01T13:00:00Z"}"#;
    app.data(&format!(
        "{{
            traffic({range}, granularity: HOUR) {{ totals {{ users }} buckets {{ users }} }}
            day: traffic({DAY}) {{ totals {{ users }} }}
            sales({range}, granularity: HOUR) {{ totals {{ buyers orders }} buckets {{ buyers }} }}
        }}"
    ))
    .await
}

#[tokio::test]
async fn what_a_visitor_did_becomes_what_the_user_did_and_the_reports_follow() {
    let app = TestApp::start().await;
    let by_visitor = Order::of("mug").at("2026-03-01T11:30:00Z");
    let by_visitor = by_visitor.with("userId", Value::Null);
    let by_visitor = by_visitor.with("anonymousId", "v1").event();
    let by_user = Order::of("tea").at("2026-03-01T11:40:00Z").event();
    app.accept(&[
        pageview("v1", "/mug", "2026-03-01T11:29:00Z"),
        by_visitor.clone(),
        by_user,
        pageview("v2", "/", "2026-03-01T12:30:00Z"),
    ])
    .await;
    assert_eq!(
        counted(&app).await,
        json!({
            "traffic": {"totals": {"users": 3}, "buckets": [{"users": 2}, {"users": 1}]},
            "day": {"totals": {"users": 3}},
            "sales": {"totals": {"buyers": 2, "orders": 2}, "buckets": [{"buyers": 2}, {"buyers": 0}]},
        })
    );

    app.accept(&[identify("u1", "v1", 0)]).await;
    assert_eq!(
        counted(&app).await,
        json!({
            "traffic": {"totals": {"users": 2}, "buckets": [{"users": 1}, {"users": 2}]},
            "day": {"totals": {"users": 2}},
            "sales": {"totals": {"buyers": 1, "orders": 2}, "buckets": [{"buyers": 1}, {"buyers": 0}]},
        })
    );

    let (u1, v1, v2) = (known("u1"), visitor("v1"), visitor("v2"));
    let mut both = [u1, v2];
    both.sort_unstable();
    let order = by_visitor["eventId"].as_str().unwrap();
    let told = app
        .data(&format!(
            r#"{{
                user(externalId: "v1", anonymous: true) {{
                    userId externalId anonymous mergedIds
                    events {{ totalCount nodes {{ type userId user {{ userId }} }} }}
                    purchases {{ totalCount nodes {{ productId userId user {{ externalId }} }} }}
                }}
                byVisitor: pageviews(filter: {{userId: "{v1}"}}) {{ totalCount nodes {{ pageUrl user {{ userId }} }} }}
                byUser: pageviews(filter: {{userId: "{u1}"}}) {{ totalCount }}
                purchases(filter: {{userId: "{u1}", productId: "mug"}}) {{ totalCount }}
                events(filter: {{userId: "{v1}", types: ["purchase"]}}) {{ totalCount }}
                event(id: "{order}") {{ userId user {{ externalId }} purchases {{ user {{ userId }} }} }}
                users {{ totalCount nodes {{ userId mergedIds }} }}
            }}"#
        ))
        .await;
    let merged_ids = |id| if id == u1 { json!([v1]) } else { json!([]) };
    assert_eq!(
        told,
        json!({
            "user": {
                "userId": u1, "externalId": "u1", "anonymous": false, "mergedIds": [v1],
                "events": {"totalCount": 4, "nodes": [
                    {"type": "identify", "userId": u1, "user": {"userId": u1}},
                    {"type": "purchase", "userId": u1, "user": {"userId": u1}},
                    {"type": "purchase", "userId": v1, "user": {"userId": u1}},
                    {"type": "pageview", "userId": v1, "user": {"userId": u1}},
                ]},
                "purchases": {"totalCount": 2, "nodes": [
                    {"productId": "tea", "userId": u1, "user": {"externalId": "u1"}},
                    {"productId": "mug", "userId": v1, "user": {"externalId": "u1"}},
                ]},
            },
            "byVisitor": {"totalCount": 1, "nodes": [{"pageUrl": "/mug", "user": {"userId": u1}}]},
            "byUser": {"totalCount": 1},
            "purchases": {"totalCount": 1},
            "events": {"totalCount": 2},
            "event": {"userId": v1, "user": {"externalId": "u1"}, "purchases": [{"user": {"userId": u1}}]},
            "users": {"totalCount": 2, "nodes": both.map(|id| json!({"userId": id, "mergedIds": merged_ids(id)}))},
        })
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn an_id_that_did_nothing_but_be_named_is_known_all_the_same() {
    let app = TestApp::start().await;
    app.accept(&[identify("u1", "v1", 0), alias("u1", "u0")])
        .await;
    let names = "externalId anonymous";
    let told = app
        .data(&format!(
            r#"{{ users {{ nodes {{ {names} mergedIds }} }} u0: user(externalId: "u0") {{ {names} }} }}"#
        ))
        .await;
    let canonical = known("u0").min(known("u1"));
    let name = if canonical == known("u0") { "u0" } else { "u1" };
    let mut others = [known("u0"), known("u1"), visitor("v1")];
    others.sort_unstable();
    let others: Vec<_> = others.into_iter().filter(|id| *id != canonical).collect();
    assert_eq!(
        told,
        json!({
            "users": {"nodes": [{"externalId": name, "anonymous": false, "mergedIds": others}]},
            "u0": {"externalId": name, "anonymous": false},
        })
    );
    // They may still do something.
    app.accept(&[pageview("v1", "/", "2026-03-01T12:30:00Z")])
        .await;
    assert_eq!(counted(&app).await["traffic"]["totals"]["users"], 1);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn two_users_on_one_device_stay_two_and_its_history_is_the_first_ones() {
    let app = TestApp::start().await;
    app.accept(&[pageview("v1", "/", "2026-03-01T11:00:00Z")])
        .await;
    app.accept(&[identify("u1", "v1", 20)]).await;
    app.accept(&[identify("u2", "v1", 30)]).await;
    assert_eq!(aliases(&app).await, merged([(visitor("v1"), known("u1"))]));
    assert_eq!(counted(&app).await["traffic"]["totals"]["users"], 2);

    // One who was there before is heard of late.
    app.accept(&[identify("u3", "v1", 10)]).await;
    assert_eq!(aliases(&app).await, merged([(visitor("v1"), known("u3"))]));
    assert_eq!(whose(&app, visitor("v1")).await, json!(known("u3")));
    assert_eq!(whose(&app, known("u1")).await, json!(known("u1")));
    assert_eq!(counted(&app).await["traffic"]["totals"]["users"], 3);
}

#[tokio::test]
async fn who_is_who_in_one_shop_says_nothing_of_another() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let other = keys::ensure_tenant(&db, "other").await.unwrap().tenant_id;
    let now = Clock::System.now();
    let key = keys::create(&db, TenantId(other), "a test's", &[Scope::Admin], now);
    let key = key.await.unwrap();
    db.close().await;
    let send = |event: Value| {
        let request = app.anonymous(reqwest::Method::POST, "/v1/batch");
        answer(request.bearer_auth(&key).json(&json!([event])))
    };
    let visit = pageview("v1", "/", "2026-03-01T11:00:00Z");
    send(visit.clone()).await;
    app.accept(&[visit, identify("u1", "v1", 0)]).await;
    let query = r#"{ user(externalId: "v1", anonymous: true) { externalId mergedIds } }"#;
    assert_eq!(
        app.ask_as(&key, query).await["data"]["user"],
        json!({"externalId": "v1", "mergedIds": []})
    );
    assert_eq!(app.data(query).await["user"]["externalId"], "u1");
    send(identify("u2", "v1", 0)).await;
    assert_eq!(
        app.ask_as(&key, query).await["data"]["user"]["externalId"],
        "u2"
    );
    assert_eq!(app.data(query).await["user"]["externalId"], "u1");
}

#[tokio::test]
async fn what_is_known_of_one_id_is_known_of_the_user_whichever_it_becomes() {
    let app = TestApp::start().await;
    let sign_up = |user: &str, name: &str| {
        json!({
            "eventId": Uuid::new_v4(), "type": "sign_up", "timestamp": "2026-03-01T12:00:00Z",
            "userId": user, "properties": {"username": name, "email": format!("{name}@x.example")},
        })
    };
    let traits = async |user: &str| {
        let query = format!(r#"{{ user(externalId: "{user}") {{ username email }} }}"#);
        app.data(&query).await["user"].take()
    };
    // One of the two ids is the user's, by chance: here each of them several times.
    for n in 0..6 {
        let (new, old) = (format!("new{n}"), format!("old{n}"));
        app.accept(&[sign_up(&new, "kim")]).await;
        app.accept(&[alias(&new, &old)]).await;
        let expected = json!({"username": "kim", "email": "kim@x.example"});
        assert_eq!(
            (traits(&new).await, traits(&old).await),
            (expected.clone(), expected)
        );
        // What is said later counts, of whichever id.
        for (user, name) in [(&old, "sam"), (&new, "kai")] {
            app.accept(&[sign_up(user, name)]).await;
            assert_eq!(traits(&new).await["username"], name);
            assert_eq!(traits(&old).await["email"], format!("{name}@x.example"));
        }
    }
}

#[tokio::test]
async fn who_is_their_own_again_is_so_in_what_was_summed_up_and_known_before() {
    let app = TestApp::start().await;
    let users = async || {
        let hour = r#"{between: {from: "2026-03-01T10:00:00Z", to: "2026-03-01T11:00:00Z"}}"#;
        let query = format!(
            "{{ metrics(input: {{measures: [USERS], range: {hour}}}) {{
                series {{ total }} provenance {{ source }} }} }}"
        );
        app.data(&query).await["metrics"].take()
    };
    let one =
        |count: &str| json!({"series": [{"total": count}], "provenance": {"source": "ROLLUP"}});
    let by = |user: &str| Order::of("mug").by(user).at("2026-03-01T10:30:00Z").event();
    let devices = json!({
        "eventId": Uuid::new_v4(), "type": "alias", "timestamp": "2026-03-01T12:50:00Z",
        "anonymousId": "w", "previousId": "v",
    });
    app.accept(&[
        by("ann"),
        by("bob"),
        identify("bob", "v", 30),
        identify("ann", "w", 30),
        devices,
    ])
    .await;
    let summed = "SELECT count(*) FROM summarised WHERE start = '2026-03-01T10:00:00Z'";
    let summing = async {
        while app.db.number(summed).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let summing = tokio::time::timeout(std::time::Duration::from_mins(1), summing);
    summing.await.expect("what is over is summed up");
    assert_eq!(users().await, one("1"));
    // The device turns out to have been somebody else's first: that keeps the two apart.
    app.accept(&[identify("carl", "w", 5)]).await;
    assert_eq!(users().await, one("2"));
}
