//! A shop on a primary with a replica.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use serde_json::Value;
use tidewater::clock::Clock;
use tokio::task::JoinHandle;

use crate::cancellation::{ask, until_waiting, waiting};
use crate::support::{Order, Replicated, TestApp, TestDb, config, services};

pub const FROM_PRIMARY: &str = r#"tidewater_reports_total{server="primary"}"#;
pub const FROM_REPLICA: &str = r#"tidewater_reports_total{server="replica"}"#;
pub const FALLBACKS: &str = "tidewater_replica_fallbacks_total";

/// What was answered.
pub struct Answer {
    pub orders: usize,
    pub as_of: DateTime<Utc>,
    pub by_replica: bool,
}

/// A server with a replica, and what it was sent.
pub struct Shop {
    pub app: TestApp,
    /// Databases that are named as replicas and are none.
    _strangers: [TestDb; 2],
    /// When each order had been acknowledged.
    pub sold: Vec<DateTime<Utc>>,
    /// They end after the databases on them.
    pub servers: Replicated,
}

impl Shop {
    /// A shop on a primary with a replica, of a role that owns nothing but its database.
    pub async fn open() -> Self {
        let servers = Replicated::start().await;
        let mut admin = PgConnection::connect(&servers.primary()).await.unwrap();
        run(&mut admin, "CREATE ROLE shop LOGIN CREATEDB").await;
        let (primary, standby) = servers.ordinary();
        let db = TestDb::on(&primary).await;
        let replica = db.url_on(&standby);
        // Two that must not be asked: one is of another cluster, the other another database's.
        let elsewhere = TestDb::migrated().await;
        let other = TestDb::on(&primary).await;
        let mut config = config(&db.url(), None);
        let urls = [elsewhere.url(), replica, other.url_on(&standby)].join(", ");
        config.database.database_replica_urls = Some(urls.parse().unwrap());
        // What is kept is asked of nobody.
        config.cache.bytes = 0;
        let app = TestApp::start_with(db, config).await;
        until("ready", async || app.get("/readyz").await.0.is_success()).await;
        let shop = Self {
            app,
            servers,
            _strangers: [elsewhere, other],
            sold: Vec::new(),
        };
        until("up", async || shop.is_up(2).await).await;
        shop
    }

    /// Whether a replica may be asked.
    pub async fn is_up(&self, n: usize) -> bool {
        let host = match n {
            1 => services()
                .database_url
                .split(['@', '/'])
                .nth(3)
                .unwrap()
                .to_owned(),
            _ => self.servers.standby_host(),
        };
        let name = format!(r#"tidewater_replica_up{{replica="{n}",host="{host}"}}"#);
        self.app.metric(&name).await > 0.0
    }

    pub async fn sell(&mut self) {
        self.app.accept(&[Order::of("mug").event()]).await;
        self.sold.push(Clock::System.now());
    }

    /// Asks for the orders with an answer that may be so old, and checks that the answer has what
    /// it says, and is not older.
    pub async fn orders(&self, max_staleness: u32) -> Answer {
        let from_replica = self.app.metric(FROM_REPLICA).await;
        let before = Clock::System.now();
        let data = self.app.data(&sales(max_staleness)).await;
        let sales = &data["sales"];
        let orders = sales["totals"]["orders"].as_u64().unwrap();
        let as_of = sales["provenance"]["asOf"].as_str().unwrap();
        let answer = Answer {
            orders: usize::try_from(orders).unwrap(),
            as_of: as_of.parse().unwrap(),
            by_replica: self.app.metric(FROM_REPLICA).await > from_replica,
        };
        let sold_before = |moment| self.sold.iter().filter(|at| **at < moment).count();
        let claimed = sold_before(answer.as_of);
        assert!(answer.orders >= claimed, "{data} of {claimed}");
        let oldest = before - Duration::from_secs(max_staleness.into());
        assert!(answer.as_of >= oldest, "{data} is from before {oldest}");
        assert!(answer.by_replica || answer.as_of >= before, "{data}");
        answer
    }

    /// Waits until the replica answers with all that was sold.
    pub async fn until_replica_has_all(&self) {
        let last = *self.sold.last().unwrap();
        until("caught up", async || {
            let answer = self.orders(3_600).await;
            answer.by_replica && answer.as_of > last
        })
        .await;
        assert_eq!(self.orders(3_600).await.orders, self.sold.len());
    }

    /// Asks something that a lock holds back on the replica.
    pub async fn ask_and_wait(&self, query: &str) -> JoinHandle<Value> {
        let mut primary = self.app.db.connect().await;
        let url = self.app.db.url_on(&self.servers.standby());
        let mut standby = PgConnection::connect(&url).await.unwrap();
        loop {
            let asking = ask(&self.app, query);
            while waiting(&mut primary).await + waiting(&mut standby).await == 0 {
                assert!(!asking.is_finished());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if waiting(&mut standby).await == 1 {
                return asking;
            }
            // A busy machine: the replica did not answer in time, and the primary was asked.
            asking.abort();
            until_waiting(&mut primary, 0).await;
        }
    }

    pub async fn on_standby(&self, sql: &str) {
        let url = self.app.db.url_on(&self.servers.standby());
        run(&mut PgConnection::connect(&url).await.unwrap(), sql).await;
    }
}

pub fn sales(max_staleness: u32) -> String {
    format!(
        r#"{{ sales(range: {{from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}},
                    maxStaleness: {max_staleness}) {{ totals {{ orders }} provenance {{ asOf }} }} }}"#
    )
}

pub async fn run(connection: &mut PgConnection, sql: &str) {
    let statement = sqlx::query(AssertSqlSafe(sql.to_owned()));
    statement.execute(connection).await.unwrap();
}

pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looking = tokio::time::timeout(Duration::from_mins(1), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    looking.await.unwrap_or_else(|_| panic!("never {what}"));
}

/// Holds back whoever asks a table, on both servers, until the connection ends.
pub async fn lock(shop: &Shop, table: &str) -> PgConnection {
    let mut holder = shop.app.db.connect().await;
    run(&mut holder, "BEGIN").await;
    run(
        &mut holder,
        &format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"),
    )
    .await;
    // What takes the lock along to the standby is another transaction's commit.
    shop.app.db.run("UPDATE tenant SET name = name").await;
    let url = shop.app.db.url_on(&shop.servers.standby());
    until("locked on the standby", async || {
        let mut standby = PgConnection::connect(&url).await.unwrap();
        let locked = "SELECT EXISTS (SELECT FROM pg_locks
                      WHERE relation = $1::regclass AND mode = 'AccessExclusiveLock' AND granted)";
        let locked = sqlx::query_scalar(locked).bind(table);
        locked.fetch_one(&mut standby).await.unwrap()
    })
    .await;
    holder
}
