-- No foreign keys between the facts: a trigger per row would double the cost of a row. The one
-- writer makes an event, its user and its details in one transaction. See docs/ARCHITECTURE.md.

CREATE TABLE "user" (
    tenant_id   integer     NOT NULL REFERENCES tenant,
    -- Name-based on (tenant, kind, external_id): ingest knows it without a look-up.
    user_id     uuid        NOT NULL,
    external_id text        NOT NULL,
    anonymous   boolean     NOT NULL,
    username    text,
    email       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);

-- The timestamp leads the key, so that inserts go to the end of the index whatever ids senders
-- use; the same key pages the events in time order.
CREATE TABLE event (
    tenant_id   integer     NOT NULL,
    timestamp   timestamptz NOT NULL,
    event_id    uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    event_type  text        NOT NULL,
    session_id  text,
    region      text,
    channel     text,
    campaign    text,
    received_at timestamptz NOT NULL,
    data        jsonb       NOT NULL,
    PRIMARY KEY (tenant_id, timestamp, event_id)
) PARTITION BY RANGE (timestamp);

-- One user's timeline.
CREATE INDEX event_user ON event (tenant_id, user_id, timestamp);

-- A pageview shares its event's timestamp: they lie in partitions of the same month, and the
-- details of an event are a prefix of the key.
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

-- One user's pageviews.
CREATE INDEX pageview_user ON pageview (tenant_id, user_id, timestamp);

CREATE TABLE purchase (
    tenant_id   integer     NOT NULL,
    timestamp   timestamptz NOT NULL,
    event_id    uuid        NOT NULL,
    purchase_id uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    product_id  text        NOT NULL,
    quantity    integer     NOT NULL CHECK (quantity > 0),
    -- The line's total in minor units of the currency.
    amount      bigint      NOT NULL CHECK (amount >= 0),
    currency    text        NOT NULL,
    -- The product's category as it was catalogued when the purchase was stored.
    category    text        NOT NULL,
    region      text,
    channel     text,
    PRIMARY KEY (tenant_id, timestamp, event_id, purchase_id)
) PARTITION BY RANGE (timestamp);

-- One user's orders; one product's buyers.
CREATE INDEX purchase_user ON purchase (tenant_id, user_id, timestamp);
CREATE INDEX purchase_product ON purchase (tenant_id, product_id, timestamp);
