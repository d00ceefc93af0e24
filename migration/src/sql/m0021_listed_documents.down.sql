-- The program before this step would let such a key run anything: it must not open more.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE persisted_only;

DROP TRIGGER api_key_changes ON api_key;
CREATE TRIGGER api_key_changes
    BEFORE UPDATE OF scopes, kind, expires_at, allowed_origins, allowed_ips, row_scope, quota,
                     previous_until, revoked_at
    ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_changes();

ALTER TABLE api_key DROP COLUMN persisted_only;
