-- The rollups once more, per quarter of an hour: every time zone of today begins its hours and days
-- on one. What came late is told by the minutes alone.
CREATE TABLE sales_quarter (
    tenant_id  integer     NOT NULL,
    grain      smallint    NOT NULL,
    quarter    timestamptz NOT NULL,
    currency   text        NOT NULL,
    region     text        NOT NULL,
    channel    text        NOT NULL,
    category   text        NOT NULL,
    product_id text        NOT NULL,
    bot        boolean     NOT NULL,
    orders     bigint      NOT NULL,
    units      bigint      NOT NULL,
    revenue    bigint      NOT NULL,
    refunds    bigint      NOT NULL,
    PRIMARY KEY (tenant_id, grain, quarter, currency, region, channel, category, product_id, bot)
) WITH (fillfactor = 80);

INSERT INTO sales_quarter
SELECT tenant_id, grain, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), currency, region,
       channel, category, product_id, bot, sum(orders), sum(units), sum(revenue), sum(refunds)
FROM sales_minute
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

CREATE TABLE traffic_quarter (
    tenant_id  integer     NOT NULL,
    quarter    timestamptz NOT NULL,
    event_type text        NOT NULL,
    bot        boolean     NOT NULL,
    events     bigint      NOT NULL,
    pageviews  bigint      NOT NULL,
    PRIMARY KEY (tenant_id, quarter, event_type, bot)
) WITH (fillfactor = 80);

INSERT INTO traffic_quarter
SELECT tenant_id, date_bin('15 minutes', minute, '2000-01-01 00:00:00Z'), event_type, bot,
       sum(events), sum(pageviews)
FROM traffic_minute
GROUP BY 1, 2, 3, 4;

-- Nothing looks for links by it.
DROP INDEX user_link_user;
