DROP INDEX quarantine_held;
ALTER TABLE idempotency_head DROP COLUMN classifications;
DROP INDEX user_agent_classified;
ALTER TABLE user_agent DROP COLUMN classified_at;
