//! A server in this process, on a database of its own, reached over HTTP.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tidewater::app::{App, Role};
use tidewater::clock::Clock;
use tidewater::config::{
    AccessConfig, CacheConfig, Config, DatabaseConfig, Environment, GraphqlConfig, HttpConfig,
    IngestConfig, IngestMode, KeptAddresses, LimitConfig, LogConfig, QuestionConfig, StatusCodes,
};
use tokio_util::sync::CancellationToken;

use super::{KEY, Subscription, TestDb};

/// A server that runs until the test ends.
pub struct TestApp {
    /// The API's address.
    pub url: String,
    /// The metrics' address.
    pub operations_url: String,
    /// The database; shared by servers that run side by side.
    pub db: Arc<TestDb>,
    client: Client,
    stop: CancellationToken,
}

impl TestApp {
    /// A server on a database of its own, without Redis.
    pub async fn start() -> Self {
        Self::on(TestDb::migrated().await, None, Clock::System).await
    }

    /// The same, in a time that the test moves.
    pub async fn with_clock(clock: Clock) -> Self {
        Self::on(TestDb::migrated().await, None, clock).await
    }

    /// A server on this database, ready.
    pub async fn on(db: impl Into<Arc<TestDb>>, redis_url: Option<&str>, clock: Clock) -> Self {
        Self::unready(db, redis_url, clock).await.ready().await
    }

    /// A server of this role on this database, ready.
    pub async fn with_role(db: impl Into<Arc<TestDb>>, role: Role) -> Self {
        let db = db.into();
        let config = config(&db.url(), None);
        Self::run(db, config, role, Clock::System)
            .await
            .ready()
            .await
    }

    /// A server on this database that has only just begun.
    pub async fn unready(
        db: impl Into<Arc<TestDb>>,
        redis_url: Option<&str>,
        clock: Clock,
    ) -> Self {
        let db = db.into();
        let url = db.url();
        Self::run(db, config(&url, redis_url), Role::All, clock).await
    }

    /// A server that reaches its database by this URL, ready.
    pub async fn reaching(url: &str, db: TestDb, clock: Clock) -> Self {
        Self::run(db.into(), config(url, None), Role::All, clock)
            .await
            .ready()
            .await
    }

    /// A server that keeps so many bytes of answers, ready.
    pub async fn keeping(db: impl Into<Arc<TestDb>>, redis_url: Option<&str>, bytes: u64) -> Self {
        let db = db.into();
        let mut config = config(&db.url(), redis_url);
        config.cache.bytes = bytes;
        Self::start_with(db, config).await.ready().await
    }

    /// The same, once it is ready.
    pub async fn ready(self) -> Self {
        while self.get("/readyz").await.0 != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self
    }

    /// A server whose events go through this Redis, ready; `Role::Api` leaves them there.
    pub async fn stream(
        db: impl Into<Arc<TestDb>>,
        redis_url: &str,
        role: Role,
        change: impl FnOnce(&mut IngestConfig),
    ) -> Self {
        let db = db.into();
        let mut config = config(&db.url(), Some(redis_url));
        config.ingest.mode = Some(IngestMode::Stream);
        change(&mut config.ingest);
        let app = Self::run(db, config, role, Clock::System).await;
        if role == Role::Worker {
            return app;
        }
        while app.get("/readyz").await.0 != StatusCode::OK
            || app.send(&json!([])).await.0 == StatusCode::SERVICE_UNAVAILABLE
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        app
    }

    /// A server with this configuration that has only just begun.
    pub async fn start_with(db: impl Into<Arc<TestDb>>, config: Config) -> Self {
        Self::run(db.into(), config, Role::All, Clock::System).await
    }

    async fn run(db: Arc<TestDb>, config: Config, role: Role, clock: Clock) -> Self {
        let app = App::build(config, role, clock).await.unwrap();
        let address = app.api_address().or(app.operations_address()).unwrap();
        let url = format!("http://{address}");
        let operations_url = format!("http://{}", app.operations_address().unwrap());
        // It ends with the test's runtime.
        let stop = CancellationToken::new();
        tokio::spawn(app.run_until_stopped(stop.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            url,
            operations_url,
            db,
            client,
            stop,
        }
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// A request with the admin key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(KEY)
    }

    /// A request without a key.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// The status and the JSON of a page.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Sends events; the status and the answer.
    pub async fn send(&self, events: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, "/v1/batch").json(events)).await
    }

    /// Sends events that must all be accepted.
    pub async fn accept(&self, events: &[Value]) {
        for batch in events.chunks(2_500) {
            let (status, answer) = self.send(&json!(batch)).await;
            assert_eq!(
                (status, answer["accepted"].as_u64()),
                (StatusCode::OK, Some(batch.len() as u64)),
                "{answer}"
            );
        }
    }

    /// The whole answer to a query.
    pub async fn ask(&self, query: &str) -> Value {
        self.ask_with(query, json!({})).await
    }

    /// The whole answer to a query with variables.
    pub async fn ask_with(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        answer(self.request(Method::POST, "/graphql").json(&body))
            .await
            .1
    }

    /// The whole answer to a query by the holder of another key.
    pub async fn ask_as(&self, key: &str, query: &str) -> Value {
        let request = self.anonymous(Method::POST, "/graphql").bearer_auth(key);
        answer(request.json(&json!({"query": query}))).await.1
    }

    /// The data of a query that must not fail.
    pub async fn data(&self, query: &str) -> Value {
        let mut answer = self.ask(query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].take()
    }

    /// The first error's code of a query that must fail.
    pub async fn code(&self, query: &str) -> String {
        let answer = self.ask(query).await;
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no code in {answer}"))
            .to_owned()
    }

    /// Begins a subscription with the admin key.
    pub async fn subscribe(&self, query: &str) -> Subscription {
        Subscription::begin(&self.url, KEY, query).await
    }

    /// The value of a metric, summed over its labels; 0 if there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self
            .client
            .get(format!("{}/metrics", self.operations_url))
            .send()
            .await
            .unwrap();
        let text = text.text().await.unwrap();
        let of_name = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        text.lines().filter(of_name).filter_map(value).sum()
    }
}

/// The status and the JSON (null if it is none) of an answer.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(),
    )
}

/// A configuration that writes to the database directly.
pub fn config(database_url: &str, redis_url: Option<&str>) -> Config {
    let secret = |text: &str| text.parse().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        database: DatabaseConfig {
            database_url: Some(secret(database_url)),
            database_replica_urls: None,
            redis_url: redis_url.map(secret),
            data_dir: "unused".into(),
            postgres_dir: None,
        },
        http: HttpConfig {
            listen: any,
            metrics_listen: any,
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
        },
        graphql: GraphqlConfig {
            environment: Environment::Development,
            introspection: None,
            suggestions: None,
            graphiql: None,
            batch: 0,
            status: StatusCodes::Audited,
            persisted_documents: None,
            persisted_only: false,
        },
        access: AccessConfig {
            bootstrap_key: Some(secret(KEY)),
            secret: None,
        },
        // Tests of limits set some.
        limits: LimitConfig {
            events_per_minute: 0,
            points_per_minute: 0,
            exports_per_hour: 0,
            open_subscriptions: 0,
            requests_per_minute: 0,
        },
        ingest: IngestConfig {
            mode: Some(IngestMode::Direct),
            stream_partitions: 4,
            stream_max_mib: 64,
            stream_claim_seconds: 1,
            stream_allow_volatile: true,
            stream_durability: None,
            idempotency_days: 7,
            // What tests put there is of long ago.
            quarantine_days: 3_650,
            ip_addresses: KeptAddresses::Truncated,
            // Tests count events.
            canary_seconds: 0,
            canary_objective_ms: 1_000,
        },
        questions: QuestionConfig {
            max_rows: 200_000_000,
        },
        cache: CacheConfig {
            bytes: 64 * 1024 * 1024,
        },
        logs: LogConfig {
            filter: "off".into(),
        },
    }
}
