-- A batch of one simple append: one stream, one event, at most one key and one
-- claim to take. The same steps as annals_append, without arrays: what a quiet node
-- mostly does, and half of such a call's time was in taking arrays apart.
-- It gives the head before, the time (microseconds since 1970) and the stream's
-- version before. Where anything stands against the append it gives null, nothing is
-- written, and annals_append is to be asked, which says what it is.
CREATE FUNCTION annals_append_one(
    a_notify boolean,
    k_hash bytea, k_digest bytea, k_result json, k_shown bytea,
    s_type text, s_id text, s_expected bigint,
    c_namespace text, c_key text, c_holder text,
    e_id uuid, e_type text, e_version text, e_payload json, e_metadata json
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    recorded timestamptz;
    forgotten_before bigint;
    version bigint := 0;
BEGIN
    -- Locks the head and moves it at once, for there is nothing to count. The next statements see
    -- everything committed before.
    UPDATE log_head h SET position = h.position + 1, recorded_at = greatest(h.recorded_at, clock_timestamp())
        WHERE h.one RETURNING h.position, h.recorded_at, h.forgotten INTO head, recorded, forgotten_before;
    -- That a stream is new, its unique index says.
    IF s_expected <> 0 THEN
        SELECT e.sequence INTO version FROM events e
            WHERE e.aggregate_type = s_type AND e.aggregate_id = s_id ORDER BY e.sequence DESC LIMIT 1;
        version := coalesce(version, 0);
        IF s_expected > 0 AND version <> s_expected THEN
            RAISE unique_violation;
        END IF;
    END IF;
    IF k_hash IS NOT NULL THEN
        INSERT INTO idempotency (key_hash, request_digest, result, position, recorded_at, shown_once, shown_until)
            VALUES (k_hash, k_digest, k_result, head, recorded, k_shown,
                    CASE WHEN k_shown IS NOT NULL THEN recorded + interval '10 minutes' END);
    END IF;
    IF c_key IS NOT NULL THEN
        INSERT INTO claims (namespace, key, holder) VALUES (c_namespace, c_key, c_holder);
    END IF;
    INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
                        payload, metadata, recorded_at)
        VALUES (head, e_id, s_type, s_id, version + 1, e_type, e_version, e_payload, e_metadata, recorded);
    IF a_notify THEN
        PERFORM pg_notify('annals_log', head || ' ' || forgotten_before);
    END IF;
    RETURN ARRAY[head - 1, (extract(epoch FROM recorded) * 1000000)::bigint, version];
EXCEPTION WHEN unique_violation THEN
    RETURN NULL;
END
$$;
