-- The ids that senders have used, as a log: each transaction that stores events appends one row
-- with all its ids, under the lock of the one row of idempotency_head. Whoever holds the lock and
-- has read the log to its end knows every id of the window. See docs/ARCHITECTURE.md.
--
-- An entry is 28 bytes: tenant (4, big endian), id (16), digest of the content (8, big endian).
CREATE TABLE idempotency_head (
    single    boolean     PRIMARY KEY DEFAULT true CHECK (single),
    -- The newest segment.
    seq       bigint      NOT NULL DEFAULT 0,
    -- The open run: segments are appended to it until it is closed.
    run       integer     NOT NULL DEFAULT 0,
    entries   integer     NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idempotency_segment (
    seq     bigint  PRIMARY KEY,
    run     integer NOT NULL,
    entries bytea   NOT NULL
);
-- Ids do not compress.
ALTER TABLE idempotency_segment ALTER COLUMN entries SET STORAGE EXTERNAL;

-- A closed run whose segments were sorted into pages.
CREATE TABLE idempotency_run (
    run       integer     PRIMARY KEY,
    entries   integer     NOT NULL,
    closed_at timestamptz NOT NULL,
    -- Says of most ids that the run lacks them: a binary fuse filter of 16 bits an id.
    filter    bytea       NOT NULL
);
ALTER TABLE idempotency_run ALTER COLUMN filter SET STORAGE EXTERNAL;

CREATE TABLE idempotency_page (
    run       integer NOT NULL REFERENCES idempotency_run ON DELETE CASCADE,
    -- Tenant and id of the first entry.
    first_key bytea   NOT NULL,
    -- In the order of tenant and id.
    entries   bytea   NOT NULL,
    PRIMARY KEY (run, first_key)
);
ALTER TABLE idempotency_page ALTER COLUMN entries SET STORAGE PLAIN;

INSERT INTO idempotency_segment (seq, run, entries)
SELECT piece + 1, 0,
       string_agg(int4send(tenant_id) || uuid_send(event_id) || int8send(digest), ''::bytea)
FROM (SELECT *, (row_number() OVER () - 1) / 5000 AS piece FROM idempotency_key) AS known
GROUP BY piece;

INSERT INTO idempotency_head (seq, entries)
SELECT coalesce(max(seq), 0), coalesce(sum(length(entries) / 28), 0) FROM idempotency_segment;

DROP TABLE idempotency_period;
DROP TABLE idempotency_key;
