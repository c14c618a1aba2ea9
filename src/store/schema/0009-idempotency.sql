-- What was answered to a request with an Idempotency-Key: the same request gets it again until it expires.
CREATE TABLE idempotency_keys (
    project TEXT NOT NULL,
    route TEXT NOT NULL,            -- what was asked of the project: models, models/ID/retry
    key TEXT NOT NULL,              -- as the client sent it
    body_digest TEXT NOT NULL,      -- of the request's body
    answer TEXT NOT NULL,           -- JSON, answered with 200
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (project, route, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys(expires_at);
