-- One batch of appends, all in this one statement. Arrays with the same prefix
-- belong together, one row per index; `*_append` says whose append a row is (from 1).
--   a_  appends: how many events each has; whether anyone else listens
--   k_  idempotency keys; `k_last` is the index in e_ of the append's last event (0: none)
--   s_  streams with the version they must have (-1: any); asserted ones get no event
--   c_  claims: 0 asserts the holder (null: nobody), 1 takes, 2 releases
--   n_  data keys made for this append
--   f_  owners whose keys are destroyed
--   e_  events; `e_stream` is an index in s_, `e_nth` counts from 1 within that stream
-- The caller puts no two appends in one batch of which one writes what the
-- other reads or writes, so each can be judged by itself. Lists of what is
-- refused are null where nothing is. Run with nested loops over indexes
-- preferred (the caller's session settings): every look-up is by key.
--
-- Most batches hold nothing to refuse. So it first tries without looking up what
-- a unique index will refuse anyway: used keys, taken claims, streams that must
-- not exist yet. Where one does refuse, everything is checked, set by set.
CREATE FUNCTION annals_append(
    a_events int[], a_notify boolean,
    k_append int[], k_hash bytea[], k_digest bytea[], k_result json[], k_shown bytea[], k_last int[],
    s_append int[], s_type text[], s_id text[], s_expected bigint[], s_asserted boolean[],
    c_append int[], c_kind int[], c_namespace text[], c_key text[], c_holder text[],
    n_append int[], n_owner text[], n_class text[], n_key_id bytea[], n_wrapped bytea[], n_master bytea[],
    f_append int[], f_owner text[],
    e_append int[], e_stream int[], e_nth bigint[], e_id uuid[], e_aggregate_type text[], e_aggregate_id text[],
    e_type text[], e_version text[], e_payload json[], e_metadata json[],
    OUT head_before bigint, OUT head_after bigint, OUT recorded timestamptz, OUT versions bigint[],
    OUT hit_append int[], OUT hit_digest bytea[], OUT hit_result text[], OUT hit_position bigint[],
    OUT hit_recorded timestamptz[], OUT hit_shown bytea[], OUT hit_shown_until timestamptz[],
    OUT bad_streams int[],
    OUT bad_claims int[], OUT bad_holders text[],
    OUT bad_keys int[], OUT bad_keys_destroyed boolean[]
) LANGUAGE plpgsql AS $$
DECLARE
    forgotten_before bigint;
    forgotten_after bigint;
    done boolean := false;
    clean boolean;
    refused boolean[];
    -- Per append, the position of its last event (the head, if it has none).
    last_position bigint[];
    i int;
BEGIN
    -- In a statement of its own: the next ones see everything committed before the lock.
    SELECT h.position, h.recorded_at, h.forgotten INTO head_before, recorded, forgotten_before
        FROM log_head h WHERE h.one FOR UPDATE;
    recorded := greatest(recorded, clock_timestamp());
    head_after := head_before + cardinality(e_append);
    forgotten_after := forgotten_before;

    IF NOT true = ANY (s_asserted) AND 0 = ALL (s_expected) THEN
        versions := s_expected;
    ELSE
        SELECT array_agg(v.version ORDER BY v.ord),
               array_agg(v.ord) FILTER (WHERE v.expected >= 0 AND v.expected <> v.version)
            INTO versions, bad_streams
            FROM (
                SELECT s.ord::int AS ord, s.expected,
                       CASE WHEN s.expected <> 0 OR s.asserted THEN
                           coalesce((SELECT e.sequence FROM events e
                                     WHERE e.aggregate_type = s.type AND e.aggregate_id = s.id
                                     ORDER BY e.sequence DESC LIMIT 1), 0)
                       ELSE 0 END AS version
                FROM unnest(s_type, s_id, s_expected, s_asserted) WITH ORDINALITY AS s (type, id, expected, asserted, ord)
            ) v;
    END IF;

    IF bad_streams IS NULL AND NOT c_kind && ARRAY[0, 2] THEN
        BEGIN
            IF cardinality(k_append) > 0 THEN
                INSERT INTO idempotency (key_hash, request_digest, result, position, recorded_at, shown_once, shown_until)
                    SELECT k.hash, k.digest, k.result, CASE k.last WHEN 0 THEN head_after ELSE head_before + k.last END,
                           recorded, k.shown, CASE WHEN k.shown IS NOT NULL THEN recorded + interval '10 minutes' END
                    FROM unnest(k_hash, k_digest, k_result, k_shown, k_last) AS k (hash, digest, result, shown, last);
            END IF;
            IF cardinality(c_append) > 0 THEN
                INSERT INTO claims (namespace, key, holder)
                    SELECT c.namespace, c.key, c.holder FROM unnest(c_namespace, c_key, c_holder) AS c (namespace, key, holder);
            END IF;
            IF cardinality(n_append) > 0 THEN
                INSERT INTO sealing_keys (owner, class, key_id, wrapped, master_key)
                    SELECT n.owner, n.class, n.key_id, n.wrapped, n.master
                    FROM unnest(n_owner, n_class, n_key_id, n_wrapped, n_master) AS n (owner, class, key_id, wrapped, master);
            END IF;
            IF cardinality(e_append) > 0 THEN
                INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
                                    payload, metadata, recorded_at)
                    SELECT head_before + e.ord, e.id, e.aggregate_type, e.aggregate_id, versions[e.stream] + e.nth,
                           e.type, e.version, e.payload, e.metadata, recorded
                    FROM unnest(e_stream, e_nth, e_id, e_aggregate_type, e_aggregate_id, e_type, e_version, e_payload, e_metadata)
                        WITH ORDINALITY AS e (stream, nth, id, aggregate_type, aggregate_id, type, version, payload, metadata, ord);
            END IF;
            done := true;
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END IF;

    IF NOT done THEN
        SELECT array_agg(k.append), array_agg(r.request_digest), array_agg(r.result::text), array_agg(r.position),
               array_agg(r.recorded_at), array_agg(r.shown_once), array_agg(r.shown_until)
            INTO hit_append, hit_digest, hit_result, hit_position, hit_recorded, hit_shown, hit_shown_until
            FROM unnest(k_append, k_hash) AS k (append, hash)
            JOIN idempotency r ON r.key_hash = k.hash;

        SELECT array_agg(v.version ORDER BY v.ord),
               array_agg(v.ord) FILTER (WHERE v.expected >= 0 AND v.expected <> v.version)
            INTO versions, bad_streams
            FROM (
                SELECT s.ord::int AS ord, s.expected,
                       coalesce((SELECT e.sequence FROM events e
                                 WHERE e.aggregate_type = s.type AND e.aggregate_id = s.id
                                 ORDER BY e.sequence DESC LIMIT 1), 0) AS version
                FROM unnest(s_type, s_id, s_expected) WITH ORDINALITY AS s (type, id, expected, ord)
            ) v;

        SELECT array_agg(v.ord), array_agg(v.held_by) INTO bad_claims, bad_holders
            FROM (
                SELECT c.ord::int AS ord, x.holder AS held_by,
                       CASE c.kind WHEN 0 THEN x.holder IS DISTINCT FROM c.holder
                            ELSE coalesce(x.holder <> c.holder, false) END AS bad
                FROM unnest(c_kind, c_namespace, c_key, c_holder) WITH ORDINALITY AS c (kind, namespace, key, holder, ord)
                LEFT JOIN claims x ON x.namespace = c.namespace AND x.key = c.key
            ) v
            WHERE v.bad;

        SELECT array_agg(n.ord::int), array_agg(x.wrapped IS NULL)
            INTO bad_keys, bad_keys_destroyed
            FROM unnest(n_owner, n_class) WITH ORDINALITY AS n (owner, class, ord)
            JOIN sealing_keys x ON x.owner = n.owner AND x.class = n.class;

        refused := array_fill(false, ARRAY[cardinality(a_events)]);
        FOREACH i IN ARRAY coalesce(hit_append, '{}') LOOP refused[i] := true; END LOOP;
        FOREACH i IN ARRAY coalesce(bad_streams, '{}') LOOP refused[s_append[i]] := true; END LOOP;
        FOREACH i IN ARRAY coalesce(bad_claims, '{}') LOOP refused[c_append[i]] := true; END LOOP;
        FOREACH i IN ARRAY coalesce(bad_keys, '{}') LOOP refused[n_append[i]] := true; END LOOP;

        last_position := a_events::bigint[];
        head_after := head_before;
        FOR i IN 1 .. cardinality(a_events) LOOP
            IF NOT refused[i] THEN head_after := head_after + a_events[i]; END IF;
            last_position[i] := head_after;
        END LOOP;

        INSERT INTO idempotency (key_hash, request_digest, result, position, recorded_at, shown_once, shown_until)
            SELECT k.hash, k.digest, k.result, CASE k.last WHEN 0 THEN head_after ELSE last_position[k.append] END,
                   recorded, k.shown, CASE WHEN k.shown IS NOT NULL THEN recorded + interval '10 minutes' END
            FROM unnest(k_append, k_hash, k_digest, k_result, k_shown, k_last) AS k (append, hash, digest, result, shown, last)
            WHERE NOT refused[k.append];

        -- One may hold already what it takes.
        INSERT INTO claims (namespace, key, holder)
            SELECT c.namespace, c.key, c.holder
            FROM unnest(c_append, c_kind, c_namespace, c_key, c_holder) AS c (append, kind, namespace, key, holder)
            WHERE c.kind = 1 AND NOT refused[c.append]
            ON CONFLICT DO NOTHING;

        DELETE FROM claims x
            USING unnest(c_append, c_kind, c_namespace, c_key) AS c (append, kind, namespace, key)
            WHERE c.kind = 2 AND NOT refused[c.append] AND x.namespace = c.namespace AND x.key = c.key;

        INSERT INTO sealing_keys (owner, class, key_id, wrapped, master_key)
            SELECT n.owner, n.class, n.key_id, n.wrapped, n.master
            FROM unnest(n_append, n_owner, n_class, n_key_id, n_wrapped, n_master) AS n (append, owner, class, key_id, wrapped, master)
            WHERE NOT refused[n.append];

        INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
                            payload, metadata, recorded_at)
            SELECT head_before + row_number() OVER (ORDER BY e.ord), e.id, e.aggregate_type, e.aggregate_id,
                   versions[e.stream] + e.nth, e.type, e.version, e.payload, e.metadata, recorded
            FROM unnest(e_append, e_stream, e_nth, e_id, e_aggregate_type, e_aggregate_id, e_type, e_version,
                        e_payload, e_metadata)
                WITH ORDINALITY AS e (append, stream, nth, id, aggregate_type, aggregate_id, type, version,
                                      payload, metadata, ord)
            WHERE NOT refused[e.append];
    END IF;

    IF cardinality(f_append) > 0 THEN
        INSERT INTO sealing_keys AS x (owner, class, forgotten, forgotten_at)
            SELECT f.owner, class.name, forgotten_before + row_number() OVER (), recorded
            FROM unnest(f_append, f_owner) AS f (append, owner), (VALUES ('personal'), ('secret')) AS class (name)
            WHERE done OR NOT refused[f.append]
            ON CONFLICT (owner, class) DO UPDATE
                SET key_id = NULL, wrapped = NULL, master_key = NULL,
                    forgotten = excluded.forgotten, forgotten_at = excluded.forgotten_at
                WHERE x.wrapped IS NOT NULL;
        SELECT coalesce(max(x.forgotten), forgotten_before) INTO forgotten_after
            FROM sealing_keys x WHERE x.forgotten > forgotten_before;
    END IF;

    IF head_after > head_before OR forgotten_after > forgotten_before THEN
        UPDATE log_head h SET position = head_after, recorded_at = recorded, forgotten = forgotten_after WHERE h.one;
        -- A notification wakes every listener's backend: not for a node that is alone and knows already.
        IF a_notify THEN
            PERFORM pg_notify('annals_log', head_after || ' ' || forgotten_after);
        END IF;
    END IF;
END
$$;
