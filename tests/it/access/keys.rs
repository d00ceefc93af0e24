//! Keys: made, shown once, rotated, revoked, and refused with a reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidewater::access::{Access, Credentials};
use tidewater::clock::Clock;
use tidewater::storage::Db;
use tokio_util::sync::CancellationToken;

use super::{code, key, reading, tenant};
use crate::support::{KEY, Subscription, TestApp, TestDb, answer, program};

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

fn ok() -> (StatusCode, String) {
    (StatusCode::OK, String::new())
}

fn refused(status: StatusCode, code: &str) -> (StatusCode, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_opens_what_it_says_and_tells_when_it_was_used() {
    let app = TestApp::start().await;
    let (id, secret) = key(&app, json!({"name": "a dashboard", "scopes": ["READ"]})).await;
    assert!(
        secret.starts_with("tw_live_") && secret.len() == 44,
        "{secret}"
    );
    assert_eq!(code(reading(&app, &secret)).await, ok());
    let denied = app
        .anonymous(Method::POST, "/v1/batch")
        .bearer_auth(&secret);
    assert_eq!(
        code(denied.json(&json!([]))).await,
        refused(StatusCode::FORBIDDEN, "forbidden")
    );

    let query = "{ apiKeys { apiKeyId name kind prefix scopes lastUsedAt lastUsedAddress } }";
    let listed = loop {
        let data = app.data(query).await;
        let mut found = data["apiKeys"].as_array().unwrap().iter();
        let found = found
            .find(|one| one["apiKeyId"] == id.as_str())
            .cloned()
            .unwrap();
        if !found["lastUsedAt"].is_null() {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(listed["name"], "a dashboard");
    assert_eq!(listed["kind"], "LIVE");
    assert_eq!(listed["prefix"], secret[..12]);
    assert_eq!(listed["scopes"], json!(["READ"]));
    assert_eq!(listed["lastUsedAddress"], "127.0.0.0");
    let kept = app
        .db
        .number("SELECT count(*) FROM api_key WHERE api_key::text LIKE '%tw_live_%'");
    assert_eq!(kept.await, 1, "its first characters");
    let whole = format!("SELECT count(*) FROM api_key WHERE api_key::text LIKE '%{secret}%'");
    assert_eq!(app.db.number(&whole).await, 0);
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_told_why() {
    let app = TestApp::with_clock(Clock::manual(Clock::System.now())).await;
    let (_, secret) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    let mut other = secret.clone();
    other.replace_range(20..21, if &secret[20..21] == "a" { "b" } else { "a" });
    for malformed in [&other, &secret[..40], "tw_live_", "tw_pub_x"] {
        let known = code(reading(&app, malformed)).await;
        assert_eq!(known, refused(UNAUTHORIZED, "malformed_key"));
    }
    let unknown = "whoever-i-am-0123456789";
    assert_eq!(
        code(reading(&app, unknown)).await,
        refused(UNAUTHORIZED, "unknown_key")
    );

    let at = |text| json!({"name": "k", "scopes": ["READ"], "allowedIps": [text]});
    let (_, elsewhere) = key(&app, at("203.0.113.0/24")).await;
    let (_, here) = key(&app, at("127.0.0.1")).await;
    let wrong = refused(StatusCode::FORBIDDEN, "wrong_address");
    assert_eq!(code(reading(&app, &elsewhere)).await, wrong);
    // Nobody here is trusted to speak for others.
    let claimed = reading(&app, &elsewhere).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(code(claimed).await, wrong);
    assert_eq!(code(reading(&app, &here)).await, ok());

    let origins = json!(["https://shop.example", "https://*.shop.example"]);
    let (_, page) = key(
        &app,
        json!({"name": "k", "scopes": ["READ"], "allowedOrigins": origins}),
    )
    .await;
    let from = |origin: &str| reading(&app, &page).header("origin", origin);
    let wrong = refused(StatusCode::FORBIDDEN, "wrong_origin");
    assert_eq!(code(from("https://shop.example")).await, ok());
    assert_eq!(code(from("https://www.shop.example")).await, ok());
    assert_eq!(code(from("https://shop.example.evil")).await, wrong);
    assert_eq!(code(reading(&app, &page)).await, wrong);
    for path in [
        format!("/v1/products?x={secret}"),
        "/graphql?query={x}&api_key=abc".to_owned(),
    ] {
        let asked = app.anonymous(Method::GET, &path);
        assert_eq!(
            code(asked).await,
            refused(StatusCode::BAD_REQUEST, "key_in_url")
        );
    }
}

#[tokio::test]
async fn a_key_expires() {
    let begun = Clock::System.now();
    let clock = Clock::manual(begun);
    let app = TestApp::with_clock(clock.clone()).await;
    let end = (begun + TimeDelta::hours(1)).to_rfc3339();
    let (_, secret) = key(
        &app,
        json!({"name": "k", "scopes": ["READ"], "expiresAt": end}),
    )
    .await;
    assert_eq!(code(reading(&app, &secret)).await, ok());
    clock.advance(TimeDelta::hours(2));
    assert_eq!(
        code(reading(&app, &secret)).await,
        refused(UNAUTHORIZED, "expired_key")
    );
}

#[tokio::test]
async fn within_a_second_a_revoked_key_opens_nothing_at_any_server_and_its_sockets_are_closed() {
    let db = Arc::new(TestDb::migrated().await);
    let one = TestApp::on(Arc::clone(&db), None, Clock::System).await;
    let other = TestApp::on(db, None, Clock::System).await;
    let (id, secret) = key(&one, json!({"name": "k", "scopes": ["READ"]})).await;
    for app in [&one, &other] {
        assert_eq!(code(reading(app, &secret)).await, ok());
    }
    let query = "subscription { liveSales(window: ONE_HOUR) { orders } }";
    let mut socket = Subscription::begin(&other.url, &secret, query).await;
    socket.next().await;
    let revoke = format!("mutation {{ revokeApiKey(id: \"{id}\") {{ apiKey {{ revokedAt }} }} }}");
    assert!(one.data(&revoke).await["revokeApiKey"]["apiKey"]["revokedAt"].is_string());
    let revoked = Instant::now();
    assert_eq!(
        code(reading(&one, &secret)).await,
        refused(UNAUTHORIZED, "revoked_key")
    );
    // Nothing here waits for the five seconds after which keys were looked up again.
    while code(reading(&other, &secret)).await == ok() {
        assert!(
            revoked.elapsed() < Duration::from_secs(3),
            "it is still good"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        code(reading(&other, &secret)).await,
        refused(UNAUTHORIZED, "revoked_key")
    );
    assert_eq!(socket.hear().await, Err(4403));
    assert_eq!(one.code(&revoke).await, "no_such_key");
}

#[tokio::test]
async fn a_key_that_was_revoked_before_it_was_first_looked_for_changes_opens_nothing_either() {
    let app = TestApp::start().await;
    let (id, secret) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let late = Access::new(db, None, Clock::System);
    let shown = Credentials {
        secret,
        origin: None,
        address: None,
    };
    late.identify(&shown).await.unwrap();
    app.data(&format!(
        "mutation {{ revokeApiKey(id: \"{id}\") {{ apiKey {{ revokedAt }} }} }}"
    ))
    .await;
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    late.watch(&stop);
    let begun = Instant::now();
    while late.identify(&shown).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it is still good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn after_a_rotation_both_secrets_open_for_a_while() {
    let begun = Clock::System.now();
    let clock = Clock::manual(begun);
    let app = TestApp::with_clock(clock.clone()).await;
    let (id, old) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    let rotate =
        format!("mutation {{ rotateApiKey(id: \"{id}\", overlapSeconds: 60) {{ secret }} }}");
    let data = app.data(&rotate).await;
    let new = data["rotateApiKey"]["secret"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(code(reading(&app, new)).await, ok());
    assert_eq!(code(reading(&app, &old)).await, ok());
    clock.advance(TimeDelta::seconds(61));
    // What was remembered of the old one learns of its end.
    while code(reading(&app, &old)).await == ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        code(reading(&app, &old)).await,
        refused(UNAUTHORIZED, "expired_key")
    );
    assert_eq!(code(reading(&app, new)).await, ok());
}

#[tokio::test]
async fn a_publishable_key_sends_from_its_pages_and_does_nothing_else() {
    let app = TestApp::start().await;
    let unfit = json!({"name": "k", "kind": "PUBLISHABLE", "scopes": ["INGEST"]});
    let query = "mutation($input: ApiKeyInput!) { createApiKey(input: $input) { secret } }";
    for input in [
        unfit,
        json!({"name": "k", "kind": "PUBLISHABLE", "scopes": ["READ"], "allowedOrigins": ["https://shop.example"]}),
        json!({"name": "k", "scopes": ["INGEST"], "rowScope": {"regions": ["north"]}}),
        json!({"name": "k", "scopes": ["READ"], "rowScope": {}}),
        json!({"name": "", "scopes": ["READ"]}),
        json!({"name": "k", "scopes": []}),
        json!({"name": "k", "scopes": ["READ"], "allowedIps": ["shop.example"]}),
        json!({"name": "k", "scopes": ["READ"], "allowedOrigins": ["shop.example"]}),
        json!({"name": "k", "scopes": ["READ"], "expiresAt": "2020-01-01T00:00:00Z"}),
    ] {
        let answer = app.ask_with(query, json!({"input": input})).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "invalid_key",
            "{input}"
        );
    }
    let input = json!({"name": "k", "kind": "PUBLISHABLE", "scopes": ["INGEST"], "allowedOrigins": ["https://shop.example"]});
    let (_, secret) = key(&app, input).await;
    assert!(secret.starts_with("tw_pub_"));
    let visit = json!([{"eventId": uuid::Uuid::new_v4(), "type": "pageview", "anonymousId": "a", "url": "/", "timestamp": "2026-03-01T12:00:00Z"}]);
    let sending = |origin: &str| {
        let request = app
            .anonymous(Method::POST, "/v1/batch")
            .bearer_auth(&secret);
        request.header("origin", origin).json(&visit)
    };
    let sent = sending("https://shop.example").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    assert_eq!(sent.headers()["access-control-allow-origin"], "*");
    let wrong = refused(StatusCode::FORBIDDEN, "wrong_origin");
    assert_eq!(code(sending("https://evil.example")).await, wrong);
    let upload = app.anonymous(Method::POST, "/v1/events");
    let upload = upload.bearer_auth(&secret).body("{}\n");
    let upload = upload
        .header("origin", "https://shop.example")
        .header("content-type", "application/x-ndjson");
    let for_servers = refused(StatusCode::FORBIDDEN, "forbidden");
    assert_eq!(code(upload).await, for_servers);
    let asked = reading(&app, &secret).header("origin", "https://shop.example");
    assert_eq!(
        code(asked).await,
        refused(StatusCode::FORBIDDEN, "forbidden")
    );
    // A browser asks first.
    let preflight = app
        .anonymous(Method::OPTIONS, "/v1/batch")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let allowed = preflight.send().await.unwrap();
    let headers = &allowed.headers()["access-control-allow-headers"];
    assert_eq!(headers, "authorization,content-type");
}

#[tokio::test]
async fn a_key_of_before_goes_on_and_is_kept_anew() {
    let app = TestApp::start().await;
    let secret = format!("tw_{}", "0a1b2c".repeat(8));
    let hash = format!("{:x}", Sha256::digest(secret.as_bytes()));
    app.db
        .run(&format!(
            "INSERT INTO api_key (api_key_id, tenant_id, label, scopes, prefix, key_hash)
             VALUES (gen_random_uuid(), 1, 'old', '{{read}}', 'tw_0a1b', '\\x{hash}')"
        ))
        .await;
    assert_eq!(code(reading(&app, &secret)).await, ok());
    let plain = format!("SELECT count(*) FROM api_key WHERE key_hash = '\\x{hash}'");
    assert_eq!(app.db.number(&plain).await, 0);
    assert_eq!(code(reading(&app, &secret)).await, ok());
}

#[tokio::test]
async fn a_secret_of_the_servers_own_may_be_set_later() {
    let db = Arc::new(TestDb::migrated().await);
    let one = TestApp::on(Arc::clone(&db), None, Clock::System).await;
    let (_, before) = key(&one, json!({"name": "k", "scopes": ["READ"]})).await;
    let mut config = crate::support::config(&db.url(), None);
    config.access.secret = Some("a secret that nobody knows but the server".parse().unwrap());
    let other = TestApp::start_with(db, config).await.ready().await;
    let (_, after) = key(&other, json!({"name": "k", "scopes": ["READ"]})).await;
    for secret in [before.as_str(), &after, KEY] {
        assert_eq!(code(reading(&other, secret)).await, ok());
    }
}

#[tokio::test]
async fn a_given_secret_that_was_rotated_away_stays_away() {
    let db = Arc::new(TestDb::migrated().await);
    let one = TestApp::on(Arc::clone(&db), None, Clock::System).await;
    let keys = one.data("{ apiKeys { apiKeyId } }").await;
    let id = keys["apiKeys"][0]["apiKeyId"].clone();
    let (_, admin) = key(&one, json!({"name": "k", "scopes": ["ADMIN"]})).await;
    for _ in 0..2 {
        let rotate =
            format!("mutation {{ rotateApiKey(id: {id}, overlapSeconds: 0) {{ secret }} }}");
        let rotated = one.ask_as(&admin, &rotate).await;
        assert!(rotated.get("errors").is_none(), "{rotated}");
        // As each process that starts with the same settings.
        let other = TestApp::on(Arc::clone(&db), None, Clock::System).await;
        assert_eq!(code(reading(&other, KEY)).await.0, UNAUTHORIZED);
        let keys = other.ask_as(&admin, "{ apiKeys { apiKeyId } }").await;
        assert_eq!(keys["data"]["apiKeys"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn only_operators_make_tenants_and_only_admins_see_their_own_keys() {
    let app = TestApp::start().await;
    let admin = tenant(&app, "another shop").await;
    let codes = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let again = "mutation { createTenant(input: {name: \"third\"}) { secret } }";
    assert_eq!(codes(&app.ask_as(&admin, again).await), "forbidden");
    let taken = "mutation { createTenant(input: {name: \"another shop\"}) { secret } }";
    assert_eq!(app.code(taken).await, "invalid_tenant");
    let listed = app
        .ask_as(&admin, "{ apiKeys { name } tenants { name } }")
        .await;
    assert_eq!(
        listed["data"],
        json!({"apiKeys": [{"name": "admin"}], "tenants": [{"name": "another shop"}]})
    );
    // One's own alone, though one knows the id of another's.
    let (id, _) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    for change in ["revokeApiKey", "rotateApiKey"] {
        let query = format!("mutation {{ {change}(id: \"{id}\") {{ apiKey {{ name }} }} }}");
        assert_eq!(codes(&app.ask_as(&admin, &query).await), "no_such_key");
    }
    let (_, reader) = key(&app, json!({"name": "k", "scopes": ["READ"]})).await;
    assert_eq!(
        codes(&app.ask_as(&reader, "{ apiKeys { name } }").await),
        "forbidden"
    );
}

#[tokio::test]
async fn the_program_makes_rotates_lists_and_revokes_keys() {
    let app = TestApp::start().await;
    let run = |arguments: Vec<String>| {
        let url = app.db.url();
        async move {
            let mut command = program();
            let output = command
                .args(arguments)
                .env("DATABASE_URL", url)
                .output()
                .await
                .unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{errors}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    run(words(
        "tenants create partners --currency EUR --timezone Europe/Berlin",
    ))
    .await;
    assert!(
        run(words("tenants list"))
            .await
            .contains("partners  EUR  Europe/Berlin")
    );
    let secret = run(words(
        "keys create --tenant partners --name p --scope read --region north --ip 127.0.0.0/8 \
         --expires-at 2099-01-02T03:04:00Z --points-per-minute 7000",
    ))
    .await;
    let (status, _) = answer(
        app.anonymous(Method::GET, "/v1/purchases")
            .bearer_auth(&secret),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let listed = run(words("keys list --tenant partners")).await;
    for told in [
        "active  read  p",
        "expires 2099-01-02T03:04Z",
        "ips 127.0.0.0/8",
        r#"rows {"regions":["north"]}"#,
        r#""pointsPerMinute":7000"#,
    ] {
        assert!(listed.contains(told), "{told} is not in {listed}");
    }
    let id = listed.split(' ').next().unwrap();
    let new = run(words(&format!("keys rotate {id} --overlap 0"))).await;
    assert!(new.starts_with("tw_live_"));
    assert_eq!(run(words(&format!("keys revoke {id}"))).await, "revoked");
    assert!(
        run(words("keys list --tenant partners"))
            .await
            .contains("revoked  read  p")
    );
}
