DROP TABLE idempotency_period;
DROP TABLE idempotency_key;
