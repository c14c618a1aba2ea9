-- The data directory that works on a store which is not in it: MACHINE:PATH. Leases are locks of that directory.
CREATE TABLE store_home (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    home TEXT NOT NULL
);
