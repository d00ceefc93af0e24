//! What must hold in every database, whatever was sent, refused, killed or replayed.

use sea_orm::sqlx;

use super::TestDb;

/// Rows of `sales_minute` that differ from what the purchases and refunds say, or that one of the
/// two lacks. A refund counts at its own time; an event is late that came more than five minutes
/// after it happened.
const WRONG_SALES: &str = "
    WITH fact AS (
        SELECT tenant_id, timestamp, event_id, currency, region, channel, category, product_id, bot,
               event_id AS order_event, quantity AS units, amount AS revenue, 0::bigint AS refunds
        FROM purchase
        UNION ALL
        SELECT tenant_id, timestamp, event_id, currency, region, channel, category, product_id, bot,
               NULL, 0, 0, amount
        FROM refund
    ), line AS (
        SELECT tenant_id, grain::smallint, date_trunc('minute', timestamp, 'UTC') AS minute,
               currency, coalesce(fact.region, '') AS region,
               coalesce(fact.channel, '') AS channel,
               CASE WHEN grain > 0 THEN category ELSE '' END AS category,
               CASE WHEN grain > 1 THEN product_id ELSE '' END AS product_id,
               fact.bot, order_event, units, revenue, refunds,
               coalesce(received_at - timestamp > interval '5 minutes', false) AS late
        FROM generate_series(0, 2) AS grain, fact
        LEFT JOIN event USING (tenant_id, timestamp, event_id)
    ), expected AS (
        SELECT tenant_id, grain, minute, currency, region, channel, category, product_id,
               count(DISTINCT order_event) AS orders, sum(units) AS units, sum(revenue) AS revenue,
               bot, sum(refunds) AS refunds,
               count(DISTINCT order_event) FILTER (WHERE late) AS late_orders,
               coalesce(sum(units) FILTER (WHERE late), 0) AS late_units,
               coalesce(sum(revenue) FILTER (WHERE late), 0) AS late_revenue,
               coalesce(sum(refunds) FILTER (WHERE late), 0) AS late_refunds
        FROM line
        GROUP BY tenant_id, grain, minute, currency, region, channel, category, product_id, bot
    ), known AS (
        SELECT tenant_id, grain, minute, currency, region, channel, category, product_id,
               orders, units, revenue, bot, refunds,
               late_orders, late_units, late_revenue, late_refunds
        FROM sales_minute
    )
    , quarters AS (
        SELECT tenant_id, grain, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z') AS quarter,
               currency, region, channel, category, product_id, bot,
               sum(orders), sum(units), sum(revenue), sum(refunds)
        FROM expected
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    )
    SELECT (SELECT count(*) FROM (TABLE expected EXCEPT TABLE known) AS missing)
         + (SELECT count(*) FROM (TABLE known EXCEPT TABLE expected) AS invented)
         + (SELECT count(*) FROM (TABLE quarters EXCEPT TABLE sales_quarter) AS missing)
         + (SELECT count(*) FROM (TABLE sales_quarter EXCEPT TABLE quarters) AS invented)";

/// The same for `traffic_minute`, `user_day` and `watermark`, and the events.
const WRONG_TRAFFIC: &str = "
    WITH happened AS (
        SELECT *, received_at - timestamp > interval '5 minutes' AS late FROM event
    ), traffic AS (
        SELECT tenant_id, date_trunc('minute', timestamp, 'UTC'), event_type, bot, count(*),
               count(page_url), count(*) FILTER (WHERE late),
               max(received_at) FILTER (WHERE late)
        FROM happened
        GROUP BY 1, 2, 3, 4
    ), known_traffic AS (
        SELECT tenant_id, minute, event_type, bot, events, pageviews, late_events, restated_at
        FROM traffic_minute
    ), days AS (
        SELECT tenant_id, (timestamp AT TIME ZONE timezone)::date, user_id,
               bit_or(CASE WHEN bot THEN 128
                           ELSE 1 + (page_url IS NOT NULL)::int * 2
                                  + (event_type = 'purchase')::int * 4 END)
        FROM event JOIN tenant USING (tenant_id)
        GROUP BY 1, 2, 3
    ), marks AS (
        SELECT tenant_id, max(timestamp), max(received_at) FROM event GROUP BY 1
    )
    , quarters AS (
        SELECT tenant_id, date_bin('15 minutes', timestamp, '2000-01-01 00:00:00Z'), event_type,
               bot, count(*), count(page_url)
        FROM event
        GROUP BY 1, 2, 3, 4
    )
    SELECT (SELECT count(*) FROM (TABLE traffic EXCEPT TABLE known_traffic) AS missing)
         + (SELECT count(*) FROM (TABLE quarters EXCEPT TABLE traffic_quarter) AS missing)
         + (SELECT count(*) FROM (TABLE traffic_quarter EXCEPT TABLE quarters) AS invented)
         + (SELECT count(*) FROM (TABLE known_traffic EXCEPT TABLE traffic) AS invented)
         + (SELECT count(*) FROM (TABLE days EXCEPT TABLE user_day) AS missing)
         + (SELECT count(*) FROM (TABLE user_day EXCEPT TABLE days) AS invented)
         + (SELECT count(*) FROM (TABLE marks EXCEPT TABLE watermark) AS missing)
         + (SELECT count(*) FROM (TABLE watermark EXCEPT TABLE marks) AS invented)";

/// Rows without the row that they belong to, or at odds with it.
const ORPHANS: &str = r#"
    SELECT (SELECT count(*) FROM event LEFT JOIN "user" AS known USING (tenant_id, user_id)
            WHERE known.user_id IS NULL)
         + (SELECT count(*) FROM purchase LEFT JOIN event AS its
                USING (tenant_id, timestamp, event_id, user_id, bot)
            WHERE its.event_type IS DISTINCT FROM 'purchase')
         + (SELECT count(*) FROM refund LEFT JOIN event AS its
                USING (tenant_id, timestamp, event_id, user_id, bot)
            WHERE its.event_type IS DISTINCT FROM 'refund')
         + (SELECT count(*) FROM event
                LEFT JOIN purchase USING (tenant_id, timestamp, event_id)
                LEFT JOIN refund USING (tenant_id, timestamp, event_id)
            WHERE (event_type = 'purchase') <> (purchase_id IS NOT NULL)
               OR (event_type = 'refund') <> (refund_id IS NOT NULL)
               OR (event_type = 'pageview') <> (page_url IS NOT NULL))
         + (SELECT count(*) FROM event LEFT JOIN event_type USING (tenant_id, event_type)
            WHERE event_type.first_seen IS NULL)
         + (SELECT count(*) FROM event LEFT JOIN user_agent USING (tenant_id, user_agent_id)
            WHERE event.user_agent_id IS NOT NULL AND user_agent IS NULL)"#;

/// Events that the log of ids does not have exactly once, and ids in it that no event has. An entry
/// is a tenant (4 bytes), an id (16 bytes) and a digest (8 bytes).
const WRONG_IDS: &str = "
    WITH piece AS (
        SELECT entries FROM idempotency_segment UNION ALL SELECT entries FROM idempotency_page
    ), claim AS (
        SELECT substring(entries FROM n FOR 20) AS key, count(*) AS times
        FROM piece, generate_series(1, length(entries), 28) AS n
        GROUP BY 1
    ), stored AS (
        SELECT int4send(tenant_id) || uuid_send(event_id) AS key FROM event
    )
    SELECT (SELECT count(*) FROM stored FULL JOIN claim USING (key)
            WHERE times IS DISTINCT FROM 1 OR stored.key IS NULL)
         + (SELECT count(*) FROM piece WHERE length(entries) % 28 <> 0)";

/// Ids that are stored more than once.
const TWICE: &str = "
    SELECT count(*) FROM (SELECT FROM event GROUP BY tenant_id, event_id HAVING count(*) > 1) AS id";

/// Every rollup row is the sum of its facts, every row has the rows that it belongs to, every
/// event's id is remembered once, and no event is stored twice.
pub async fn assert_consistent(db: &TestDb) {
    assert_eq!(
        inconsistencies(db).await,
        [0; 5],
        "wrong sums of sales, of traffic, orphans, ids remembered wrongly, events stored twice"
    );
}

async fn inconsistencies(db: &TestDb) -> [i64; 5] {
    [
        db.number(WRONG_SALES).await,
        db.number(WRONG_TRAFFIC).await,
        db.number(ORPHANS).await,
        db.number(WRONG_IDS).await,
        db.number(TWICE).await,
    ]
}

#[tokio::test]
async fn what_does_not_hold_is_found() {
    for (damage, expected) in [
        (
            "UPDATE sales_minute SET units = units + 1 WHERE grain = 1",
            [2, 0, 0, 0, 0],
        ),
        (
            "UPDATE sales_minute SET late_units = 0 WHERE grain = 0",
            [2, 0, 0, 0, 0],
        ),
        (
            "UPDATE sales_minute SET refunds = 1 WHERE grain = 0",
            [2, 0, 0, 0, 0],
        ),
        ("DELETE FROM traffic_minute", [0, 1, 0, 0, 0]),
        (
            "UPDATE traffic_minute SET restated_at = NULL",
            [0, 2, 0, 0, 0],
        ),
        ("UPDATE user_day SET activity = 1", [0, 2, 0, 0, 0]),
        ("DELETE FROM watermark", [0, 1, 0, 0, 0]),
        (r#"DELETE FROM "user""#, [0, 0, 1, 0, 0]),
        ("DELETE FROM event_type", [0, 0, 1, 0, 0]),
        ("DELETE FROM idempotency_segment", [0, 0, 0, 1, 0]),
        (
            "UPDATE idempotency_segment SET entries = entries || entries",
            [0, 0, 0, 1, 0],
        ),
        (
            "UPDATE purchase SET bot = true WHERE product_id = 'tea'",
            [16, 0, 1, 0, 0],
        ),
        (
            "DELETE FROM purchase WHERE product_id = 'tea'",
            [10, 0, 0, 0, 0],
        ),
        ("DELETE FROM event", [8, 4, 2, 1, 0]),
        (
            "UPDATE sales_quarter SET refunds = 1 WHERE grain = 0",
            [2, 0, 0, 0, 0],
        ),
        ("DELETE FROM traffic_quarter", [0, 1, 0, 0, 0]),
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
