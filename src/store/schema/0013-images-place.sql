-- Of an attempt whose model was deleted: the registry that keeps the images has deleted its image.
ALTER TABLE attempts ADD COLUMN image_removed INTEGER NOT NULL DEFAULT 0;
-- Where the images of this store lie: HOST[:PORT]/NAMESPACE. No row: in the layout of its data directory.
CREATE TABLE images_place (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    place TEXT NOT NULL
);
