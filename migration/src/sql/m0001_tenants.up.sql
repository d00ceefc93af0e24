-- Names this database among those that share a Redis.
CREATE TABLE installation (
    single          boolean PRIMARY KEY DEFAULT true CHECK (single),
    installation_id uuid    NOT NULL DEFAULT gen_random_uuid()
);

INSERT INTO installation DEFAULT VALUES;

CREATE TABLE tenant (
    tenant_id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name               text        NOT NULL UNIQUE,
    reporting_currency text        NOT NULL DEFAULT 'USD',
    timezone           text        NOT NULL DEFAULT 'UTC',
    created_at         timestamptz NOT NULL DEFAULT now()
);

INSERT INTO tenant (name) VALUES ('default');

CREATE TABLE api_key (
    api_key_id uuid        PRIMARY KEY,
    tenant_id  integer     NOT NULL REFERENCES tenant,
    label      text        NOT NULL,
    scopes     text[]      NOT NULL,
    -- What a list may show of the secret: its first characters.
    prefix     text        NOT NULL,
    -- SHA-256 of the secret; the secret itself is never stored. UNIQUE serves the look-up.
    key_hash   bytea       NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
