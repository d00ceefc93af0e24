//! What must hold in every database, whatever was sent, refused, killed or replayed.

use sea_orm::sqlx;

use super::TestDb;

/// Rows of the rollups that differ from what the facts say, or that one of the two lacks.
const WRONG_ROLLUPS: &str = "
    WITH line AS (
        SELECT tenant_id, event_id, grain, date_trunc('minute', timestamp, 'UTC') AS minute,
               currency, coalesce(region, '') AS region, coalesce(channel, '') AS channel,
               CASE WHEN grain > 0 THEN category ELSE '' END AS category,
               CASE WHEN grain > 1 THEN product_id ELSE '' END AS product_id, quantity, amount
        FROM purchase, generate_series(0, 2) AS grain
    ), sales AS (
        SELECT tenant_id, grain, minute, currency, region, channel, category, product_id,
               count(DISTINCT event_id), sum(quantity), sum(amount)
        FROM line
        GROUP BY tenant_id, grain, minute, currency, region, channel, category, product_id
    ), traffic AS (
        SELECT tenant_id, date_trunc('minute', timestamp, 'UTC'), event_type, count(*),
               count(pageview_id),
               count(*) FILTER (WHERE received_at - timestamp > interval '5 minutes')
        FROM event LEFT JOIN pageview USING (tenant_id, timestamp, event_id)
        GROUP BY 1, 2, 3
    )
    SELECT (SELECT count(*) FROM (TABLE sales EXCEPT TABLE sales_minute) AS missing)
         + (SELECT count(*) FROM (TABLE sales_minute EXCEPT TABLE sales) AS invented)
         + (SELECT count(*) FROM (TABLE traffic EXCEPT TABLE traffic_minute) AS missing)
         + (SELECT count(*) FROM (TABLE traffic_minute EXCEPT TABLE traffic) AS invented)";

/// Rows without the row that they belong to.
const ORPHANS: &str = r#"
    SELECT (SELECT count(*) FROM event LEFT JOIN "user" AS known USING (tenant_id, user_id)
            WHERE known.user_id IS NULL)
         + (SELECT count(*) FROM purchase LEFT JOIN event AS its
                USING (tenant_id, timestamp, event_id, user_id)
            WHERE its.event_type IS DISTINCT FROM 'purchase')
         + (SELECT count(*) FROM pageview LEFT JOIN event AS its
                USING (tenant_id, timestamp, event_id, user_id)
            WHERE its.event_type IS DISTINCT FROM 'pageview')
         + (SELECT count(*) FROM event
                LEFT JOIN purchase USING (tenant_id, timestamp, event_id)
                LEFT JOIN pageview USING (tenant_id, timestamp, event_id)
            WHERE (event_type = 'purchase') <> (purchase_id IS NOT NULL)
               OR (event_type = 'pageview') <> (pageview_id IS NOT NULL))
         + (SELECT count(*) FROM event FULL JOIN idempotency_key AS claim
                USING (tenant_id, timestamp, event_id)
            WHERE event.user_id IS NULL OR claim.digest IS NULL)"#;

/// Ids that are stored more than once.
const TWICE: &str = "
    SELECT count(*) FROM (SELECT FROM event GROUP BY tenant_id, event_id HAVING count(*) > 1) AS id";

/// Every rollup row is the sum of its facts, every row has the rows that it belongs to, and no
/// event is stored twice.
pub async fn assert_consistent(db: &TestDb) {
    assert_eq!(
        inconsistencies(db).await,
        [0; 3],
        "rollups that differ from the facts, orphans, events stored twice"
    );
}

async fn inconsistencies(db: &TestDb) -> [i64; 3] {
    [
        db.number(WRONG_ROLLUPS).await,
        db.number(ORPHANS).await,
        db.number(TWICE).await,
    ]
}

#[tokio::test]
async fn what_does_not_hold_is_found() {
    for (damage, expected) in [
        (
            "UPDATE sales_minute SET units = units + 1 WHERE grain = 1",
            [2, 0, 0],
        ),
        ("DELETE FROM traffic_minute", [1, 0, 0]),
        (r#"DELETE FROM "user""#, [0, 1, 0]),
        ("DELETE FROM idempotency_key", [0, 1, 0]),
        ("DELETE FROM purchase WHERE product_id = 'tea'", [5, 0, 0]),
        ("DELETE FROM event", [1, 3, 0]),
    ] {
        let app = super::TestApp::start().await;
        app.accept(&[super::Order::of("mug").and("tea", 1, "2").event()])
            .await;
        assert_consistent(&app.db).await;
        sqlx::raw_sql(damage)
            .execute(&mut app.db.connect().await)
            .await
            .unwrap();
        assert_eq!(inconsistencies(&app.db).await, expected, "{damage}");
    }
}
