//! What is older than a tenant keeps goes: whole months where nobody keeps them, else piece by piece.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidewater::clock::Clock;
use tidewater::jobs;
use tidewater::storage::Db;
use uuid::Uuid;

use crate::support::{Order, TestApp, pageview, program};

const NOW: &str = "2026-06-30T12:00:00Z";

async fn put(app: &TestApp, policy: &str) -> Value {
    let put =
        format!("mutation {{ putPrivacyPolicy(policy: {{{policy}}}) {{ keptFrom eventsDays }} }}");
    app.data(&put).await["putPrivacyPolicy"].take()
}

async fn run(app: &TestApp) {
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let clock = Clock::manual(NOW.parse().unwrap());
    for _ in 0..2 {
        jobs::retention::once(&db, &clock).await.unwrap();
    }
    db.close().await;
}

fn history() -> Vec<Value> {
    let mut events = Vec::new();
    for day in [
        "2026-02-10",
        "2026-03-20",
        "2026-06-15",
        "2026-06-19",
        "2026-06-20",
        "2026-06-29",
    ] {
        events.push(Order::of("mug").at(format!("{day}T23:30:00Z")).event());
        events.push(pageview("v", "/", format!("{day}T00:30:00Z")));
    }
    events
}

async fn partitions(app: &TestApp) -> i64 {
    let sql = "SELECT count(*) FROM pg_inherits
               WHERE inhrelid::regclass::text ~ '_2026_0[23]$'
                     AND inhrelid::regclass::text !~ '^receipt'";
    app.db.number(sql).await
}

#[tokio::test]
async fn old_events_go_with_all_that_follows_from_them_and_reports_say_so() {
    let app = TestApp::start().await;
    app.accept(&history()).await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let clock = Clock::manual(NOW.parse().unwrap());
    let summed = jobs::summaries::once(&db, &clock).await.unwrap();
    db.close().await;
    assert_eq!(
        put(&app, "eventsDays: 10").await,
        json!({"keptFrom": null, "eventsDays": 10})
    );
    assert_eq!(partitions(&app).await, 12);
    run(&app).await;
    // The 20th is the first day that is kept. No tenant keeps the two months before.
    assert_eq!(partitions(&app).await, 0);
    for (sql, expected) in [
        (
            "SELECT count(*) FROM event WHERE timestamp < '2026-06-20Z'",
            0,
        ),
        ("SELECT count(*) FROM event", 4),
        ("SELECT count(*) FROM purchase", 2),
        ("SELECT count(*) FROM user_day", 4),
        (
            "SELECT count(*) FROM sales_quarter WHERE quarter < '2026-06-20Z'",
            0,
        ),
        ("SELECT count(*) FROM traffic_quarter", 4),
    ] {
        assert_eq!(app.db.number(sql).await, expected, "{sql}");
    }
    assert!(summed.is_none() || summed > Some(0));
    let stale = "SELECT count(*) FROM summarised AS known JOIN changed_hour AS its
                 ON to_timestamp(its.hour::bigint * 3600) >= start
                    AND to_timestamp(its.hour::bigint * 3600) < finish AND number > change
                 WHERE finish < '2026-06-20Z'";
    assert_eq!(app.db.number(stale).await, 0);

    let ask = |from: &str| {
        format!(
            r#"{{ sales(range: {{from: "{from}T00:00:00Z", to: "2026-07-01T00:00:00Z"}}) {{
                totals {{ orders }} provenance {{ keptFrom warnings }} }} }}"#
        )
    };
    let old = app.data(&ask("2026-01-01")).await;
    let provenance = &old["sales"]["provenance"];
    assert_eq!(old["sales"]["totals"]["orders"], 2, "{old}");
    assert_eq!(provenance["keptFrom"], "2026-06-20T00:00:00+00:00", "{old}");
    assert_eq!(provenance["warnings"].as_array().unwrap().len(), 1, "{old}");
    let new = app.data(&ask("2026-06-20")).await;
    assert_eq!(new["sales"]["provenance"]["warnings"], json!([]), "{new}");

    // Nor is it forgotten where nothing is left to be read but what was summed up.
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    jobs::summaries::once(&db, &clock).await.unwrap();
    db.close().await;
    let gone = r#"{ sales(range: {from: "2026-06-19T00:00:00Z", to: "2026-06-20T00:00:00Z"}) {
        provenance { keptFrom } } }"#;
    let gone = app.data(gone).await;
    let kept_from = &gone["sales"]["provenance"]["keptFrom"];
    assert_eq!(kept_from, "2026-06-20T00:00:00+00:00", "{gone}");

    let mut command = program();
    command
        .args(["rollups", "rebuild", "--all"])
        .env("DATABASE_URL", app.db.url());
    let output = command.output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(" 0 rows differed"), "{told}");
    // What comes late is stored: months come back as they are needed.
    app.accept(&[pageview("v", "/", "2026-03-20T00:00:00Z")])
        .await;
}

#[tokio::test]
async fn a_month_that_another_tenant_keeps_stays_and_each_loses_its_own() {
    let app = TestApp::start().await;
    app.accept(&history()).await;
    let other = "WITH it AS (INSERT INTO tenant (name) VALUES ('keeper') RETURNING tenant_id)
                 INSERT INTO event SELECT it.tenant_id, timestamp, gen_random_uuid(), user_id,
                     event_type, session_id, region, channel, campaign, received_at, data,
                     page_url, user_agent_id, bot FROM event, it";
    app.db.run(other).await;
    put(&app, "eventsDays: 10").await;
    run(&app).await;
    let mut left = BTreeMap::new();
    for whose in ["=", "<>"] {
        let sql = format!("SELECT count(*) FROM event WHERE tenant_id {whose} 1");
        left.insert(whose, app.db.number(&sql).await);
    }
    assert_eq!(left, BTreeMap::from([("=", 4), ("<>", 12)]));
    assert_eq!(partitions(&app).await, 12);
}

#[tokio::test]
async fn quarantine_receipts_and_files_have_retentions_of_their_own() {
    let app = TestApp::start().await;
    app.accept(&history()).await;
    app.send(&json!([{"type": "a", "timestamp": "?", "userId": "u"}]))
        .await;
    app.data("mutation { createExport(input: {what: USERS}) { id } }")
        .await;
    put(&app, "quarantineDays: 3, receiptsDays: 2, exportsHours: 1").await;
    let batch = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000);
    app.db
        .run(
            "CREATE TABLE old PARTITION OF receipt
                 FOR VALUES FROM ('01980000-0000-0000-0000-000000000000')
                 TO ('01980000-0001-0000-0000-000000000000')",
        )
        .await;
    app.db
        .run(&format!(
            "INSERT INTO receipt VALUES (1, '{batch}', 0, '2025-07-11Z', '', '[]')"
        ))
        .await;
    app.db
        .run("UPDATE quarantine SET received_at = '2026-06-01Z'")
        .await;
    run(&app).await;
    assert_eq!(app.db.number("SELECT count(*) FROM quarantine").await, 0);
    assert_eq!(
        app.db
            .number("SELECT count(*) FROM receipt WHERE received_at < '2026-01-01Z'")
            .await,
        0
    );
    let hours = "SELECT count(*) FROM export WHERE expires_at = created_at + interval '1 hour'";
    assert_eq!(app.db.number(hours).await, 1);
    for policy in ["eventsDays: 0", "exportsHours: 169", "receiptsDays: -1"] {
        let put = format!("mutation {{ putPrivacyPolicy(policy: {{{policy}}}) {{ keptFrom }} }}");
        assert_eq!(app.code(&put).await, "invalid_policy");
    }
}
