-- Events of many models: each model's in one of 16 tables by a hash of its id, so that no index of one outgrows the memory.
-- In one file there is nothing to be spread.
-- postgresql:
ALTER TABLE events RENAME TO events_whole;
ALTER INDEX events_by_time RENAME TO events_whole_by_time;
ALTER INDEX events_by_reason RENAME TO events_whole_by_reason;
ALTER INDEX events_of_problems RENAME TO events_whole_of_problems;
CREATE TABLE events (
    model_id TEXT NOT NULL REFERENCES models(id),
    seq BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    occur_time BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    reason TEXT NOT NULL,
    stage TEXT NOT NULL,
    event TEXT NOT NULL,
    project TEXT NOT NULL DEFAULT '',
    kind TEXT,
    PRIMARY KEY (model_id, seq)
) PARTITION BY HASH (model_id);
DO $$ BEGIN FOR part IN 0..15 LOOP
    EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
END LOOP; END $$;
INSERT INTO events SELECT model_id, seq, attempt, occur_time, event_type, reason, stage, event, project, kind FROM events_whole;
DROP TABLE events_whole;
CREATE INDEX events_by_time ON events(project, occur_time, model_id, seq);
CREATE INDEX events_by_reason ON events(project, reason, occur_time, model_id, seq);
CREATE INDEX events_of_problems ON events(project, occur_time, model_id, seq) WHERE event_type <> 'normal';
