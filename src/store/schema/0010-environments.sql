-- Environments that were built: a base image with dependencies installed, as one layer above it. key: the digest of `inputs`,
-- everything that the result depends on.
CREATE TABLE environments (
    key TEXT PRIMARY KEY,
    inputs TEXT NOT NULL,           -- JSON: base, dependencies, wheels, sources, installer
    base_digest TEXT NOT NULL,      -- of the base's manifest
    layer TEXT,                     -- digest and diff id; NULL: the base had it all
    layer_size BIGINT NOT NULL,
    files BIGINT NOT NULL,
    packages TEXT NOT NULL,         -- JSON: [{installer, name, version}] that were installed
    pinned BIGINT NOT NULL,         -- whether every dependency names its version
    first_model TEXT NOT NULL,      -- NAME:VERSION that it was built for
    build_ms BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX environments_by_time ON environments(created_at);
