CREATE TABLE authors (
    name TEXT PRIMARY KEY NOT NULL
);

CREATE TABLE notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    written_at TEXT NOT NULL,
    author TEXT REFERENCES authors (name),
    text TEXT NOT NULL CHECK (length(text) > 0)
);

CREATE INDEX notes_by_time ON notes (written_at);
