-- Nodes of a store that several share, by their data directories (MACHINE:PATH), which have what jobs.home and uploads.home say.
CREATE TABLE homes (
    home TEXT PRIMARY KEY,
    worker TEXT NOT NULL,           -- HOST/PID of who was seen last
    since BIGINT NOT NULL,          -- ms by the server's clock: from then on it was seen all the time
    seen BIGINT NOT NULL
);
