-- What is served of the trail beside its records. A log is a tenant, zero for the vault's, ff for
-- that of the vault tree.

-- Roots of perfect subtrees over records number * 2^level to (number + 1) * 2^level - 1, once all of
-- them are there. Proofs are made of them, so they outlive records that are dropped.
CREATE TABLE node (
    log    BLOB NOT NULL CHECK (length(log) = 16),
    level  INTEGER NOT NULL CHECK (level IN (8, 16, 24)),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash   BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (log, level, number)
) STRICT, WITHOUT ROWID;

-- The newest signed checkpoint of every log.
CREATE TABLE checkpoint (
    log     BLOB NOT NULL UNIQUE CHECK (length(log) = 16),
    size    INTEGER NOT NULL CHECK (size >= 0),
    time_us INTEGER NOT NULL CHECK (time_us >= 0),
    note    BLOB NOT NULL CHECK (length(note) > 0)
) STRICT;

-- Recent checkpoints of the vault tree: a witness takes its time.
CREATE TABLE tree_note (
    size INTEGER PRIMARY KEY,
    note BLOB NOT NULL CHECK (length(note) > 0)
) STRICT;

-- Signature lines of witnesses over the vault tree's checkpoint of a size. A witness is its name and
-- the id of its key.
CREATE TABLE cosignature (
    size    INTEGER NOT NULL REFERENCES tree_note (size),
    witness TEXT NOT NULL CHECK (length(witness) > 0),
    line    TEXT NOT NULL CHECK (length(line) > 0),
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;
