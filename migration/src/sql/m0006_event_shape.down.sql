DROP TABLE refund;
ALTER TABLE purchase DROP COLUMN order_id, DROP COLUMN bot;
DROP INDEX event_bloom;
CREATE INDEX event_user ON event (tenant_id, user_id, timestamp);

ALTER VIEW pageview RENAME TO pageview_view;
CREATE TABLE pageview (
    tenant_id   integer     NOT NULL,
    timestamp   timestamptz NOT NULL,
    event_id    uuid        NOT NULL,
    pageview_id uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    page_url    text        NOT NULL,
    region      text,
    PRIMARY KEY (tenant_id, timestamp, event_id, pageview_id)
) PARTITION BY RANGE (timestamp);
CREATE INDEX pageview_user ON pageview (tenant_id, user_id, timestamp);

DO $$
DECLARE part record;
BEGIN
    FOR part IN
        SELECT replace(child.relname, 'event_', 'pageview_') AS name,
               pg_get_expr(child.relpartbound, child.oid) AS bounds
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = 'event'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF pageview %s', part.name, part.bounds);
    END LOOP;
END $$;

INSERT INTO pageview
SELECT tenant_id, timestamp, event_id, pageview_id, user_id, page_url, region FROM pageview_view;
DROP VIEW pageview_view;
ALTER TABLE event DROP COLUMN page_url, DROP COLUMN user_agent_id, DROP COLUMN bot;
