-- What says who asks. Of a secret only its SHA-256 is kept; id is public. kind: token (made by `waybill token create`),
-- api (got from /v3/auth/tokens), session (a browser's cookie), link (to sign in with, once). Rows of kind token stay
-- when they are revoked: that there ever was one closes the open mode for good.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    hash TEXT NOT NULL,
    user_name TEXT NOT NULL,
    project TEXT NOT NULL,          -- '*': every project
    role TEXT NOT NULL,
    parent TEXT REFERENCES tokens(id) ON DELETE CASCADE, -- what it was got with, and is worth nothing without
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,            -- to a minute or so
    revoked_at BIGINT               -- of a link: when it was used
);
CREATE UNIQUE INDEX tokens_by_hash ON tokens(hash);
CREATE INDEX tokens_by_kind ON tokens(kind);
CREATE INDEX tokens_by_parent ON tokens(parent) WHERE parent IS NOT NULL;

-- Who did what. outcome: done, failed, refused.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time BIGINT NOT NULL,
    actor TEXT NOT NULL,
    credential TEXT,                -- the public id of what said who it is; NULL: the machine's own user, or nobody was asked
    project TEXT,                   -- NULL: of none
    action TEXT NOT NULL,
    object TEXT,                    -- a model's or a token's id, …
    outcome TEXT NOT NULL,
    request_id TEXT                 -- NULL: it came from the command line
);
CREATE INDEX audit_by_project ON audit(project, id);
