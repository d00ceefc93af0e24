ALTER TABLE export DROP COLUMN row_scope;

DROP TRIGGER tenant_changes ON tenant;
DROP FUNCTION tenant_changes;
DROP TRIGGER api_key_changes ON api_key;
DROP FUNCTION api_key_changes;

-- The program before this step knows nothing of limits: a key that has some must not open more.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now())
WHERE row_scope IS NOT NULL OR kind <> 0 OR expires_at IS NOT NULL
      OR allowed_origins <> '{}' OR allowed_ips <> '{}';
UPDATE api_key SET scopes = array_remove(scopes, 'export');

DROP INDEX api_key_tenant;
DROP INDEX api_key_changed;
ALTER TABLE api_key
    DROP COLUMN kind,
    DROP COLUMN expires_at,
    DROP COLUMN allowed_origins,
    DROP COLUMN allowed_ips,
    DROP COLUMN row_scope,
    DROP COLUMN quota,
    DROP COLUMN previous_hash,
    DROP COLUMN previous_until,
    DROP COLUMN last_used_at,
    DROP COLUMN last_used_address,
    DROP COLUMN changed;

ALTER TABLE installation
    DROP COLUMN secret,
    DROP COLUMN keys_changed;
