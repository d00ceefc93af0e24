-- When facts of an hour changed last: in which of the transactions that changed any, counted in the
-- order in which they commit. Whoever knows that number of what it keeps knows whether that is
-- still true. See docs/ARCHITECTURE.md.
CREATE TABLE changed_hour (
    tenant_id integer NOT NULL,
    -- Since 1970, by UTC. The least number there is stands for who is who among users.
    hour      integer NOT NULL,
    number    bigint  NOT NULL,
    PRIMARY KEY (tenant_id, hour)
) WITH (fillfactor = 50);

CREATE INDEX changed_hour_number ON changed_hour (number);

-- How many transactions changed facts: every writer locks this row anyway, last of all.
ALTER TABLE idempotency_head ADD COLUMN changes bigint NOT NULL DEFAULT 0;

INSERT INTO changed_hour (tenant_id, hour, number)
SELECT DISTINCT tenant_id, floor(extract(epoch FROM quarter) / 3600)::integer, 0
FROM traffic_quarter;
