-- What an hour, a day or a month of a tenant came to, made from the facts once it is over: sums and
-- sets of users, in parts by what they are of and told apart by. See docs/ARCHITECTURE.md.
CREATE TABLE summarised (
    tenant_id integer     NOT NULL,
    -- 0: an hour, 1: a day, 2: a month, of the tenant's zone.
    span      smallint    NOT NULL,
    start     timestamptz NOT NULL,
    finish    timestamptz NOT NULL,
    -- The last change that is in it: where an hour of it changed later, it does not count.
    change    bigint      NOT NULL,
    -- What of the events, and of the orders and refunds among them, came late, and what bots did.
    late_events bigint    NOT NULL,
    late_orders bigint    NOT NULL,
    bot_events  bigint    NOT NULL,
    bot_orders  bigint    NOT NULL,
    PRIMARY KEY (tenant_id, span, start)
);

CREATE TABLE summary (
    tenant_id integer     NOT NULL,
    span      smallint    NOT NULL,
    part      smallint    NOT NULL,
    start     timestamptz NOT NULL,
    -- See domain::summary for the format.
    cells     bytea       NOT NULL,
    PRIMARY KEY (tenant_id, span, part, start)
);
ALTER TABLE summary ALTER COLUMN cells SET STORAGE EXTERNAL;

-- The numbers that users have in sets: dense for each tenant.
CREATE TABLE user_number (
    tenant_id integer NOT NULL,
    user_id   uuid    NOT NULL,
    number    integer NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    UNIQUE (tenant_id, number)
);

-- In which change an id became somebody else's.
ALTER TABLE user_alias ADD COLUMN change bigint NOT NULL DEFAULT 0;
CREATE INDEX user_alias_change ON user_alias (tenant_id, change);
