//! Reports that may be some seconds old come from a replica, and say how old they are.

#![allow(clippy::float_cmp, reason = "the metrics are whole numbers")]

use std::time::Duration;

use sea_orm::sqlx::{self, Connection, PgConnection};
use serde_json::json;

use crate::cancellation::until_waiting;

mod shop;

use shop::{FALLBACKS, FROM_PRIMARY, FROM_REPLICA, Shop, lock, sales, until};

/// One pair of servers for all of it: they take longer to make than to test.
#[tokio::test]
async fn reports_that_may_be_old_come_from_a_replica_that_is_young_enough() {
    let mut shop = Shop::open().await;
    what_may_be_old_is_read_from_the_replica(&mut shop).await;
    no_answer_claims_more_than_the_replica_has(&mut shop).await;
    a_conflict_with_what_is_replayed_ends_in_an_answer_of_the_primary(&mut shop).await;
    who_goes_away_takes_the_question_from_the_replica_too(&mut shop).await;
    a_replica_that_stops_is_missed_by_nobody(&mut shop).await;
    while_the_primary_is_away_a_replica_answers(&mut shop).await;
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

async fn a_conflict_with_what_is_replayed_ends_in_an_answer_of_the_primary(shop: &mut Shop) {
    for tries in 1.. {
        if is_answered_after_a_conflict(shop).await {
            break;
        }
        assert!(tries < 5, "never in conflict");
    }
    shop.sell().await;
    shop.until_replica_has_all().await;
}

/// Whether a question got into a conflict on the replica, and was answered: a job of the server that
/// reads the same tables may come between.
async fn is_answered_after_a_conflict(shop: &Shop) -> bool {
    let conflict = r#"tidewater_replica_fallbacks_total{reason="conflict"}"#;
    let before = shop.app.metric(conflict).await;
    let of_traffic = lock(shop, "traffic_minute").await;
    // Of bots nothing is summed up: this is read from the table that is locked next.
    let query = sales(3_600).replace("maxStaleness", "includeBots: true, maxStaleness");
    let asking = shop.ask_and_wait(&query).await;
    // It has read this one, and may not hold up what is replayed.
    let patience = Duration::from_secs(5);
    let locking = tokio::time::timeout(patience, lock(shop, "sales_quarter"));
    let Ok(of_sales) = locking.await else {
        asking.abort();
        return false;
    };
    let conflicting = tokio::time::timeout(patience, async {
        while shop.app.metric(conflict).await <= before {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let is_in_conflict = conflicting.await.is_ok();
    drop((of_traffic, of_sales));
    assert_eq!(
        asking.await.unwrap()["data"]["sales"]["totals"],
        json!({"orders": shop.sold.len()})
    );
    is_in_conflict
}

async fn who_goes_away_takes_the_question_from_the_replica_too(shop: &mut Shop) {
    let url = shop.app.db.url_on(&shop.servers.standby());
    let mut standby = PgConnection::connect(&url).await.unwrap();
    let holder = lock(shop, "sales_quarter").await;
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

async fn while_the_primary_is_away_a_replica_answers(shop: &mut Shop) {
    shop.servers.stop_primary();
    until("answered", async || {
        let answer = shop.app.ask(&sales(3_600)).await;
        answer["data"]["sales"]["totals"]["orders"] == shop.sold.len()
    })
    .await;
    assert_eq!(shop.app.code(&sales(0)).await, "unavailable");
    shop.servers.start_primary().await;
    until("ready", async || {
        shop.app.get("/readyz").await.0.is_success()
    })
    .await;
    until("primary answers", async || {
        shop.app.ask(&sales(0)).await.get("errors").is_none()
    })
    .await;
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
