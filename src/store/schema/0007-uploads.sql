-- Packages that clients send. `directory` is the name beneath DATA/uploads: never used again, unlike the id, which clients may choose.
CREATE TABLE uploads(
  project    TEXT NOT NULL,
  id         TEXT NOT NULL,
  directory  TEXT NOT NULL UNIQUE,
  owner      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  written_at BIGINT NOT NULL,
  PRIMARY KEY(project, id)
);
-- size: of the whole file; of one that is not complete -1 where it was not said.
CREATE TABLE upload_files(
  directory  TEXT NOT NULL REFERENCES uploads(directory) ON DELETE CASCADE,
  path       TEXT NOT NULL,
  size       BIGINT NOT NULL,
  complete   BIGINT NOT NULL,
  PRIMARY KEY(directory, path)
);
-- Attempts that import from it: while the job of one is open, it is neither changed nor removed.
CREATE TABLE upload_uses(
  directory  TEXT NOT NULL REFERENCES uploads(directory) ON DELETE CASCADE,
  model_id   TEXT NOT NULL,
  attempt    BIGINT NOT NULL,
  PRIMARY KEY(directory, model_id, attempt)
);
