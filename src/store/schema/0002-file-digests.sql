-- What a file of the package held when it was packed: NULL until then, and of a file that has a layer of its own, whose
-- digest says it.
ALTER TABLE files ADD COLUMN digest TEXT;
