-- Maintenance: imports that would start wait. One row, once there was any. A window ends when it is switched off
-- (ended_at) or when its time is over (until).
CREATE TABLE maintenance (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,         -- of the window: 1, 2, …
    actor TEXT NOT NULL,            -- who switched it on
    message TEXT,
    since BIGINT NOT NULL,
    until BIGINT,                   -- NULL: until it is switched off
    ended_at BIGINT
);
-- The window in which the job's timeline says already that it waits.
ALTER TABLE jobs ADD COLUMN held_in BIGINT NOT NULL DEFAULT 0;

-- Who deleted it; NULL of one that was deleted before this was kept.
ALTER TABLE models ADD COLUMN deleted_by TEXT;
CREATE INDEX models_deleted ON models(project, deleted_at) WHERE deleted_at IS NOT NULL;
