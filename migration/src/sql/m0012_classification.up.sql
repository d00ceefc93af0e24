-- What someone said of a user agent counts, whatever the list of bots says.
ALTER TABLE user_agent
    -- When it was said; nothing where the list alone spoke.
    ADD COLUMN classified_at timestamptz;

CREATE INDEX user_agent_classified ON user_agent (tenant_id) WHERE classified_at IS NOT NULL;

-- How often something was said, or stored days of users were changed by it: a writer that has seen
-- fewer forgets what it remembers of both. It is here because every writer locks this row anyway.
ALTER TABLE idempotency_head ADD COLUMN classifications bigint NOT NULL DEFAULT 0;

-- What is held is counted with every answer.
CREATE INDEX quarantine_held ON quarantine (tenant_id) WHERE state = 'held';
