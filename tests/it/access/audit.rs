//! What is written down of who did what, and that it cannot be changed unnoticed.

use reqwest::Method;
use sea_orm::sqlx;
use serde_json::{Value, json};

use super::{key, tenant};
use crate::support::{KEY, Subscription, TestApp, program};

/// What `audit verify` says: its exit code, and its words.
async fn verify(app: &TestApp, noted: Option<&str>) -> (Option<i32>, String) {
    let mut command = program();
    command
        .args(["audit", "verify"])
        .env("DATABASE_URL", app.db.url());
    if let Some(noted) = noted {
        command.args(["--noted", noted]);
    }
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8(said).unwrap().trim().to_owned(),
    )
}

#[tokio::test]
async fn who_did_what_is_written_down_and_each_tenant_reads_its_own() {
    let app = TestApp::start().await;
    let other = tenant(&app, "another shop").await;
    let (id, _) = key(
        &app,
        json!({"name": "k", "scopes": ["READ"], "rowScope": {"regions": ["north"]}}),
    )
    .await;
    app.data(&format!(
        "mutation {{ rotateApiKey(id: \"{id}\") {{ secret }} }}"
    ))
    .await;
    app.data(&format!(
        "mutation {{ revokeApiKey(id: \"{id}\") {{ apiKey {{ name }} }} }}"
    ))
    .await;
    app.data("mutation { putEventSchema(eventType: \"seen\", schema: {}, mode: WARN) { eventSchema { eventType } } }").await;
    app.data("mutation { deleteEventSchema(eventType: \"seen\") { deleted } }")
        .await;
    let query =
        "{ auditLog { totalCount nodes { number actor address action subject details hash } } }";
    let log = app.data(query).await["auditLog"].clone();
    let nodes = log["nodes"].as_array().unwrap();
    let did: Vec<&str> = nodes
        .iter()
        .map(|node| node["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        did,
        [
            "schema_deleted",
            "schema_put",
            "key_revoked",
            "key_rotated",
            "key_created",
            "key_created"
        ]
    );
    assert_eq!(nodes[2]["subject"], id.as_str());
    assert!(nodes[2]["actor"].as_str().unwrap().starts_with("key:"));
    assert_eq!(nodes[2]["address"], "127.0.0.0");
    assert_eq!(
        nodes[4]["details"]["rowScope"],
        json!({"regions": ["north"]})
    );
    assert_eq!(nodes[5]["actor"], "server");
    let theirs = app.ask_as(&other, query).await;
    let theirs = theirs["data"]["auditLog"]["nodes"]
        .as_array()
        .unwrap()
        .clone();
    let did: Vec<&Value> = theirs.iter().map(|node| &node["action"]).collect();
    assert_eq!(did, ["key_created", "tenant_created"]);
}

#[tokio::test]
async fn the_log_is_only_appended_to_and_whoever_changes_it_all_the_same_is_found_out() {
    let app = TestApp::start().await;
    for name in ["one", "two", "three"] {
        key(&app, json!({"name": name, "scopes": ["READ"]})).await;
    }
    let (exit, whole) = verify(&app, None).await;
    assert_eq!((exit, whole.starts_with("4:")), (Some(0), true), "{whole}");
    assert_eq!(verify(&app, Some(&whole)).await.0, Some(0));

    let mut connection = app.db.connect().await;
    for statement in [
        "UPDATE audit SET subject = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let refused = sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("only appended to"),
            "{refused}"
        );
    }
    app.db.run("ALTER TABLE audit DISABLE TRIGGER USER").await;
    app.db
        .run("UPDATE audit SET details = '{}' WHERE entry_id = 3")
        .await;
    let (exit, said) = verify(&app, None).await;
    assert_eq!(exit, Some(1));
    assert!(
        said.contains("broken at entry 3: it does not say what was written"),
        "{said}"
    );
    app.db.run("DELETE FROM audit WHERE entry_id = 2").await;
    assert!(
        verify(&app, None)
            .await
            .1
            .contains("broken at entry 2: it is missing")
    );
    // Who cuts off the end, and its trace, is found out by what was noted.
    app.db.run("DELETE FROM audit WHERE entry_id > 1").await;
    assert!(verify(&app, None).await.1.contains("broken at entry 2"));
    app.db
        .run("UPDATE audit_head SET entry_id = 1, hash = (SELECT hash FROM audit)")
        .await;
    assert_eq!(verify(&app, None).await.0, Some(0));
    assert_eq!(verify(&app, Some(&whole)).await.0, Some(1));
}

#[tokio::test]
async fn where_a_change_comes_from_is_written_down_however_it_is_sent() {
    let app = TestApp::start().await;
    let change = "mutation { putPrivacyPolicy(policy: {eventsDays: 400}) { eventsDays } }";
    app.data(change).await;
    let mut socket = Subscription::begin(&app.url, KEY, change).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "next");
    let events = app
        .request(Method::POST, "/graphql")
        .header("accept", "text/event-stream")
        .json(&json!({"query": change}));
    let events = events.send().await.unwrap().text().await.unwrap();
    assert!(events.contains("event: next"), "{events}");
    let query = "{ auditLog(first: 3) { nodes { action address details } } }";
    let log = app.data(query).await;
    let entry = json!({
        "action": "privacy_policy_put", "address": "127.0.0.0",
        "details": {"ipAddresses": null, "eventsDays": 400, "quarantineDays": null,
                    "receiptsDays": null, "exportsHours": null},
    });
    assert_eq!(log["auditLog"]["nodes"], json!([entry, entry, entry]));
}
