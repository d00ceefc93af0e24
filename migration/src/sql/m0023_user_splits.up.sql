-- Numbered users who were somebody else's for a while and are their own again, and in which change
-- they became so: who remembers whose they were learns it here.
CREATE TABLE user_split (
    tenant_id integer NOT NULL,
    number    integer NOT NULL,
    change    bigint  NOT NULL,
    PRIMARY KEY (tenant_id, number)
);

CREATE INDEX user_split_change ON user_split (tenant_id, change);
