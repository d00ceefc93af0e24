-- The types of events that a tenant has used: their number is bounded.
CREATE TABLE event_type (
    tenant_id  integer     NOT NULL,
    event_type text        NOT NULL,
    first_seen timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
);

INSERT INTO event_type
SELECT tenant_id, event_type, min(minute) FROM traffic_minute GROUP BY 1, 2;

-- What the properties of a type must look like.
CREATE TABLE event_schema (
    tenant_id  integer     NOT NULL REFERENCES tenant,
    event_type text        NOT NULL,
    schema     jsonb       NOT NULL,
    mode       text        NOT NULL CHECK (mode IN ('off', 'warn', 'enforce')),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
);

-- What users' programs call themselves, each once; the id is a hash of the text.
CREATE TABLE user_agent (
    tenant_id     integer NOT NULL,
    user_agent_id bigint  NOT NULL,
    user_agent    text    NOT NULL,
    bot           boolean NOT NULL,
    PRIMARY KEY (tenant_id, user_agent_id)
);

-- Events that cannot be stored as they are, kept as they were sent.
CREATE TABLE quarantine (
    tenant_id     integer     NOT NULL,
    -- Follows from what was sent: the same sent again is the same row.
    quarantine_id uuid        NOT NULL,
    received_at   timestamptz NOT NULL,
    batch_id      uuid        NOT NULL,
    -- How the payload is to be read: 'native', 'segment' or 'posthog'.
    protocol      text        NOT NULL,
    event_id      uuid,
    event_type    text,
    -- Why: a code, the field, and the same in words.
    code          text        NOT NULL,
    path          text        NOT NULL,
    message       text        NOT NULL,
    -- The event's JSON.
    payload       text        NOT NULL,
    state         text        NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'replayed', 'discarded')),
    state_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, quarantine_id)
);

-- Paged from the newest; what is past its retention is at the other end.
CREATE INDEX quarantine_time ON quarantine (tenant_id, received_at, quarantine_id);

-- What became of a batch: a row for each transaction that stored a part of it.
CREATE TABLE receipt (
    tenant_id   integer     NOT NULL,
    -- Version 7: begins with the time of receipt, which the table is partitioned by.
    batch_id    uuid        NOT NULL,
    part        integer     NOT NULL,
    received_at timestamptz NOT NULL,
    -- Of each event, one after the other: its id (16 bytes) and its outcome (1 byte).
    outcomes    bytea       NOT NULL,
    -- Of those that need more words: position, code, path and message.
    notes       jsonb       NOT NULL,
    PRIMARY KEY (batch_id, part)
) PARTITION BY RANGE (batch_id);
ALTER TABLE receipt ALTER COLUMN outcomes SET STORAGE EXTERNAL;
