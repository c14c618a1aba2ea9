-- Every change of a model has a number, given under the lock of this row: who has read up to one misses none. epoch tells
-- the numbers of one store from those of what a backup made of it; '' until somebody asks.
CREATE TABLE model_changes (
    epoch TEXT NOT NULL,
    number BIGINT NOT NULL          -- of the newest change
);
ALTER TABLE models ADD COLUMN changed BIGINT NOT NULL DEFAULT 0; -- the number of its newest change
UPDATE models SET changed = places.place FROM
    (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM models) AS places WHERE places.id = models.id;
INSERT INTO model_changes(epoch, number) SELECT '', count(*) FROM models;
CREATE INDEX models_by_change ON models(project, changed);

-- What the list of all models' events looks for.
ALTER TABLE events ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN kind TEXT;
UPDATE events SET project = (SELECT project FROM models WHERE id = events.model_id), kind = json_extract(event, '$.kind');
CREATE INDEX events_by_time ON events(project, occur_time, model_id, seq);
CREATE INDEX events_by_reason ON events(project, reason, occur_time, model_id, seq);
CREATE INDEX events_of_problems ON events(project, occur_time, model_id, seq) WHERE event_type <> 'normal';
