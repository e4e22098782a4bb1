-- Policy documents: every version that was ever in force, of tenants and of the vault. The newest
-- one of an owner counts. A document whose hash is another was recorded but is not here.

CREATE TABLE policy (
    owner    BLOB NOT NULL CHECK (length(owner) = 16), -- a tenant; zeros: the vault
    version  INTEGER NOT NULL CHECK (version > 0),
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    document BLOB NOT NULL CHECK (length(document) <= 32768), -- empty: it was removed
    set_us   INTEGER NOT NULL CHECK (set_us >= 0),
    actor    TEXT NOT NULL, -- as the record says it
    PRIMARY KEY (owner, version)
) STRICT;
