-- Which gateway has ever leased which key, with the record of the first time. told: an alert says
-- so, or none needs to.
CREATE TABLE first_use (
    tenant  BLOB NOT NULL CHECK (length(tenant) = 16),
    key     BLOB NOT NULL CHECK (length(key) = 16),
    gateway BLOB NOT NULL CHECK (length(gateway) = 16),
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    told    INTEGER NOT NULL CHECK (told IN (0, 1)),
    PRIMARY KEY (key, gateway)
) STRICT, WITHOUT ROWID;

CREATE INDEX first_use_untold ON first_use (tenant, seq) WHERE told = 0;

-- How many leases an hour a key has: the mean, in thousandths, over the hours before this one.
CREATE TABLE key_rate (
    tenant BLOB NOT NULL CHECK (length(tenant) = 16),
    key    BLOB NOT NULL CHECK (length(key) = 16),
    hour   INTEGER NOT NULL CHECK (hour >= 0), -- since 1970
    hours  INTEGER NOT NULL CHECK (hours >= 0), -- how many are in the mean
    mean   INTEGER NOT NULL CHECK (mean >= 0),
    PRIMARY KEY (key)
) STRICT, WITHOUT ROWID;
