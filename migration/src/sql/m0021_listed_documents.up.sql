-- Whether a key may run the documents alone that the operator lists.
ALTER TABLE api_key ADD COLUMN persisted_only boolean NOT NULL DEFAULT false;

DROP TRIGGER api_key_changes ON api_key;
CREATE TRIGGER api_key_changes
    BEFORE UPDATE OF scopes, kind, expires_at, allowed_origins, allowed_ips, row_scope, quota,
                     previous_until, revoked_at, persisted_only
    ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_changes();
