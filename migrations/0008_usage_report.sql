-- What gateways report of the use of keys, summed up by the day (UTC, since 1970) of the record. Each
-- row is the sum of records of type 306; the CHECKs are where sums stop growing.
CREATE TABLE usage_total (
    tenant        BLOB NOT NULL CHECK (length(tenant) = 16),
    day           INTEGER NOT NULL CHECK (day >= 0),
    key           BLOB NOT NULL CHECK (length(key) = 16),
    gateway       BLOB NOT NULL CHECK (length(gateway) = 16),
    model         TEXT NOT NULL CHECK (length(model) BETWEEN 1 AND 96),
    class         INTEGER NOT NULL CHECK (class BETWEEN 1 AND 3), -- of the key: static...
    requests      INTEGER NOT NULL CHECK (requests BETWEEN 0 AND 99999999999999),
    failures      INTEGER NOT NULL CHECK (failures BETWEEN 0 AND 99999999999999),
    input_tokens  INTEGER NOT NULL CHECK (input_tokens BETWEEN 0 AND 99999999999999),
    output_tokens INTEGER NOT NULL CHECK (output_tokens BETWEEN 0 AND 99999999999999),
    cost_micro    INTEGER NOT NULL CHECK (cost_micro BETWEEN 0 AND 99999999999999),
    reports       INTEGER NOT NULL CHECK (reports BETWEEN 0 AND 99999999999999),
    inferred      INTEGER NOT NULL CHECK (inferred BETWEEN 0 AND 99999999999999), -- of the reports
    PRIMARY KEY (tenant, day, key, gateway, model),
    FOREIGN KEY (tenant, key) REFERENCES key (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_total_day ON usage_total (day);

-- Which report numbers were seen: of a lease, or of a key and the gateway that names it without one.
-- Bit i of seen: number next - 1 - i was there.
CREATE TABLE usage_number (
    tenant   BLOB NOT NULL CHECK (length(tenant) = 16),
    subject  BLOB NOT NULL CHECK (length(subject) = 16),
    gateway  BLOB NOT NULL CHECK (length(gateway) = 16),
    next     INTEGER NOT NULL CHECK (next >= 1),
    seen     INTEGER NOT NULL CHECK (seen >= 0),
    until_us INTEGER NOT NULL CHECK (until_us >= 0), -- nobody reports of it any more after that
    PRIMARY KEY (tenant, subject, gateway)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_number_until ON usage_number (until_us);
