-- The entries of the Redis Stream whose events are stored, until Redis has forgotten them: a
-- worker that claims one of them knows that nothing is left to do.
CREATE TABLE stream_entry (
    stream   text NOT NULL,
    entry_id text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, entry_id)
);
