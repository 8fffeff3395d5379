-- Whose figures platforms are asked for, and when next. Events can rebuild it: each row is a connected
-- channel or a published post, and one that is looked at too early only costs a call.
CREATE TABLE process.figures (
    channel_id uuid NOT NULL,
    -- A post's id, or the channel's own for its account.
    subject_id uuid NOT NULL,
    -- The platform's id of the post; none for the account.
    remote_id  text,
    -- When the post was published, or the channel connected.
    since      timestamptz NOT NULL,
    due_at     timestamptz NOT NULL,
    -- Of the account's row: the platform is left alone until then, after so many looks in a row that failed.
    held_until timestamptz,
    misses     integer NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, subject_id)
) WITH (fillfactor = 80);
CREATE INDEX figures_by_subject ON process.figures (subject_id);
