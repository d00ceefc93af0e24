-- What senders said of two ids being one user, as it came.
CREATE TABLE user_link (
    tenant_id integer     NOT NULL,
    -- The id that turned out to be somebody's, and whose.
    other_id  uuid        NOT NULL,
    user_id   uuid        NOT NULL,
    -- 'identify': a visitor told who they are. 'alias': the shop says that both are one.
    kind      text        NOT NULL CHECK (kind IN ('identify', 'alias')),
    -- The earliest event that said so.
    timestamp timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, other_id, user_id, kind)
);

CREATE INDEX user_link_user ON user_link (tenant_id, user_id);

-- What follows from the links: each id that is somebody else's, and whose. Who is not here is
-- nobody but themselves.
CREATE TABLE user_alias (
    tenant_id    integer NOT NULL,
    user_id      uuid    NOT NULL,
    canonical_id uuid    NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

CREATE INDEX user_alias_canonical ON user_alias (tenant_id, canonical_id);
