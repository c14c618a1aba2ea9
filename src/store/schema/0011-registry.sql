-- What clients pushed to /v2/. `repository` is the path behind the project's. A blob is read through a repository that has it, whatever
-- else the store holds: a row of registry_blobs, or an image of a model says that it has.
CREATE TABLE registry_blobs (
    project TEXT NOT NULL REFERENCES projects(id),
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    pushed_at BIGINT NOT NULL,      -- or mounted: what no manifest refers to is kept for a while after that
    PRIMARY KEY (project, repository, digest)
);
CREATE TABLE registry_manifests (
    project TEXT NOT NULL REFERENCES projects(id),
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    artifact_type TEXT,             -- its own, else its config's media type; NULL: an index without one
    subject TEXT,                   -- digest of the manifest that it refers to, which need not be there
    annotations TEXT,               -- JSON, of one with a subject
    pushed_at BIGINT NOT NULL,
    PRIMARY KEY (project, repository, digest)
);
CREATE INDEX registry_manifests_by_subject ON registry_manifests(project, repository, subject) WHERE subject IS NOT NULL;
-- The blobs, and of an index the manifests, that a manifest needs.
CREATE TABLE registry_needs (
    project TEXT NOT NULL,
    repository TEXT NOT NULL,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (project, repository, manifest, digest),
    FOREIGN KEY (project, repository, manifest) REFERENCES registry_manifests(project, repository, digest) ON DELETE CASCADE
);
CREATE INDEX registry_needs_by_digest ON registry_needs(project, repository, digest);
CREATE TABLE registry_tags (
    project TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    manifest TEXT NOT NULL,
    pushed_at BIGINT NOT NULL,
    PRIMARY KEY (project, repository, tag),
    FOREIGN KEY (project, repository, manifest) REFERENCES registry_manifests(project, repository, digest) ON DELETE CASCADE
);
CREATE INDEX registry_tags_by_manifest ON registry_tags(project, repository, manifest);
-- Blobs on their way: what has arrived of one is the file images/partial/ID.
CREATE TABLE registry_uploads (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects(id),
    repository TEXT NOT NULL,
    owner TEXT NOT NULL,
    written_at BIGINT NOT NULL
);
CREATE INDEX registry_uploads_by_time ON registry_uploads(project, written_at);
