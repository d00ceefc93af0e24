DROP TABLE watermark;
DROP TABLE user_day;

-- One row again for bots and others.
CREATE TEMPORARY TABLE traffic_whole ON COMMIT DROP AS
SELECT tenant_id, minute, event_type, sum(events)::bigint AS events,
       sum(pageviews)::bigint AS pageviews, sum(late_events)::bigint AS late_events
FROM traffic_minute GROUP BY 1, 2, 3;
TRUNCATE traffic_minute;
ALTER TABLE traffic_minute
    DROP CONSTRAINT traffic_minute_pkey,
    DROP COLUMN bot,
    DROP COLUMN restated_at,
    ADD PRIMARY KEY (tenant_id, minute, event_type);
INSERT INTO traffic_minute (tenant_id, minute, event_type, events, pageviews, late_events)
TABLE traffic_whole;

CREATE TEMPORARY TABLE sales_whole ON COMMIT DROP AS
SELECT tenant_id, grain, minute, currency, region, channel, category, product_id,
       sum(orders)::bigint AS orders, sum(units)::bigint AS units, sum(revenue)::bigint AS revenue
FROM sales_minute GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
TRUNCATE sales_minute;
ALTER TABLE sales_minute
    DROP CONSTRAINT sales_minute_pkey,
    DROP COLUMN bot,
    DROP COLUMN refunds,
    DROP COLUMN late_orders,
    DROP COLUMN late_units,
    DROP COLUMN late_revenue,
    DROP COLUMN late_refunds,
    ADD PRIMARY KEY (tenant_id, grain, minute, currency, region, channel, category, product_id);
INSERT INTO sales_minute (tenant_id, grain, minute, currency, region, channel, category, product_id,
                          orders, units, revenue)
TABLE sales_whole;
