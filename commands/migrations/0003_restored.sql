-- Restores of a backup. What was decided at or before `position` may have been acted on after the
-- backup was made, and the log does not know: whoever acts outside asks first.
CREATE TABLE process.restored (
    position    bigint NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX restored_position ON process.restored (position);
