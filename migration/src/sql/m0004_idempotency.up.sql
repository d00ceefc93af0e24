-- The ids that senders have used: one row an event, claimed in the transaction that stores the
-- event. Senders' ids are random, so this index, and no other, takes random inserts; it is
-- partitioned by the time of receipt to keep its hot part small.
CREATE TABLE idempotency_key (
    tenant_id   integer     NOT NULL,
    event_id    uuid        NOT NULL,
    received_on date        NOT NULL,
    timestamp   timestamptz NOT NULL,
    -- xxh3 of the event's canonical content: tells a resend from a conflict.
    digest      bigint      NOT NULL,
    PRIMARY KEY (tenant_id, event_id, received_on)
) PARTITION BY RANGE (received_on);

-- The period that claims go to. Every writer holds this row FOR SHARE, opening the next period
-- updates it: so no two transactions can claim one id in two partitions at once.
CREATE TABLE idempotency_period (
    single    boolean PRIMARY KEY DEFAULT true CHECK (single),
    opened_on date    NOT NULL
);

-- Long past: the first writer opens the current one.
INSERT INTO idempotency_period (opened_on) VALUES ('1970-01-01');
