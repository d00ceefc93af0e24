-- A pageview is its event: one row instead of two. The table becomes a view of the events that
-- have a page, with the same columns.
ALTER TABLE event
    ADD COLUMN page_url      text,
    -- What the user's program calls itself: a row of user_agent.
    ADD COLUMN user_agent_id bigint,
    ADD COLUMN bot           boolean NOT NULL DEFAULT false;

UPDATE event SET page_url = pageview.page_url
FROM pageview
WHERE (pageview.tenant_id, pageview.timestamp, pageview.event_id)
    = (event.tenant_id, event.timestamp, event.event_id);

DROP TABLE pageview;

CREATE VIEW pageview AS
SELECT tenant_id, timestamp, event_id, event_id AS pageview_id, user_id, page_url, region, bot
FROM event
WHERE page_url IS NOT NULL;

-- No index of the open month takes an insert per row but the key. A Bloom filter for each 256 kB
-- finds one user's events, or an event by its id, at a thousandth of the table's size.
DROP INDEX event_user;
CREATE INDEX event_bloom ON event
USING brin (user_id uuid_bloom_ops (n_distinct_per_range = 1000),
            event_id uuid_bloom_ops (n_distinct_per_range = 1000))
WITH (pages_per_range = 32, autosummarize = on);

ALTER TABLE purchase
    ADD COLUMN order_id text,
    ADD COLUMN bot      boolean NOT NULL DEFAULT false;

-- What was paid back, line by line, at the time of paying back.
CREATE TABLE refund (
    tenant_id  integer     NOT NULL,
    timestamp  timestamptz NOT NULL,
    event_id   uuid        NOT NULL,
    refund_id  uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    order_id   text,
    -- Empty, with quantity 0, where the refund names no product.
    product_id text        NOT NULL,
    quantity   integer     NOT NULL CHECK (quantity >= 0),
    -- In minor units of the currency.
    amount     bigint      NOT NULL CHECK (amount >= 0),
    currency   text        NOT NULL,
    category   text        NOT NULL,
    region     text,
    channel    text,
    bot        boolean     NOT NULL,
    PRIMARY KEY (tenant_id, timestamp, event_id, refund_id)
) PARTITION BY RANGE (timestamp);

CREATE INDEX refund_user ON refund (tenant_id, user_id, timestamp);

-- The partitions that the other facts have.
DO $$
DECLARE part record;
BEGIN
    FOR part IN
        SELECT replace(child.relname, 'event_', 'refund_') AS name,
               pg_get_expr(child.relpartbound, child.oid) AS bounds
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = 'event'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF refund %s', part.name, part.bounds);
    END LOOP;
END $$;
