-- Which nodes live, and which of them leads a process manager. `node` is of one run of the program.

CREATE TABLE process.nodes (
    id         uuid PRIMARY KEY,
    host       text NOT NULL,
    pid        integer NOT NULL,
    version    text NOT NULL,
    roles      text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- By the database's clock, the one all nodes share.
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- The node that began the present epoch.
ALTER TABLE process.checkpoints ADD COLUMN leader uuid;

-- The position of the event that intervened last: an intervention told again changes nothing.
ALTER TABLE process.timers ADD COLUMN retriggered_at bigint NOT NULL DEFAULT 0;
