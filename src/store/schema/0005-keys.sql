-- Secrets in here are sealed (base/seal.h) for the row that they stand in.

-- Pairs of a public access key and a secret one, which a request's signature is made with.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,            -- the access key
    secret TEXT NOT NULL,           -- sealed
    project TEXT NOT NULL,          -- or *
    user_name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    used_at BIGINT                  -- about
);

-- A project's logins at registries and object stores.
CREATE TABLE credentials (
    project TEXT NOT NULL,
    kind TEXT NOT NULL,             -- registry, s3
    host TEXT NOT NULL,             -- HOST[:PORT], lower case
    user_name TEXT NOT NULL,        -- '' where there is none; of s3 the access key
    secret TEXT NOT NULL,           -- sealed
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project, kind, host)
);
