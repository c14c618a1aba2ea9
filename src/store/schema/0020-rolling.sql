-- Migrations that programs of an older schema, from `since` on, can work beside.
CREATE TABLE IF NOT EXISTS schema_works (number BIGINT PRIMARY KEY, since BIGINT NOT NULL);
