-- Of a model that is loaded when its container starts: the artifact that lists its files and refers to its image, as a
-- manifest. The files are rows of `layers` with the origin "blob", which are no layers of the image.
ALTER TABLE attempts ADD COLUMN pack_digest TEXT;
ALTER TABLE attempts ADD COLUMN pack_size BIGINT;
