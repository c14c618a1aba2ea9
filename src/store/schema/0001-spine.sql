-- Times are ms since 1970, UTC. Texts are UTF-8 without NUL. JSON columns hold one JSON value.

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

-- One row a version. last_seq and last_time give the next event its place: they are changed under the row's lock.
CREATE TABLE models (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects(id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    version_number BIGINT NOT NULL, -- 1.2.3 is 10203: versions sort by it
    type TEXT,                      -- as config.json or the request says; NULL until one of them was read
    description TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    attempt BIGINT NOT NULL,        -- the newest one
    last_seq BIGINT NOT NULL,
    last_time BIGINT NOT NULL
);
CREATE UNIQUE INDEX models_by_version ON models(project, name, version) WHERE deleted_at IS NULL;

-- outcome: running, imported, failed. It changes in the transaction that appends the closing event.
CREATE TABLE attempts (
    model_id TEXT NOT NULL REFERENCES models(id),
    attempt BIGINT NOT NULL,
    request TEXT NOT NULL,          -- JSON: what was asked for, source and config included
    outcome TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    size BIGINT,                    -- bytes of the package, or of the source image
    listing TEXT,                   -- digest over the package's listing
    config TEXT,                    -- config.json as it was read
    runtime TEXT,
    image_digest TEXT,              -- the manifest's, once the image is in the store
    image_media_type TEXT,
    image_manifest_size BIGINT,
    config_digest TEXT,             -- of the image's config
    image_size BIGINT,              -- manifest + config + layers
    PRIMARY KEY (model_id, attempt)
);

-- The stages that an attempt closed, with their results: what a resumed or retried import does not do again.
CREATE TABLE stages (
    model_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    stage TEXT NOT NULL,
    result TEXT NOT NULL,
    closed_at BIGINT NOT NULL,
    PRIMARY KEY (model_id, attempt, stage),
    FOREIGN KEY (model_id, attempt) REFERENCES attempts(model_id, attempt)
);

CREATE TABLE events (
    model_id TEXT NOT NULL REFERENCES models(id),
    seq BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    occur_time BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    reason TEXT NOT NULL,
    stage TEXT NOT NULL,
    event TEXT NOT NULL,            -- the JSON object, rendered once
    PRIMARY KEY (model_id, seq)
);

-- kind: import, image-build, env-build. state: queued, running, parked, done.
-- A running job's lease is an OS lock (leases.h) that ends with its process; a running job without one was interrupted.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    model_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    cache_key TEXT,                 -- of an env-build: one open row for a key
    waits_for BIGINT REFERENCES jobs(id), -- of a parked import: the build that wakes it
    leases BIGINT NOT NULL,         -- how often it was taken
    worker TEXT,                    -- who took it last
    cancelled_by TEXT,
    created_at BIGINT NOT NULL,
    FOREIGN KEY (model_id, attempt) REFERENCES attempts(model_id, attempt)
);
CREATE INDEX jobs_open ON jobs(state, id) WHERE state <> 'done';
CREATE INDEX jobs_by_model ON jobs(model_id, attempt);
CREATE UNIQUE INDEX jobs_by_cache_key ON jobs(cache_key) WHERE cache_key IS NOT NULL AND state <> 'done';

-- What each attempt's image is made of; a layer stands here as soon as its blob is whole, so that it counts after a crash.
CREATE TABLE layers (
    model_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    origin TEXT NOT NULL,           -- base, environment, model
    position BIGINT NOT NULL,       -- from 0 within the origin
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    diff_id TEXT NOT NULL,
    files BIGINT NOT NULL,
    file TEXT,                      -- of a layer of one file
    recipe TEXT,                    -- digest over what was packed: equal recipes give equal layers
    PRIMARY KEY (model_id, attempt, origin, position),
    FOREIGN KEY (model_id, attempt) REFERENCES attempts(model_id, attempt)
);
CREATE INDEX layers_by_recipe ON layers(recipe) WHERE recipe IS NOT NULL;

-- The package as an attempt's check saw it.
CREATE TABLE files (
    model_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    device BIGINT NOT NULL,
    inode BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    ctime_ns BIGINT NOT NULL,
    PRIMARY KEY (model_id, attempt, path),
    FOREIGN KEY (model_id, attempt) REFERENCES attempts(model_id, attempt)
);

-- What a file's content was when it was last read: an unchanged file is not read again.
CREATE TABLE file_digests (
    machine TEXT NOT NULL,
    device BIGINT NOT NULL,
    inode BIGINT NOT NULL,
    packed_as TEXT NOT NULL,        -- '' when digest is the content's; else the layer's path, digest being that layer's
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    ctime_ns BIGINT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (machine, device, inode, packed_as)
);

CREATE TABLE runtimes (
    name TEXT PRIMARY KEY,
    engine TEXT,                    -- NULL serves every engine
    image TEXT NOT NULL,            -- the reference as it was given
    platform TEXT NOT NULL,
    digest TEXT NOT NULL,           -- of the manifest
    media_type TEXT NOT NULL,
    manifest_size BIGINT NOT NULL,
    size BIGINT NOT NULL,           -- manifest + config + layers
    created_at BIGINT NOT NULL
);

CREATE TABLE build_log (
    model_id TEXT NOT NULL REFERENCES models(id),
    attempt BIGINT NOT NULL,
    line BIGINT NOT NULL,           -- from 1
    time BIGINT NOT NULL,
    stream TEXT NOT NULL,           -- waybill, stdout, stderr
    text TEXT NOT NULL,
    PRIMARY KEY (model_id, attempt, line)
);

INSERT INTO projects(id, created_at) VALUES ('default', 0);
