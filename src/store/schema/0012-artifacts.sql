-- What is said of an attempt's image, as a manifest that refers to it: its digest and size, and the blobs that it names.
ALTER TABLE attempts ADD COLUMN artifact_digest TEXT;
ALTER TABLE attempts ADD COLUMN artifact_size BIGINT;

CREATE TABLE artifact_blobs (
    model_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (model_id, attempt, digest),
    FOREIGN KEY (model_id, attempt) REFERENCES attempts(model_id, attempt)
);
