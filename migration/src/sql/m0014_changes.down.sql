ALTER TABLE idempotency_head DROP COLUMN changes;
DROP TABLE changed_hour;
