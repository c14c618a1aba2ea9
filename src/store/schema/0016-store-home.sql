-- The data directory (MACHINE:PATH) that has the images of a store which is not in it, where no registry keeps them.
CREATE TABLE store_home (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    home TEXT NOT NULL
);
