-- What bots did is told apart, refunds are summed beside revenue, and what came after its bucket
-- was closed is summed on its own: the row without it is what the bucket said before.
ALTER TABLE sales_minute
    ADD COLUMN bot          boolean NOT NULL DEFAULT false,
    ADD COLUMN refunds      bigint  NOT NULL DEFAULT 0,
    ADD COLUMN late_orders  bigint  NOT NULL DEFAULT 0,
    ADD COLUMN late_units   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN late_revenue bigint  NOT NULL DEFAULT 0,
    ADD COLUMN late_refunds bigint  NOT NULL DEFAULT 0,
    DROP CONSTRAINT sales_minute_pkey,
    ADD PRIMARY KEY (tenant_id, grain, minute, currency, region, channel, category, product_id, bot);

ALTER TABLE traffic_minute
    ADD COLUMN bot          boolean NOT NULL DEFAULT false,
    -- When the newest late event was received.
    ADD COLUMN restated_at  timestamptz,
    DROP CONSTRAINT traffic_minute_pkey,
    ADD PRIMARY KEY (tenant_id, minute, event_type, bot);

-- Who was there, per day of the tenant's time zone.
CREATE TABLE user_day (
    tenant_id integer  NOT NULL,
    day       date     NOT NULL,
    user_id   uuid     NOT NULL,
    -- A sum of 1: did something, 2: viewed a page, 4: bought; 128: did something as a bot, which
    -- the others leave out.
    activity  smallint NOT NULL,
    PRIMARY KEY (tenant_id, day, user_id)
) PARTITION BY RANGE (day);

DO $$
DECLARE span record;
BEGIN
    FOR span IN
        SELECT DISTINCT
            CASE WHEN day >= '2020-01-01' THEN date_trunc('month', day)
                 ELSE date_trunc('year', day) END::date AS first,
            CASE WHEN day >= '2020-01-01' THEN date_trunc('month', day) + interval '1 month'
                 ELSE date_trunc('year', day) + interval '1 year' END::date AS next,
            to_char(day, CASE WHEN day >= '2020-01-01' THEN 'YYYY_MM' ELSE 'YYYY' END) AS name
        FROM (SELECT DISTINCT (minute AT TIME ZONE timezone)::date AS day
              FROM traffic_minute JOIN tenant USING (tenant_id)) AS known
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF user_day FOR VALUES FROM (%L) TO (%L)',
                       'user_day_' || span.name, span.first, span.next);
    END LOOP;
END $$;

INSERT INTO user_day
SELECT tenant_id, (timestamp AT TIME ZONE timezone)::date, user_id,
       bit_or(1 | CASE WHEN page_url IS NOT NULL THEN 2 ELSE 0 END
                | CASE WHEN event_type = 'purchase' THEN 4 ELSE 0 END)
FROM event JOIN tenant USING (tenant_id)
GROUP BY 1, 2, 3;

-- How far the events of a tenant have come.
CREATE TABLE watermark (
    tenant_id  integer     PRIMARY KEY REFERENCES tenant,
    -- The latest time of an event that is stored.
    event_time timestamptz NOT NULL,
    -- When the newest event was received.
    received_at timestamptz NOT NULL
);

INSERT INTO watermark
SELECT tenant_id, max(timestamp), max(received_at) FROM event GROUP BY tenant_id;
