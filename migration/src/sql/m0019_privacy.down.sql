DROP TABLE privacy_policy;
ALTER TABLE idempotency_head DROP COLUMN erasures;
ALTER TABLE installation DROP COLUMN erasure_key;
DROP TABLE erased_user;
DROP TABLE erasure;
