-- Settings for all who work on the store (base/settings.h): beneath what each node says itself.
CREATE TABLE settings (
    key TEXT PRIMARY KEY,           -- section.name
    value TEXT NOT NULL,
    set_at BIGINT NOT NULL,         -- ms since 1970 UTC
    set_by TEXT NOT NULL
);
