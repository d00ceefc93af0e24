//! Reports that may be some seconds old come from a replica, and say how old they are.

#![allow(clippy::float_cmp, reason = "the metrics are whole numbers")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use serde_json::{Value, json};
use tidewater::clock::Clock;
use tokio::task::JoinHandle;

use crate::cancellation::{ask, until_waiting, waiting};
use crate::support::{Order, Replicated, TestApp, TestDb, config, services};

const FROM_PRIMARY: &str = r#"tidewater_reports_total{server="primary"}"#;
const FROM_REPLICA: &str = r#"tidewater_reports_total{server="replica"}"#;
const FALLBACKS: &str = "tidewater_replica_fallbacks_total";

/// What was answered.
struct Answer {
    orders: usize,
    as_of: DateTime<Utc>,
    by_replica: bool,
}

/// A server with a replica, and what it was sent.
struct Shop {
    app: TestApp,
    servers: Replicated,
    /// Databases that are named as replicas and are none.
    _strangers: [TestDb; 2],
    /// When each order had been acknowledged.
    sold: Vec<DateTime<Utc>>,
}

impl Shop {
    /// A shop on a primary with a replica, of a role that owns nothing but its database.
    async fn open() -> Self {
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
    async fn is_up(&self, n: usize) -> bool {
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

    async fn sell(&mut self) {
        self.app.accept(&[Order::of("mug").event()]).await;
        self.sold.push(Clock::System.now());
    }

    /// Asks for the orders with an answer that may be so old, and checks that the answer has what
    /// it says, and is not older.
    async fn orders(&self, max_staleness: u32) -> Answer {
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
    async fn until_replica_has_all(&self) {
        let last = *self.sold.last().unwrap();
        until("caught up", async || {
            let answer = self.orders(3_600).await;
            answer.by_replica && answer.as_of > last
        })
        .await;
        assert_eq!(self.orders(3_600).await.orders, self.sold.len());
    }

    /// Asks something that a lock holds back on the replica.
    async fn ask_and_wait(&self, query: &str) -> JoinHandle<Value> {
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

    async fn on_standby(&self, sql: &str) {
        let url = self.app.db.url_on(&self.servers.standby());
        run(&mut PgConnection::connect(&url).await.unwrap(), sql).await;
    }
}

fn sales(max_staleness: u32) -> String {
    format!(
        r#"{{ sales(range: {{from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}},
                    maxStaleness: {max_staleness}) {{ totals {{ orders }} provenance {{ asOf }} }} }}"#
    )
}

async fn run(connection: &mut PgConnection, sql: &str) {
    let statement = sqlx::query(AssertSqlSafe(sql.to_owned()));
    statement.execute(connection).await.unwrap();
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looking = tokio::time::timeout(Duration::from_mins(1), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    looking.await.unwrap_or_else(|_| panic!("never {what}"));
}

/// One pair of servers for all of it: they take longer to make than to test.
#[tokio::test]
async fn reports_that_may_be_old_come_from_a_replica_that_is_young_enough() {
    let mut shop = Shop::open().await;
    what_may_be_old_is_read_from_the_replica(&mut shop).await;
    no_answer_claims_more_than_the_replica_has(&mut shop).await;
    a_conflict_with_what_is_replayed_ends_in_an_answer_of_the_primary(&mut shop).await;
    who_goes_away_takes_the_question_from_the_replica_too(&mut shop).await;
    a_replica_that_stops_is_missed_by_nobody(&mut shop).await;
    a_promoted_replica_is_asked_nothing(&mut shop).await;
}

async fn what_may_be_old_is_read_from_the_replica(shop: &mut Shop) {
    shop.sell().await;
    shop.until_replica_has_all().await;
    let counts = async || {
        let (primary, replica) = (shop.app.metric(FROM_PRIMARY), shop.app.metric(FROM_REPLICA));
        (
            primary.await,
            replica.await,
            shop.app.metric(FALLBACKS).await,
        )
    };
    let (primary, replica, fallbacks) = counts().await;
    // While nobody writes, it stays fresh.
    for _ in 0..20 {
        shop.orders(30).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arguments = r#"range: {from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"},
                       maxStaleness: 30"#;
    let traffic = format!("{{ traffic({arguments}) {{ totals {{ events users }} }} }}");
    let traffic = shop.app.data(&traffic).await;
    let totals = json!({"events": 1, "users": 1});
    assert_eq!(traffic["traffic"]["totals"], totals);
    let restatements = format!("{{ restatements({arguments}) {{ buckets {{ start }} }} }}");
    let restatements = shop.app.data(&restatements).await;
    let buckets = restatements["restatements"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 1);
    // Only a replica that did not answer in time is passed over, and that is counted.
    let after = counts().await;
    assert!(after.1 > replica);
    assert_eq!(after.0 + after.1, primary + replica + 22.0);
    assert_eq!(after.0 - primary, after.2 - fallbacks);
    assert!(!shop.is_up(1).await && !shop.is_up(3).await);

    assert!(!shop.orders(0).await.by_replica);
    assert_eq!(shop.app.metric(FROM_PRIMARY).await, after.0 + 1.0);
    for seconds in ["-1", "3601"] {
        let query = sales(0).replace("maxStaleness: 0", &format!("maxStaleness: {seconds}"));
        assert_eq!(shop.app.code(&query).await, "invalid_staleness");
    }
}

async fn no_answer_claims_more_than_the_replica_has(shop: &mut Shop) {
    for n in 0..20 {
        match n % 10 {
            0 => shop.on_standby("SELECT pg_wal_replay_pause()").await,
            5 => shop.on_standby("SELECT pg_wal_replay_resume()").await,
            _ => {}
        }
        shop.sell().await;
        shop.orders(3_600).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shop.until_replica_has_all().await;

    let had = shop.sold.len();
    shop.on_standby("SELECT pg_wal_replay_pause()").await;
    until("paused", async || {
        let url = shop.app.db.url_on(&shop.servers.standby());
        let mut standby = PgConnection::connect(&url).await.unwrap();
        let state = sqlx::query_scalar("SELECT pg_get_wal_replay_pause_state()");
        let state: String = state.fetch_one(&mut standby).await.unwrap();
        state == "paused"
    })
    .await;
    shop.sell().await;
    let sold = shop.sold[had];
    // Sooner or later what it has is older than a second.
    until("too old", async || {
        let (patient, hasty) = (shop.orders(3_600).await, shop.orders(1).await);
        for answer in [&patient, &hasty] {
            let expected = if answer.by_replica { had } else { had + 1 };
            assert_eq!(answer.orders, expected);
            assert_eq!(answer.as_of < sold, answer.by_replica);
        }
        patient.by_replica && !hasty.by_replica
    })
    .await;
    assert!(shop.is_up(2).await);
    shop.on_standby("SELECT pg_wal_replay_resume()").await;
    shop.until_replica_has_all().await;
}

/// Holds back whoever asks a table, on both servers, until the connection ends.
async fn lock(shop: &Shop, table: &str) -> PgConnection {
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

async fn a_conflict_with_what_is_replayed_ends_in_an_answer_of_the_primary(shop: &mut Shop) {
    let conflict = r#"tidewater_replica_fallbacks_total{reason="conflict"}"#;
    let before = shop.app.metric(conflict).await;
    let of_purchase = lock(shop, "purchase").await;
    let query = sales(3_600).replace("{ orders }", "{ orders buyers }");
    let asking = shop.ask_and_wait(&query).await;
    // It has read this one, and may not hold up what is replayed.
    let of_sales = lock(shop, "sales_minute").await;
    until("in conflict", async || {
        shop.app.metric(conflict).await > before
    })
    .await;
    drop((of_purchase, of_sales));
    assert_eq!(
        asking.await.unwrap()["data"]["sales"]["totals"],
        json!({"orders": shop.sold.len(), "buyers": 1})
    );
    shop.sell().await;
    shop.until_replica_has_all().await;
}

async fn who_goes_away_takes_the_question_from_the_replica_too(shop: &mut Shop) {
    let url = shop.app.db.url_on(&shop.servers.standby());
    let mut standby = PgConnection::connect(&url).await.unwrap();
    let holder = lock(shop, "sales_minute").await;
    let asking = shop.ask_and_wait(&sales(3_600)).await;
    asking.abort();
    until_waiting(&mut standby, 0).await;
    drop(holder);
    shop.sell().await;
    shop.until_replica_has_all().await;
}

async fn a_replica_that_stops_is_missed_by_nobody(shop: &mut Shop) {
    let before = shop.app.metric(FALLBACKS).await;
    shop.servers.stop_standby();
    for _ in 0..10 {
        assert_eq!(shop.orders(3_600).await.orders, shop.sold.len());
    }
    assert_eq!(shop.app.metric(FALLBACKS).await, before + 10.0);
    until("down", async || !shop.is_up(2).await).await;
    shop.sell().await;
    assert_eq!(shop.orders(3_600).await.orders, shop.sold.len());
    shop.servers.start_standby().await;
    shop.until_replica_has_all().await;
}

async fn a_promoted_replica_is_asked_nothing(shop: &mut Shop) {
    shop.on_standby("SELECT pg_promote()").await;
    for _ in 0..10 {
        shop.sell().await;
        let answer = shop.orders(3_600).await;
        assert!(!answer.by_replica && answer.orders == shop.sold.len());
    }
    until("down", async || !shop.is_up(2).await).await;
}
