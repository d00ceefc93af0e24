//! A person with unmistakable words, and everywhere that these words are looked for.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use redis::Value as Answer;
use reqwest::Method;
use sea_orm::sqlx::{self, AssertSqlSafe};
use serde_json::{Value, json};
use tidewater::domain::event::user_id;
use tidewater::domain::tenant::TenantId;
use uuid::Uuid;

use crate::support::{KEY, Redis, TestApp, TestDb, answer};

/// What senders call the person.
pub(super) const USER: &str = "usr-zq93ab77";
pub(super) const VISITOR: &str = "anon-zq5512cc";
const DEVICE: &str = "device-zq81f0aa";
/// The tenant of every test.
const TENANT: TenantId = TenantId(1);

/// All words that must be nowhere afterwards: names, addresses, properties, and the ids that follow
/// from them.
pub(super) fn words() -> Vec<String> {
    let told = [
        USER,
        VISITOR,
        DEVICE,
        "Zebediah Quixotewell",
        "zq.unmistakable@example.test",
        "203.0.113.177",
        "prop-zq-marker",
        "sess-zq-771",
        "ord-zq-42",
        "tok-zq-url",
        "AgentZQ/9.9",
        "held-zq-note",
    ];
    let ids = [(USER, false), (VISITOR, true), (DEVICE, true), (USER, true)];
    let ids = ids.map(|(name, anonymous)| user_id(TENANT, name, anonymous).to_string());
    told.map(str::to_owned).into_iter().chain(ids).collect()
}

fn id() -> Uuid {
    Uuid::new_v4()
}

/// What the person does, in our own words.
pub(super) fn native() -> Vec<Value> {
    let at = "2026-03-01T12:00:00Z";
    vec![
        json!({"eventId": id(), "type": "pageview", "timestamp": "2026-03-01T11:58:00Z",
               "anonymousId": VISITOR, "sessionId": "sess-zq-771", "userAgent": "AgentZQ/9.9",
               "url": "https://shop.test/account?token=tok-zq-url#prop-zq-marker"}),
        json!({"eventId": id(), "type": "identify", "timestamp": at, "userId": USER,
               "anonymousId": VISITOR, "properties": {
                   "username": "Zebediah Quixotewell", "email": "zq.unmistakable@example.test"}}),
        json!({"eventId": id(), "type": "alias", "timestamp": at, "userId": USER,
               "previousId": DEVICE}),
        json!({"eventId": id(), "type": "purchase", "timestamp": at, "userId": USER,
               "orderId": "ord-zq-42", "currency": "USD", "region": "DE",
               "lines": [{"productId": "mug", "quantity": 2, "amount": "20.00"}]}),
        json!({"eventId": id(), "type": "refund", "timestamp": "2026-03-02T08:00:00Z",
               "userId": USER, "orderId": "ord-zq-42", "currency": "USD",
               "lines": [{"productId": "mug", "quantity": 1, "amount": "5.00"}]}),
        json!({"eventId": id(), "type": "search", "timestamp": "2026-03-01T12:00:30Z",
               "anonymousId": DEVICE,
               "properties": {"host": "203.0.113.177", "words": ["prop-zq-marker"]}}),
        json!({"eventId": id(), "type": "pageview", "timestamp": at, "userId": USER,
               "url": "https://shop.test/people/usr-zq93ab77/orders"}),
    ]
}

/// What of the person cannot be stored: named by an id, or by an address.
pub(super) fn spoilt() -> Vec<Value> {
    vec![
        json!({"eventId": id(), "type": "search", "timestamp": "yesterday", "userId": USER,
               "properties": {"note": "held-zq-note"}}),
        json!({"eventId": id(), "type": "search", "timestamp": "yesterday", "userId": "clerk",
               "properties": {"to": "zq.unmistakable@example.test", "note": "held-zq-note"}}),
    ]
}

/// What others do in the same minutes.
pub(super) fn others() -> Vec<Value> {
    let one = |n: u32| {
        json!({"eventId": id(), "type": "purchase", "userId": format!("other-{}", n % 3),
               "timestamp": format!("2026-03-0{}T12:00:{n:02}Z", 1 + n % 4),
               "currency": "USD", "region": "DE",
               "lines": [{"productId": "mug", "quantity": 1, "amount": "10.00"}]})
    };
    (0..12).map(one).collect()
}

/// Sends what the person does by every face that takes events; says how many events that are.
pub(super) async fn plant(app: &TestApp) -> i64 {
    let post = |path: &str| app.request(Method::POST, path);
    let mut sent = 0;
    let native = native();
    let (status, told) = app.send(&json!(native)).await;
    assert!(status.is_success(), "{told}");
    sent += i64::try_from(native.len()).unwrap();
    let (status, told) = app.send(&json!(spoilt())).await;
    assert_eq!(
        (status.as_u16(), &told["quarantined"]),
        (200, &json!(2)),
        "{told}"
    );

    let context = json!({"ip": "203.0.113.177", "userAgent": "AgentZQ/9.9",
                         "traits": {"email": "zq.unmistakable@example.test"}});
    let track = json!({"messageId": "m-1", "userId": USER, "event": "Signed In",
                       "timestamp": "2026-03-03T10:00:00Z", "context": context,
                       "properties": {"how": "prop-zq-marker"}});
    let identify = json!({"messageId": "m-2", "userId": USER, "anonymousId": VISITOR,
                          "timestamp": "2026-03-03T10:00:01Z", "context": context,
                          "traits": {"name": "Zebediah Quixotewell"}});
    for (path, body) in [("/v1/track", track), ("/v1/identify", identify)] {
        let (status, told) = answer(post(path).json(&body)).await;
        assert_eq!(
            (status.as_u16(), &told["accepted"]),
            (200, &json!(1)),
            "{told}"
        );
        sent += 1;
    }

    let capture = json!({"api_key": KEY, "event": "opened", "distinct_id": USER,
                         "timestamp": "2026-03-03T11:00:00Z",
                         "properties": {"$host": "203.0.113.177",
                                        "$set": {"name": "Zebediah Quixotewell"}}});
    let request = app.anonymous(Method::POST, "/capture/").json(&capture);
    let (status, told) = answer(request).await;
    assert_eq!(status.as_u16(), 200, "{told}");
    sent += 1;

    let line = json!({"eventId": id(), "type": "search", "timestamp": "2026-03-03T12:00:00Z",
                      "userId": USER, "properties": {"q": "prop-zq-marker"}});
    let request = post("/v1/events").header("content-type", "application/x-ndjson");
    let told = request.body(format!("{line}\n")).send().await.unwrap();
    assert!(told.status().is_success());
    let told = told.text().await.unwrap();
    assert!(told.contains("accepted"), "{told}");
    sent += 1;

    let event = format!(
        r#"mutation {{ ingestEvents(events: [{{type: "search", userId: "{USER}",
            timestamp: "2026-03-03T13:00:00Z", properties: {{q: "prop-zq-marker"}}}}]) {{
            accepted }} }}"#
    );
    assert_eq!(app.data(&event).await["ingestEvents"]["accepted"], 1);
    sent + 1
}

/// The words as bytes may hold them: as text in either case, as the text of bytes, as bytes of ids.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for word in words() {
        let lower = word.to_lowercase();
        let hex: String = lower
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        forms.push(hex.into_bytes());
        if let Ok(id) = Uuid::parse_str(&word) {
            forms.push(id.simple().to_string().into_bytes());
            forms.push(id.as_bytes().to_vec());
        }
        forms.push(lower.into_bytes());
    }
    forms
}

/// Whether the person is in these bytes, in either case.
fn has_person(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    let mut begins: Vec<Vec<&[u8]>> = vec![Vec::new(); 256];
    for form in forms {
        let first = form[0].to_ascii_lowercase();
        begins[usize::from(first)].push(form);
        if first.is_ascii_lowercase() {
            begins[usize::from(first.to_ascii_uppercase())].push(form);
        }
    }
    let is_at = |at: usize, form: &[u8]| {
        let there = bytes.get(at..at + form.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(form))
    };
    let mut places = bytes.iter().enumerate();
    places.any(|(at, byte)| {
        begins[usize::from(*byte)]
            .iter()
            .any(|form| is_at(at, form))
    })
}

/// The tables, the statistics of the planner among them, in which the person is.
pub(super) async fn tables_with_person(db: &TestDb) -> BTreeSet<String> {
    let forms = forms();
    let mut connection = db.connect().await;
    let mut tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class
         WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    tables.push("pg_stats".to_owned());
    let mut found = BTreeSet::new();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT its::text FROM {table} AS its"
        )))
        .fetch_all(&mut connection)
        .await
        .unwrap();
        if rows.iter().any(|row| has_person(row.as_bytes(), &forms)) {
            found.insert(table);
        }
    }
    found
}

/// The files of the database, rewritten, in which the person is: its tables and indexes as they lie
/// on the disk. Rows that are gone are written anew while some statement of before is under way.
pub(super) async fn files_with_person(db: &TestDb) -> Vec<String> {
    let mut found = rewritten_files_with_person(db).await;
    for _ in 0..10 {
        if found.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        found = rewritten_files_with_person(db).await;
    }
    found
}

async fn rewritten_files_with_person(db: &TestDb) -> Vec<String> {
    db.run("VACUUM FULL").await;
    db.run("CHECKPOINT").await;
    let mut connection = db.connect().await;
    let (data, oid): (String, i64) = sqlx::query_as(
        "SELECT current_setting('data_directory'), oid::bigint FROM pg_database
         WHERE datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let folder = Path::new(&data).join("base").join(oid.to_string());
    let forms = forms();
    let mut found = Vec::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        // One that is being dropped may be gone by now.
        let bytes = std::fs::read(&path).unwrap_or_default();
        if has_person(&bytes, &forms) {
            let node = path.file_name().unwrap().to_str().unwrap().to_owned();
            let name: Option<String> = sqlx::query_scalar(
                "SELECT relname::text FROM pg_class WHERE pg_relation_filenode(oid)::text = $1",
            )
            .bind(node.split(['.', '_']).next())
            .fetch_optional(&mut connection)
            .await
            .unwrap();
            found.push(format!("{node} {name:?}"));
        }
    }
    found
}

/// The keys of a Redis in which the person is, whatever their type.
pub(super) async fn keys_with_person(redis: &Redis) -> BTreeSet<String> {
    let forms = forms();
    let keys: Vec<String> = redis.ask(redis::cmd("KEYS").arg("*")).await;
    let mut found = BTreeSet::new();
    for key in keys {
        let kind: String = redis.ask(redis::cmd("TYPE").arg(&key)).await;
        let mut read = match kind.as_str() {
            "string" => redis::cmd("GET"),
            "hash" => redis::cmd("HGETALL"),
            "stream" => redis::cmd("XRANGE"),
            "set" => redis::cmd("SMEMBERS"),
            "list" => redis::cmd("LRANGE"),
            "zset" => redis::cmd("ZRANGE"),
            _ => continue,
        };
        read.arg(&key);
        match kind.as_str() {
            "stream" => read.arg("-").arg("+"),
            "list" | "zset" => read.arg(0).arg(-1),
            _ => &mut read,
        };
        let value: Answer = redis.ask(&read).await;
        if has_person(key.as_bytes(), &forms) || is_in(&value, &forms) {
            found.insert(key);
        }
    }
    found
}

fn is_in(value: &Answer, forms: &[Vec<u8>]) -> bool {
    match value {
        Answer::BulkString(bytes) => has_person(bytes, forms),
        Answer::SimpleString(text) => has_person(text.as_bytes(), forms),
        Answer::Array(all) | Answer::Set(all) => all.iter().any(|one| is_in(one, forms)),
        Answer::Map(all) => all
            .iter()
            .any(|(name, one)| is_in(name, forms) || is_in(one, forms)),
        _ => false,
    }
}
