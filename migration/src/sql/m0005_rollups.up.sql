-- What was sold, per minute of the events' own time, in three grains, because orders do not add
-- up over the lines of an order: 0 = order (category and product empty), 1 = category (product
-- empty), 2 = product. Absent values are empty strings, so that the key can be unique.
CREATE TABLE sales_minute (
    tenant_id  integer     NOT NULL,
    grain      smallint    NOT NULL,
    minute     timestamptz NOT NULL,
    currency   text        NOT NULL,
    region     text        NOT NULL,
    channel    text        NOT NULL,
    category   text        NOT NULL,
    product_id text        NOT NULL,
    orders     bigint      NOT NULL,
    units      bigint      NOT NULL,
    revenue    bigint      NOT NULL,
    PRIMARY KEY (tenant_id, grain, minute, currency, region, channel, category, product_id)
) PARTITION BY RANGE (minute);

-- What happened, per minute and type of event.
CREATE TABLE traffic_minute (
    tenant_id   integer     NOT NULL,
    minute      timestamptz NOT NULL,
    event_type  text        NOT NULL,
    events      bigint      NOT NULL,
    pageviews   bigint      NOT NULL,
    late_events bigint      NOT NULL,
    PRIMARY KEY (tenant_id, minute, event_type)
) PARTITION BY RANGE (minute);
