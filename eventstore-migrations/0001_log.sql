-- The log. What each table is for, and why, is in docs/log.md.

-- Names and ids compare byte by byte: faster than a locale's rules, and the
-- same on every machine.
CREATE TABLE events (
    position       bigint      NOT NULL PRIMARY KEY CHECK (position > 0),
    event_id       uuid        NOT NULL UNIQUE,
    aggregate_type text        COLLATE "C" NOT NULL,
    aggregate_id   text        COLLATE "C" NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence > 0),
    event_type     text        COLLATE "C" NOT NULL,
    event_version  text        COLLATE "C" NOT NULL,
    payload        json        NOT NULL,
    metadata       json        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    -- The id first: it tells most rows apart at the first comparison.
    UNIQUE (aggregate_id, aggregate_type, sequence)
);

-- What a reader has seen never changes (invariant 2).
CREATE FUNCTION annals_events_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: append another one' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION annals_events_are_immutable();

-- One row, locked by every append: it orders all nodes. Kept small and hot: the
-- low fillfactor makes Postgres prune old versions of the row at every chance.
CREATE TABLE log_head (
    one         boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    position    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- How many keys were destroyed: tells followers that there is something to forget.
    forgotten   bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO log_head (position, recorded_at) VALUES (0, 'epoch');

-- Receipts by idempotency key. `key_hash` is an HMAC over scope and key.
CREATE TABLE idempotency (
    key_hash       bytea       NOT NULL PRIMARY KEY,
    request_digest bytea       NOT NULL,
    result         json        NOT NULL,
    position       bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    shown_once     bytea,
    shown_until    timestamptz
);
CREATE INDEX idempotency_shown_until ON idempotency (shown_until) WHERE shown_once IS NOT NULL;

-- Unique keys across aggregates, such as an address and its user.
CREATE TABLE claims (
    namespace text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    holder    text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, namespace)
);

-- Data keys, each wrapped by the master key. A destroyed key leaves its row
-- without a key, so that nobody makes a new one for someone forgotten.
CREATE TABLE sealing_keys (
    owner        text        COLLATE "C" NOT NULL,
    class        text        COLLATE "C" NOT NULL CHECK (class IN ('personal', 'secret')),
    key_id       bytea,
    wrapped      bytea,
    master_key   bytea,
    forgotten    bigint,
    forgotten_at timestamptz,
    PRIMARY KEY (owner, class),
    CHECK ((wrapped IS NULL) = (forgotten IS NOT NULL))
);
CREATE INDEX sealing_keys_forgotten ON sealing_keys (forgotten) WHERE forgotten IS NOT NULL;
CREATE INDEX sealing_keys_master_key ON sealing_keys (master_key) WHERE wrapped IS NOT NULL;

-- The log's own root key, from which those of claims, digests and mail tokens
-- derive. It does not rotate; the master key that wraps it does.
CREATE TABLE log_secrets (
    name       text  COLLATE "C" NOT NULL PRIMARY KEY,
    wrapped    bytea NOT NULL,
    master_key bytea NOT NULL
);

CREATE TABLE snapshots (
    aggregate_type text        COLLATE "C" NOT NULL,
    aggregate_id   text        COLLATE "C" NOT NULL,
    sequence       bigint      NOT NULL,
    fingerprint    text        NOT NULL,
    -- Sealed values of the state are bound to it, as an event's are to the event's id.
    snapshot_id    uuid        NOT NULL,
    state          json        NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (aggregate_type, aggregate_id)
);
