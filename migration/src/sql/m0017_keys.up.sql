-- What hashes of keys are made with where no secret is set: 244 random bits. And how many changes
-- of keys there were: whoever remembers keys looks here for what changed since.
ALTER TABLE installation
    ADD COLUMN secret       bytea  NOT NULL
        DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
    ADD COLUMN keys_changed bigint NOT NULL DEFAULT 0;

ALTER TABLE api_key
    -- 0 for servers, 1 for browsers: it may send events alone, and from its origins alone.
    ADD COLUMN kind              smallint    NOT NULL DEFAULT 0,
    ADD COLUMN expires_at        timestamptz,
    ADD COLUMN allowed_origins   text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN allowed_ips       text[]      NOT NULL DEFAULT '{}',
    -- Which rows it sees: {"categories": [], "regions": [], "products": []}; null for all.
    ADD COLUMN row_scope         jsonb,
    -- Its limits where they are not those of all.
    ADD COLUMN quota             jsonb,
    -- The hash of the secret before the last rotation, and until when that one opens, too.
    ADD COLUMN previous_hash     bytea       UNIQUE,
    ADD COLUMN previous_until    timestamptz,
    ADD COLUMN last_used_at      timestamptz,
    ADD COLUMN last_used_address text,
    -- In which change of keys it changed last.
    ADD COLUMN changed           bigint      NOT NULL DEFAULT 0;

CREATE INDEX api_key_changed ON api_key (changed);
CREATE INDEX api_key_tenant ON api_key (tenant_id, created_at);

-- The row of the installation is locked until the change commits: so numbers become visible in
-- their order, and none is missed by one who looks for what is newer than the last he saw.
CREATE FUNCTION api_key_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE installation SET keys_changed = keys_changed + 1 RETURNING keys_changed INTO NEW.changed;
    RETURN NEW;
END $$;

CREATE TRIGGER api_key_changes
    BEFORE UPDATE OF scopes, kind, expires_at, allowed_origins, allowed_ips, row_scope, quota,
                     previous_until, revoked_at
    ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_changes();

-- What a key opens is read with its tenant.
CREATE FUNCTION tenant_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE api_key SET scopes = scopes WHERE tenant_id = NEW.tenant_id;
    RETURN NULL;
END $$;

CREATE TRIGGER tenant_changes
    AFTER UPDATE OF reporting_currency, timezone
    ON tenant FOR EACH ROW EXECUTE FUNCTION tenant_changes();

-- Who could read could export.
UPDATE api_key SET scopes = scopes || '{export}'
WHERE 'read' = ANY (scopes) AND NOT 'export' = ANY (scopes);

-- The rows that an export was limited to; null for all.
ALTER TABLE export ADD COLUMN row_scope jsonb;
