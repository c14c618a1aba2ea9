-- What a scan told of the files of a layer while they were packed: files that are not read again are told of again. A layer
-- without a row of the present rules is packed again.
CREATE TABLE layer_scans (
    digest TEXT PRIMARY KEY,
    rules BIGINT NOT NULL,          -- of the scan, which rise when it would tell something else
    reports TEXT NOT NULL           -- JSON: [{path, format, imports, …}]
);
