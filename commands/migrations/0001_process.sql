-- What process managers and timers remember. Events can rebuild all of it: a checkpoint that is
-- set back makes its process manager react again, and keys derived from the events keep that from
-- having an effect twice.

-- How far each process manager has reacted. `epoch` counts its leaders: one that was deposed
-- while it slept holds an older epoch, so what it writes is not accepted.
CREATE TABLE process.checkpoints (
    name       text PRIMARY KEY,
    position   bigint NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE process.timers (
    -- Of this setting of the timer; setting it again gives it another one.
    id              uuid PRIMARY KEY,
    kind            text NOT NULL,
    key             text NOT NULL,
    due_at          timestamptz NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'parked')),
    -- Calls made so far, the one under way included.
    attempt         integer NOT NULL DEFAULT 0,
    -- By the database's clock, the one all nodes share.
    lease_until     timestamptz,
    -- Fencing: of one claim of one worker, whose late answer no longer matches it.
    leased_by       uuid,
    -- Why it is parked, or why the last attempt did not act.
    reason          text,
    payload         json NOT NULL,
    caused_by       uuid NOT NULL,
    organization_id uuid,
    UNIQUE (kind, key)
) WITH (fillfactor = 80);

CREATE INDEX timers_due ON process.timers (due_at) WHERE state = 'waiting';
CREATE INDEX timers_parked ON process.timers (due_at) WHERE state = 'parked';
