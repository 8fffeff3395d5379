-- What should be published and is not yet: the watchdog's own table, which events can rebuild.

CREATE TABLE process.watched (
    post            uuid NOT NULL,
    channel         uuid NOT NULL,
    due_at          timestamptz NOT NULL,
    -- Since when it waits as it does: due, in an attempt, in doubt.
    since           timestamptz NOT NULL,
    state           text NOT NULL CHECK (state IN ('scheduled', 'publishing', 'unknown')),
    -- Somebody cancelled its timer on purpose: it is not set again.
    timer_cancelled boolean NOT NULL DEFAULT false,
    -- It was found overdue at this time that it was due.
    found_due_at    timestamptz,
    -- Of its being found, what keeps it.
    found_cause     text,
    -- Of the event that made it due, for the timer.
    position        bigint NOT NULL,
    caused_by       uuid NOT NULL,
    correlation     uuid NOT NULL,
    organization_id uuid,
    PRIMARY KEY (post, channel)
) WITH (fillfactor = 80);

CREATE INDEX watched_since ON process.watched (since);
