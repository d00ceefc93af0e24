//! Rollups that say something else than the facts are made anew, through the real program.

mod interrupted;
mod pieces;

use std::process::Output;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sea_orm::sqlx;
use serde_json::Value;
use tokio::process::Command;

use crate::metrics::random::summed_up;
use crate::metrics::world::happened;
use crate::sales::later;
use crate::support::{Order, TestApp, TestDb, assert_consistent, program};

/// `tidewater rollups rebuild` in this database.
fn rebuild(db: &TestDb, arguments: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["rollups", "rebuild"])
        .args(arguments)
        .env("DATABASE_URL", db.url());
    command
}

/// What it printed, if it ended well.
async fn rebuilt(db: &TestDb, arguments: &[&str]) -> String {
    let output = rebuild(db, arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complained of, if it did not end well.
fn complaint(output: Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Another random history each time, of weeks.
fn history(seed: u64, events: u128) -> Vec<Value> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..events).map(|n| happened(&mut random, n).0).collect()
}

async fn accept(app: &TestApp, events: &[Value]) {
    for some in events.chunks(400) {
        app.accept(some).await;
    }
}

/// Rows that are missing, wrong, and of what never was, in each rollup.
const DAMAGE: &str = "
    DELETE FROM sales_minute WHERE hashtext(minute::text || currency) % 5 = 0;
    UPDATE sales_minute SET units = units + 3, late_revenue = 0
    WHERE hashtext(minute::text || currency) % 5 = 1;
    INSERT INTO sales_minute
    SELECT tenant_id, grain, minute, currency, 'Atlantis', channel, category, product_id, orders,
           units, revenue, bot, refunds, late_orders, late_units, late_revenue, late_refunds
    FROM sales_minute WHERE hashtext(minute::text || currency) % 5 = 2
    ON CONFLICT DO NOTHING;
    DELETE FROM traffic_minute WHERE hashtext(minute::text) % 5 = 0;
    UPDATE traffic_minute SET events = events + 1, restated_at = NULL
    WHERE hashtext(minute::text) % 5 = 1;
    INSERT INTO traffic_minute (tenant_id, minute, event_type, bot, events, pageviews, late_events)
    SELECT DISTINCT tenant_id, minute + interval '90 seconds', 'ghost', bot, 7, 0, 7
    FROM traffic_minute WHERE hashtext(minute::text) % 5 = 2;
    DELETE FROM sales_quarter WHERE hashtext(quarter::text) % 7 = 0;
    UPDATE sales_quarter SET revenue = revenue + 1 WHERE hashtext(quarter::text) % 7 = 1;
    DELETE FROM traffic_quarter WHERE hashtext(quarter::text) % 7 = 2;
    INSERT INTO traffic_quarter
    SELECT DISTINCT tenant_id, quarter - interval '40 days', 'ghost', bot, 9, 9 FROM traffic_quarter
    WHERE hashtext(quarter::text) % 7 = 3;
    DELETE FROM user_day WHERE hashtext(user_id::text) % 5 = 0;
    UPDATE user_day SET activity = 7 WHERE hashtext(user_id::text) % 5 = 1;
    INSERT INTO user_day
    SELECT DISTINCT tenant_id, day, gen_random_uuid(), 7::smallint FROM user_day
    WHERE hashtext(day::text) % 3 = 0";

/// What is asked before and after: each rollup has its part in it.
async fn answers(app: &TestApp) -> Vec<Value> {
    let range = r#"range: {from: "2026-03-01T00:07:00Z", to: "2026-04-20T00:08:00Z"}"#;
    // Midnights of the tenant.
    let days = r#"range: {from: "2026-02-28T23:00:00Z", to: "2026-04-19T22:00:00Z"}"#;
    let queries = [
        format!(
            "{{ sales({range}, granularity: TOTAL, groupBy: [PRODUCT, REGION]) {{ buckets {{ productId region revenue refunds orders units buyers }} }} }}"
        ),
        format!(
            "{{ sales({range}, granularity: DAY, includeBots: true) {{ buckets {{ start orders netRevenue }} }} }}"
        ),
        format!(
            "{{ traffic({range}, granularity: DAY) {{ buckets {{ start events pageviews eventsByType {{ type events }} }} provenance {{ lateEvents excludedBots }} }} }}"
        ),
        format!(
            "{{ restatements({range}, granularity: HOUR) {{ buckets {{ start restatedAt before {{ events orders units revenue }} after {{ events orders units revenue }} }} }} }}"
        ),
        format!(
            "{{ metrics(input: {{measures: [USERS, BUYERS], granularity: DAY, range: {{between: {}}}}}) {{ series {{ measure total buckets {{ start value }} }} }} }}",
            &days[7..]
        ),
        format!(
            "{{ metrics(input: {{measures: [REVENUE, ORDERS, EVENTS], granularity: HOUR, range: {{between: {}}}}}) {{ series {{ measure total buckets {{ start value }} }} }} }}",
            &range[7..]
        ),
    ];
    let mut all = Vec::new();
    for query in queries {
        all.push(app.data(&query).await);
    }
    all
}

async fn in_berlin() -> TestApp {
    let app = later().await;
    app.db
        .run("UPDATE tenant SET timezone = 'Europe/Berlin'")
        .await;
    app
}

/// The number of the last change.
async fn changes(db: &TestDb) -> i64 {
    db.number("SELECT changes FROM idempotency_head").await
}

/// Does several things in it.
async fn damage(db: &TestDb, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(&mut db.connect().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_damaged_is_as_it_was_and_so_is_every_answer() {
    let app = in_berlin().await;
    accept(&app, &history(1, 500)).await;
    let before = answers(&app).await;
    damage(&app.db, DAMAGE).await;
    // One that has kept none of the answers before, and keeps the wrong ones.
    let other = TestApp::keeping(Arc::clone(&app.db), None, 64 << 20).await;
    let wrong = answers(&other).await;
    // These two are told by rollups alone, whatever is summed up by now.
    assert_ne!((&before[2], &before[3]), (&wrong[2], &wrong[3]));

    let summary = rebuilt(&app.db, &["--all"]).await;
    assert!(!summary.contains(" 0 hours and"), "{summary}");
    assert!(!summary.contains(" 0 days of users"), "{summary}");
    assert_consistent(&app.db).await;
    assert_eq!(answers(&other).await, before);
    assert_eq!(answers(&app).await, before);

    // Again: nothing is to be done, and nothing that is kept falls.
    let last = changes(&app.db).await;
    let summary = rebuilt(&app.db, &["--all"]).await;
    let nothing = "0 hours and 0 days of users made anew, 0 rows differed\n";
    assert!(summary.ends_with(nothing), "{summary}");
    assert_eq!(changes(&app.db).await, last);
}

#[tokio::test]
async fn events_that_come_meanwhile_are_counted_once() {
    let app = in_berlin().await;
    let mut events = history(2, 1_200);
    let during = events.split_off(400);
    accept(&app, &events).await;
    damage(&app.db, DAMAGE).await;
    let again = async {
        let first = rebuilt(&app.db, &["--all"]).await;
        (first, rebuilt(&app.db, &["--all"]).await)
    };
    let sending = async {
        for some in during.chunks(20) {
            app.accept(some).await;
        }
    };
    let ((first, second), ()) = tokio::join!(again, sending);
    assert!(!first.contains(" 0 rows"), "{first}");
    // What was right stays right while it is added to.
    assert!(second.contains(" 0 rows differed"), "{second}");
    assert_consistent(&app.db).await;
    let count = "SELECT count(*) FROM event";
    assert_eq!(app.db.number(count).await, 1_200);
}

#[tokio::test]
async fn what_days_were_summed_up_to_is_made_anew_if_that_is_asked_for() {
    let app = in_berlin().await;
    accept(&app, &history(3, 300)).await;
    summed_up(&app).await;
    let fresh = TestApp::keeping(Arc::clone(&app.db), None, 0).await;
    let before = answers(&fresh).await;
    app.db.run("DELETE FROM summary").await;
    assert_ne!(answers(&fresh).await, before);

    let summary = rebuilt(&app.db, &["--all", "--summaries"]).await;
    assert!(summary.contains(" 0 rows differed"), "{summary}");
    // Not yet summed up, or anew.
    assert_eq!(answers(&fresh).await, before);
    summed_up(&app).await;
    assert_eq!(answers(&fresh).await, before);
}

#[tokio::test]
async fn only_the_days_of_the_tenant_that_are_asked_for_are_touched() {
    let app = later().await;
    let order = |at: &str| Order::of("mug").at(at).event();
    app.accept(&[
        order("2026-02-28T23:59:59Z"),
        order("2026-03-01T00:00:00Z"),
        order("2026-03-02T23:59:59Z"),
        order("2026-03-03T00:00:00Z"),
    ])
    .await;
    damage(
        &app.db,
        "INSERT INTO tenant (name) VALUES ('other');
         INSERT INTO traffic_quarter
         SELECT tenant_id, '2026-03-01 12:00Z', 'ghost', false, 1, 0 FROM tenant
         WHERE name = 'other';
         UPDATE sales_minute SET units = 99;
         UPDATE user_day SET activity = 1",
    )
    .await;
    let wrong = async || {
        let minutes = "SELECT count(*) FROM sales_minute WHERE units = 99";
        let days = "SELECT count(*) FROM user_day WHERE activity = 1";
        let ghosts = "SELECT count(*) FROM traffic_quarter WHERE event_type = 'ghost'";
        [
            app.db.number(minutes).await,
            app.db.number(days).await,
            app.db.number(ghosts).await,
        ]
    };
    assert_eq!(wrong().await, [12, 4, 1]);
    let arguments = ["--from", "2026-03-01", "--to", "2026-03-03"];
    let of_default = [arguments.as_slice(), &["--tenant", "default"]].concat();
    assert_eq!(
        rebuilt(&app.db, &of_default).await,
        "2 days looked at: 2 hours and 2 days of users made anew, 8 rows differed\n"
    );
    assert_eq!(wrong().await, [6, 2, 1]);
    assert_eq!(
        rebuilt(&app.db, &arguments).await,
        "3 days looked at: 1 hours and 0 days of users made anew, 1 rows differed\n"
    );
    assert_eq!(wrong().await, [6, 2, 0]);
    rebuilt(&app.db, &["--all"]).await;
    assert_eq!(wrong().await, [0, 0, 0]);
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn a_range_that_cannot_be_is_refused_with_a_sentence() {
    let db = TestDb::migrated().await;
    let range = "--from must be a day before --to, both from 1970 to 2100";
    for (arguments, why) in [
        (&["--from", "2026-03-02", "--to", "2026-03-02"][..], range),
        (&["--from", "2026-03-02", "--to", "2026-03-01"], range),
        (&["--from", "1969-03-02", "--to", "2026-03-01"], range),
        (&["--from", "2026-03-02", "--to", "2101-03-01"], range),
        (
            &["--all", "--tenant", "nobody"],
            "there is no tenant nobody",
        ),
        (&[], "required arguments were not provided"),
        (
            &["--from", "2026-03-02"],
            "required arguments were not provided",
        ),
        (
            &["--to", "2026-03-02"],
            "required arguments were not provided",
        ),
        (
            &["--from", "March", "--to", "2026-03-02"],
            "invalid value 'March'",
        ),
        (
            &["--all", "--from", "2026-03-01", "--to", "2026-03-02"],
            "cannot be used with",
        ),
    ] {
        let output = rebuild(&db, arguments).output().await.unwrap();
        let complaint = complaint(output);
        assert!(complaint.contains(why), "{arguments:?}: {complaint}");
    }
}
