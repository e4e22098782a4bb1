-- For how long a tenant's records are kept, and where logs begin whose oldest records were dropped.
-- A tenant without a row, or with 0 days, keeps everything for ever.

CREATE TABLE retention (
    tenant BLOB PRIMARY KEY REFERENCES tenant (id),
    days   INTEGER NOT NULL CHECK (days = 0 OR days >= 30),
    seq    INTEGER NOT NULL CHECK (seq >= 0) -- of the record in the vault's log that says so
) STRICT, WITHOUT ROWID;

-- Written with the statement of what is dropped; rows below first are deleted after it.
CREATE TABLE beginning (
    log   BLOB PRIMARY KEY CHECK (length(log) = 16),
    first INTEGER NOT NULL CHECK (first > 0)
) STRICT, WITHOUT ROWID;
