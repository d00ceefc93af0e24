-- Who did what. Entries are chained: each one's hash is over all that it says and the hash of the
-- one before it. Nothing here can be changed or taken away by a statement.
CREATE TABLE audit (
    entry_id  bigint      PRIMARY KEY,
    at        timestamptz NOT NULL,
    -- Of whose; null of what is the server's.
    tenant_id integer,
    actor     text        NOT NULL,
    -- Where the request came from, truncated.
    address   text,
    action    text        NOT NULL,
    subject   text        NOT NULL,
    -- JSON, as text: the hash is over its bytes.
    details   text        NOT NULL,
    previous  bytea       NOT NULL,
    hash      bytea       NOT NULL
);

CREATE INDEX audit_tenant ON audit (tenant_id, entry_id);

-- The last entry: who appends holds this row until it commits, and what is cut off is missed.
CREATE TABLE audit_head (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    entry_id bigint  NOT NULL DEFAULT 0,
    hash     bytea   NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000'
);

INSERT INTO audit_head DEFAULT VALUES;

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only appended to';
END $$;

CREATE TRIGGER audit_is_kept
    BEFORE UPDATE OR DELETE OR TRUNCATE
    ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
