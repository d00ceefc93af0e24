//! Somebody is erased: nothing of them is left anywhere, and everything else is as it was.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tidewater::app::Role;

use super::erase;
use super::person::{
    USER, files_with_person, keys_with_person, native, others, plant, spoilt, tables_with_person,
};
use crate::support::{KEY, Redis, Subscription, TestApp, TestDb, program};

const NUMBERS: &str = r#"{
    sales(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-05T00:00:00Z"}) {
        totals { orders units revenue buyers } }
    traffic(range: {from: "2026-03-01T00:00:00Z", to: "2026-03-05T00:00:00Z"}) {
        totals { events pageviews users } } }"#;

const PAGES: &str = r#"{
    topPages(range: {between: {from: "2026-03-01T00:00:00Z", to: "2026-03-05T00:00:00Z"}}) {
        rows { pageUrl } } }"#;

/// A server with a Redis of its own, and others' events in it.
async fn world() -> (Redis, TestApp) {
    let redis = Redis::durable().await;
    let db = TestDb::migrated().await;
    let app = TestApp::stream(db, &redis.url(), Role::All, |_| ()).await;
    app.accept(&others()).await;
    until(&app, "SELECT count(*) FROM event", 12).await;
    (redis, app)
}

/// Waits until a number is what it is to be.
async fn until(app: &TestApp, sql: &str, expected: i64) {
    for _ in 0..600 {
        if app.db.number(sql).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{sql} is {}, not {expected}", app.db.number(sql).await);
}

/// Waits until what is over is summed up.
async fn until_summed(app: &TestApp) {
    let open = "SELECT count(*) FROM changed_hour AS its
                WHERE hour > 0 AND NOT EXISTS (
                    SELECT FROM summarised WHERE span = 2 AND change >= its.number)";
    until(app, open, 0).await;
}

/// The numbers that change with the person, and the answers that quote them, kept.
async fn asked(app: &TestApp) -> Value {
    app.data(PAGES).await;
    app.data(NUMBERS).await
}

async fn export_all(app: &TestApp) {
    let create = "mutation { createExport(input: {what: EVENTS, format: NDJSON}) { id } }";
    app.data(create).await;
    until(app, "SELECT count(*) FROM export WHERE state = 2", 1).await;
}

/// No rollup says anything else than the facts.
async fn assert_rollups_are_right(app: &TestApp) {
    let mut command = program();
    command
        .args(["rollups", "rebuild", "--all"])
        .env("DATABASE_URL", app.db.url());
    let output = command.output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(" 0 rows differed"), "{told}");
    let orphans = r#"SELECT count(*) FROM event LEFT JOIN "user" AS known USING (tenant_id, user_id)
                     WHERE known.user_id IS NULL"#;
    assert_eq!(app.db.number(orphans).await, 0);
}

/// Nothing of the person anywhere.
async fn assert_gone(app: &TestApp, redis: &Redis) {
    let none = BTreeSet::new();
    assert_eq!(tables_with_person(&app.db).await, none);
    // Processes forget their answers within a second.
    for _ in 0..60 {
        if keys_with_person(redis).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(keys_with_person(redis).await, none);
    let pages = app.data(PAGES).await.to_string();
    assert!(!pages.contains("zq"), "{pages}");
}

async fn erased_everywhere(mode: &str) -> (Redis, TestApp, Value, Value) {
    let (redis, app) = world().await;
    let sent = plant(&app).await;
    until(&app, "SELECT count(*) FROM event", 12 + sent).await;
    until(&app, "SELECT count(*) FROM quarantine", 2).await;
    until_summed(&app).await;
    let before = asked(&app).await;
    export_all(&app).await;
    app.db.run("ANALYZE").await;
    let found = tables_with_person(&app.db).await;
    for table in [
        "event_2026_03",
        "purchase_2026_03",
        "refund_2026_03",
        "user_day_2026_03",
        "\"user\"",
        "user_alias",
        "user_link",
        "user_number",
        "user_agent",
        "quarantine",
        "pg_stats",
    ] {
        assert!(found.contains(table), "{table} is not in {found:?}");
    }
    // Answers are put into Redis once the server has found out which build it is; on a busy machine
    // Redis is left out for seconds at a time.
    for limit in 11..400 {
        let wider = PAGES.replace("range:", &format!("limit: {limit}, range:"));
        app.data(&wider).await;
        if !keys_with_person(&redis).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!keys_with_person(&redis).await.is_empty());

    let erasure = erase(&app, USER, mode, None).await;
    for count in erasure["counts"].as_array().unwrap() {
        assert_eq!(count["after"], 0, "{erasure}");
        let is_rare = matches!(count["kind"].as_str(), Some("dead_letters"));
        assert!(is_rare || count["before"].as_i64() > Some(0), "{erasure}");
    }
    assert_gone(&app, &redis).await;
    assert_eq!(files_with_person(&app.db).await, Vec::<String>::new());
    assert_rollups_are_right(&app).await;
    (redis, app, before, erasure)
}

/// Sends what the person did once more: the same, and the same under other ids.
async fn send_again(app: &TestApp, redis: &Redis, old: &[Value]) {
    let events = app.db.number("SELECT count(*) FROM event").await;
    for batch in [old, &native(), &spoilt()] {
        app.send(&json!(batch)).await;
    }
    let erased = "tidewater_ingest_stored_total";
    let stored = app.metric(erased).await;
    for _ in 0..100 {
        if app.metric(erased).await > stored {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, events);
    assert_eq!(keys_with_person(redis).await, BTreeSet::new());
}

#[tokio::test]
async fn who_is_deleted_is_nowhere_and_in_no_sum_and_does_not_come_back() {
    let (redis, app, before, _) = erased_everywhere("DELETE").await;
    let after = asked(&app).await;
    assert_eq!(before["sales"]["totals"]["orders"], 13);
    assert_eq!(after["sales"]["totals"]["orders"], 12, "{after}");
    assert_eq!(after["sales"]["totals"]["buyers"], 3, "{after}");
    assert_eq!(
        after["traffic"]["totals"],
        json!({"events": 12, "pageviews": 0, "users": 3})
    );
    until_summed(&app).await;
    assert_eq!(asked(&app).await, after);

    // What names the person by their address alone is another's and new: it is not theirs to refuse.
    let old = native();
    send_again(&app, &redis, &old).await;
    let found = tables_with_person(&app.db).await;
    assert!(
        found.is_subset(&BTreeSet::from(["quarantine".to_owned()])),
        "{found:?}"
    );

    // Who comes back is somebody new.
    let now = tidewater::clock::Clock::System.now().to_rfc3339();
    app.accept(&[json!({"type": "search", "timestamp": now, "userId": USER})])
        .await;
    until(&app, "SELECT count(*) FROM event", 13).await;
    assert_rollups_are_right(&app).await;
}

#[tokio::test]
async fn who_is_anonymised_is_nowhere_and_no_sum_changes() {
    let (_redis, app, before, erasure) = erased_everywhere("ANONYMISE").await;
    assert_eq!(erasure["mode"], "ANONYMISE");
    assert_eq!(asked(&app).await, before);
    until_summed(&app).await;
    assert_eq!(asked(&app).await, before);
    // One nameless user did it all, and nothing says what.
    let nameless = r#"SELECT count(*) FROM event JOIN "user" USING (tenant_id, user_id)
                      WHERE external_id = 'anonymised' AND data = '{}' AND user_agent_id IS NULL"#;
    assert_eq!(app.db.number(nameless).await, 12);
    let lines =
        "SELECT count(*) FROM purchase JOIN event USING (tenant_id, timestamp, event_id, user_id)";
    assert_eq!(app.db.number(lines).await, 13);
}

#[tokio::test]
async fn facts_of_a_range_go_and_the_person_stays() {
    let app = TestApp::start().await;
    app.accept(&native()).await;
    app.accept(&others()).await;
    let range = json!({"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"});
    let erasure = erase(&app, USER, "DELETE", Some(range)).await;
    assert_eq!(erasure["rangeFrom"], "2026-03-02T00:00:00+00:00");
    assert_eq!(app.db.number("SELECT count(*) FROM refund").await, 0);
    assert_eq!(app.db.number("SELECT count(*) FROM event").await, 12 + 6);
    let user = app
        .data(&format!(r#"{{ user(externalId: "{USER}") {{ email }} }}"#))
        .await;
    assert_eq!(user["user"]["email"], "zq.unmistakable@example.test");
    assert_rollups_are_right(&app).await;
    // Of that day nothing comes back, of others it does.
    let (_, told) = app.send(&json!(native())).await;
    assert_eq!(
        (&told["accepted"], &told["rejected"]),
        (&json!(6), &json!(1)),
        "{told}"
    );
    assert_eq!(told["receipts"][4]["code"], "user_erased");
}

#[tokio::test]
async fn a_request_names_one_person_and_needs_an_admin() {
    let app = TestApp::start().await;
    for arguments in ["", r#"userId: "a", anonymousId: "b","#, r#"userId: "","#] {
        let query = format!("mutation {{ eraseUser({arguments} mode: DELETE) {{ id }} }}");
        assert_eq!(app.code(&query).await, "invalid_erasure", "{arguments}");
    }
    let key = crate::records::tenants::key(&app, "default", tidewater::access::Scope::Read).await;
    for query in [
        r#"mutation { eraseUser(userId: "a", mode: DELETE) { id } }"#,
        r#"mutation { exportUserData(userId: "a") { id } }"#,
        "{ erasures { id } }",
        "{ privacyPolicy { eventsDays } }",
    ] {
        let answer = app.ask_as(&key, query).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "forbidden",
            "{answer}"
        );
    }
    // Somebody of whom nothing is known is erased, too: nothing of them comes.
    let erasure = erase(&app, "nobody", "DELETE", None).await;
    assert_eq!(erasure["counts"][0]["before"], 0);
    let query = format!(
        "{{ erasure(id: {}) {{ state }} erasures {{ id }} }}",
        erasure["id"]
    );
    let known = app.data(&query).await;
    assert_eq!(known["erasure"]["state"], "DONE");
    assert_eq!(known["erasures"][0]["id"], erasure["id"]);
}

#[tokio::test]
async fn a_person_is_given_all_that_is_kept_of_them() {
    let app = TestApp::start().await;
    app.accept(&native()).await;
    app.send(&json!(spoilt())).await;
    app.accept(&others()).await;
    let mutation =
        format!(r#"mutation {{ exportUserData(userId: "{USER}") {{ id what downloadUrl }} }}"#);
    let export = app.data(&mutation).await["exportUserData"].take();
    assert_eq!(export["what"], "USER_DATA");
    until(&app, "SELECT count(*) FROM export WHERE state = 2", 1).await;
    is_for_admins_alone(&app, export["id"].as_str().unwrap()).await;
    let path = export["downloadUrl"].as_str().unwrap();
    let file = app
        .anonymous(reqwest::Method::GET, path)
        .send()
        .await
        .unwrap();
    let file = file.bytes().await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&*file), &mut text)
        .unwrap();

    let mut command = program();
    command
        .args(["privacy", "export", "--user-id", USER])
        .env("DATABASE_URL", app.db.url());
    let output = command.output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    let kinds = [
        "user",
        "user_link",
        "user_alias",
        "event",
        "purchase",
        "refund",
        "quarantined",
    ];
    assert_eq!(kinds.map(of), [3, 2, 2, 7, 1, 1, 2], "{text}");
    assert!(
        !text.contains("other-") && text.contains("AgentZQ/9.9"),
        "{text}"
    );
}

/// Who may export lists sees nothing of what is kept of a person.
async fn is_for_admins_alone(app: &TestApp, id: &str) {
    let key = crate::records::tenants::key(app, "default", tidewater::access::Scope::Export).await;
    let path = format!("/v1/exports/{id}");
    let statuses = async |key: &str| {
        let request = app.anonymous(reqwest::Method::GET, &path);
        request.bearer_auth(key).send().await.unwrap().status()
    };
    let query = format!("{{ exports {{ id }} export(id: \"{id}\") {{ id }} }}");
    let seen = app.ask_as(&key, &query).await;
    assert_eq!(seen["data"], json!({"exports": [], "export": null}));
    assert_eq!(statuses(&key).await, 404);
    let delete = format!("mutation {{ deleteExport(id: \"{id}\") }}");
    let deleted = app.ask_as(&key, &delete).await;
    assert_eq!(deleted["data"]["deleteExport"], false);
    let watch = format!("subscription {{ exportProgress(id: \"{id}\") {{ state }} }}");
    let mut socket = Subscription::begin(&app.url, &key, &watch).await;
    let heard = socket.hear().await.unwrap();
    let error = &heard["payload"]["errors"][0];
    assert_eq!(error["extensions"]["code"], "unknown_export", "{heard}");
    assert_eq!(app.data(&query).await["exports"], json!([{"id": id}]));
    assert_eq!(statuses(KEY).await, 200);
}
