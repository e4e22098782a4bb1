-- Names of people, and what callers wrote about the purpose of a lease, stand in records only as
-- tags: the first 16 bytes of a salted hash. What a tag means is here, a row for each name and log,
-- and can be forgotten without touching a record. Deleted rows are overwritten.

CREATE TABLE person (
    log  BLOB NOT NULL CHECK (length(log) = 16),
    tag  BLOB NOT NULL CHECK (length(tag) = 16),
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    PRIMARY KEY (log, tag),
    UNIQUE (log, name)
) STRICT, WITHOUT ROWID;

-- Erasing a person finds what certificates they had.
CREATE INDEX certificate_person ON certificate (name) WHERE gateway IS NULL;
