DROP TABLE idempotency_page;
DROP TABLE idempotency_run;
DROP TABLE idempotency_segment;
DROP TABLE idempotency_head;

-- Empty: what was claimed in the log is not claimed here.
CREATE TABLE idempotency_key (
    tenant_id   integer     NOT NULL,
    event_id    uuid        NOT NULL,
    received_on date        NOT NULL,
    timestamp   timestamptz NOT NULL,
    digest      bigint      NOT NULL,
    PRIMARY KEY (tenant_id, event_id, received_on)
) PARTITION BY RANGE (received_on);

CREATE TABLE idempotency_period (
    single    boolean PRIMARY KEY DEFAULT true CHECK (single),
    opened_on date    NOT NULL
);

INSERT INTO idempotency_period (opened_on) VALUES ('1970-01-01');
