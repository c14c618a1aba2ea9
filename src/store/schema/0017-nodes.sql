-- Of a store on a server: until when somebody works on the job, by the database's clock. `leases` is then the token of who does.
ALTER TABLE jobs ADD COLUMN lease_until BIGINT;
-- Workers that died while they worked on it.
ALTER TABLE jobs ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
-- Where something that is no longer wanted may still reach the registry.
CREATE INDEX jobs_retaken ON jobs(model_id) WHERE lost > 0 OR attempt > 1 OR (kind = 'image-build' AND leases > 1);
-- The data directory (MACHINE:PATH) that alone has what the job imports from; NULL: every worker can.
ALTER TABLE jobs ADD COLUMN home TEXT;
ALTER TABLE uploads ADD COLUMN home TEXT; -- where its files lie
-- What each worker does now, of a store on a server; `beaten` is by its clock.
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL,           -- JSON
    beaten BIGINT NOT NULL
);
