-- When gc last ran, of those that gc.schedule begins and those that somebody asked for. One row: of several servers on one store one
-- takes the turn, in the transaction that writes that it began.
CREATE TABLE gc_runs (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    began_at BIGINT NOT NULL,
    ended_at BIGINT,                -- NULL: it runs, or its process died
    outcome TEXT NOT NULL,          -- waits (none ran yet: began_at is when its schedule was first looked at), running, done, busy, failed
    worker TEXT NOT NULL,           -- who ran it
    result TEXT NOT NULL            -- what it removed, or what failed: for people
);
