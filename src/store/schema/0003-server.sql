-- Jobs that a server took on: its workers do them, also after a restart. Others belong to the process that submitted them.
ALTER TABLE jobs ADD COLUMN served BIGINT NOT NULL DEFAULT 0;
CREATE INDEX models_by_time ON models(project, created_at, id) WHERE deleted_at IS NULL;
