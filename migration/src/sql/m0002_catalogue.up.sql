CREATE TABLE product (
    tenant_id      integer     NOT NULL REFERENCES tenant,
    -- The shop's own id (sku): purchases carry it, also before the catalogue knows it.
    product_id     text        NOT NULL,
    title          text        NOT NULL,
    description    text        NOT NULL DEFAULT '',
    -- The path joined by ' > ', as in 'Kitchen > Coffee'; empty when uncategorised.
    category       text        NOT NULL DEFAULT '',
    price          bigint,
    currency       text,
    stock          integer,
    lead_time_days integer,
    attributes     jsonb       NOT NULL DEFAULT '{}',
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, product_id)
);

-- The products of one category, paged by id.
CREATE INDEX product_category ON product (tenant_id, category, product_id);
