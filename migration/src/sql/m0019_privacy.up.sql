-- Requests to take a person out of everything that is kept. While one is worked on, the row names
-- the person; when it is done, a keyed hash is left and what was there before and after.
CREATE TABLE erasure (
    erasure_id   uuid        PRIMARY KEY,
    tenant_id    integer     NOT NULL REFERENCES tenant,
    mode         text        NOT NULL CHECK (mode IN ('delete', 'anonymise')),
    -- Of which facts; nothing: of all, and of the person themselves.
    range_from   timestamptz,
    range_to     timestamptz,
    requested_at timestamptz NOT NULL,
    -- Which key, or the command line.
    requested_by text        NOT NULL,
    -- Of the canonical id: see `erased_user`.
    subject      bytea       NOT NULL,
    -- All ids, and the words by which texts name the person: cleared when it is done, as is what
    -- takes the place of their ids.
    user_ids     uuid[],
    words        text[],
    new_id       uuid,
    salt         bytea,
    -- The programs that they used, and the months in which they did something.
    agents       bigint[]    NOT NULL DEFAULT '{}',
    months       date[]      NOT NULL DEFAULT '{}',
    -- How many steps are done.
    step         smallint    NOT NULL DEFAULT 0,
    waits_for    text,
    -- Of each kind of rows how many there were, and are.
    counts       jsonb       NOT NULL DEFAULT '{}',
    -- What was received or happened before this moment is gone and does not come back.
    erased_at    timestamptz NOT NULL,
    finished_at  timestamptz
);

-- The planner quotes what it samples: of these it samples nothing.
ALTER TABLE erasure
    ALTER COLUMN user_ids SET STATISTICS 0,
    ALTER COLUMN words SET STATISTICS 0,
    ALTER COLUMN new_id SET STATISTICS 0,
    ALTER COLUMN salt SET STATISTICS 0;

CREATE INDEX erasure_tenant ON erasure (tenant_id, requested_at DESC);
CREATE INDEX erasure_open ON erasure (requested_at) WHERE finished_at IS NULL;

-- Whose facts of before a moment are not stored again, by whichever way they come: a hash of tenant
-- and user, keyed by `installation.erasure_key`.
CREATE TABLE erased_user (
    tenant_id  integer     NOT NULL,
    subject    bytea       NOT NULL,
    erasure_id uuid        NOT NULL REFERENCES erasure,
    until      timestamptz NOT NULL,
    range_from timestamptz,
    range_to   timestamptz,
    -- The change that wrote it, so that processes read what is new alone.
    number     bigint      NOT NULL,
    PRIMARY KEY (tenant_id, subject, erasure_id)
);

CREATE INDEX erased_user_number ON erased_user (number);

ALTER TABLE installation
    ADD COLUMN erasure_key bytea NOT NULL
        DEFAULT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- How many erasures are done: processes forget all kept answers when it grows.
ALTER TABLE idempotency_head ADD COLUMN erasures bigint NOT NULL DEFAULT 0;

-- What a tenant decided about people's data. What is absent is as the server is set.
CREATE TABLE privacy_policy (
    tenant_id       integer     PRIMARY KEY REFERENCES tenant,
    ip_addresses    text        CHECK (ip_addresses IN ('full', 'truncated', 'dropped')),
    events_days     integer     CHECK (events_days > 0),
    quarantine_days integer     CHECK (quarantine_days > 0),
    receipts_days   integer     CHECK (receipts_days > 0),
    exports_hours   integer     CHECK (exports_hours > 0),
    -- Events of before it are gone.
    kept_from       timestamptz,
    updated_at      timestamptz NOT NULL
);
