-- Lists and numbers that are written to a file behind the requests. A row is first a job and then a
-- file; `attempt` tells what one process writes from what another wrote that died.
CREATE TABLE export (
    export_id    uuid PRIMARY KEY,
    tenant_id    integer NOT NULL REFERENCES tenant,
    question     jsonb NOT NULL,
    -- 0 queued, 1 running, 2 done, 3 failed
    state        smallint NOT NULL DEFAULT 0,
    attempt      integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    rows         bigint NOT NULL DEFAULT 0,
    bytes        bigint NOT NULL DEFAULT 0,
    expected     bigint,
    error_code   text,
    token_hash   bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX export_tenant ON export (tenant_id, created_at DESC);
CREATE INDEX export_open ON export (created_at) WHERE state < 2;

-- The file, packed with gzip in pieces of at most 1 MiB that follow one another.
CREATE TABLE export_chunk (
    export_id uuid NOT NULL REFERENCES export ON DELETE CASCADE,
    attempt   integer NOT NULL,
    begins    bigint NOT NULL,
    content   bytea NOT NULL,
    PRIMARY KEY (export_id, attempt, begins)
);
-- It is packed already.
ALTER TABLE export_chunk ALTER COLUMN content SET STORAGE EXTERNAL;
