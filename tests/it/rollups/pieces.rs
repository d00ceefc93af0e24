//! Hours with much in them, days of other zones, and what is lost altogether.

use serde_json::json;

use super::{accept, changes, damage, history, rebuilt};
use crate::sales::later;
use crate::support::assert_consistent;

/// More in a quarter of an hour than is mended at once.
const CROWD: &str = "
    INSERT INTO event (tenant_id, timestamp, event_id, user_id, event_type, received_at, data,
                       page_url, bot)
    SELECT tenant_id, '2026-03-01 12:00Z'::timestamptz + interval '5 milliseconds' * n,
           gen_random_uuid(), md5((n % 100)::text)::uuid, 'pageview', '2026-03-01 13:00Z', '{}',
           '/', false
    FROM tenant, generate_series(1, 130000) AS n";

#[tokio::test]
async fn an_hour_with_many_facts_is_mended_piece_by_piece() {
    let app = later().await;
    accept(&app, &history(6, 200)).await;
    damage(&app.db, CROWD).await;
    let begun = changes(&app.db).await;
    rebuilt(&app.db, &["--from", "2026-03-01", "--to", "2026-03-02"]).await;
    // Each minute of the crowd was a piece, and so a change; and the days of users were one.
    assert_eq!(changes(&app.db).await, begun + 11 + 1);
    for (table, time) in [("traffic_minute", "minute"), ("traffic_quarter", "quarter")] {
        let count = format!(
            "SELECT sum(events)::bigint FROM {table}
             WHERE {time} >= '2026-03-01 12:00Z' AND {time} < '2026-03-01 13:00Z'"
        );
        let facts = "SELECT count(*) FROM event
                     WHERE timestamp >= '2026-03-01 12:00Z' AND timestamp < '2026-03-01 13:00Z'";
        assert_eq!(app.db.number(&count).await, app.db.number(facts).await);
    }
    let range = r#"range: {from: "2026-03-01T12:02:00Z", to: "2026-03-01T12:10:00Z"}"#;
    let query = format!("{{ traffic({range}) {{ totals {{ pageviews users }} }} }}");
    let traffic = app.data(&query).await["traffic"]["totals"].take();
    assert_eq!(traffic["users"], json!(100));
    assert!(
        traffic["pageviews"].as_i64().unwrap() >= 96_000,
        "{traffic}"
    );
}

#[tokio::test]
async fn rollups_that_are_lost_come_back_with_their_partitions() {
    let app = later().await;
    accept(&app, &history(7, 250)).await;
    damage(
        &app.db,
        "DROP TABLE sales_minute_2026_03, traffic_minute_2026_03, user_day_2026_03;
         TRUNCATE sales_minute, traffic_minute, sales_quarter, traffic_quarter, user_day",
    )
    .await;
    rebuilt(&app.db, &["--all"]).await;
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn days_of_users_follow_the_tenant_into_another_zone() {
    let app = later().await;
    accept(&app, &history(8, 200)).await;
    for zone in ["Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"] {
        damage(&app.db, "DELETE FROM sales_quarter").await;
        app.db
            .run(&format!("UPDATE tenant SET timezone = '{zone}'"))
            .await;
        rebuilt(&app.db, &["--all"]).await;
        assert_consistent(&app.db).await;
        let summary = rebuilt(&app.db, &["--all"]).await;
        assert!(summary.contains(" 0 rows differed"), "{summary}");
    }
}
