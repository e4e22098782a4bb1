-- Times are microseconds since 1970 UTC, 0 for "not yet". Identifiers are 16 bytes. Every row of a
-- tenant carries the tenant, and foreign keys hold the tenant together with the identifier, so no
-- row can point into another tenant.

CREATE TABLE fact (
    name  TEXT PRIMARY KEY CHECK (length(name) > 0),
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant (
    name       TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 63),
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    region     TEXT NOT NULL,
    created_us INTEGER NOT NULL CHECK (created_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE engagement (
    tenant     BLOB NOT NULL REFERENCES tenant (id),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    state      INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4), -- active, ended, purged, held
    started_us INTEGER NOT NULL CHECK (started_us >= 0),
    ended_us   INTEGER NOT NULL CHECK (ended_us >= 0),
    -- 2^62 - 1 is how the keyring says "held" and no date; here a held engagement has none.
    due_us     INTEGER NOT NULL CHECK (due_us BETWEEN 0 AND 4611686018427387902),
    left_us    INTEGER NOT NULL CHECK (left_us BETWEEN 0 AND 4611686018427387902),
    purged_us  INTEGER NOT NULL CHECK (purged_us >= 0),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name),
    CHECK (state <> 4 OR due_us = 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX engagement_ended ON engagement (due_us) WHERE state IN (2, 4);

CREATE TABLE key (
    tenant     BLOB NOT NULL,
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    engagement BLOB NOT NULL,
    provider   INTEGER NOT NULL CHECK (provider BETWEEN 0 AND 65535),
    state      INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3), -- active, revoked, purged
    version    INTEGER NOT NULL CHECK (version BETWEEN 0 AND 4294967295), -- the current one
    scope      INTEGER NOT NULL CHECK (scope BETWEEN 1 AND 3), -- inference, admin, billing_read
    class      INTEGER NOT NULL CHECK (class BETWEEN 1 AND 3), -- static, killable, minted
    created_us INTEGER NOT NULL CHECK (created_us >= 0),
    PRIMARY KEY (tenant, name),
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, engagement) REFERENCES engagement (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX key_engagement ON key (tenant, engagement);
CREATE INDEX key_revoked ON key (tenant, id) WHERE state = 2;

-- A rowid table: sealed values are too long to be part of the tree that finds them.
CREATE TABLE version (
    tenant        BLOB NOT NULL,
    key           BLOB NOT NULL,
    version       INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    state         INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3), -- current, superseded, destroyed
    hint          TEXT NOT NULL,
    created_us    INTEGER NOT NULL CHECK (created_us >= 0),
    destroy_at_us INTEGER NOT NULL CHECK (destroy_at_us >= 0),
    sealed        BLOB NOT NULL,
    UNIQUE (tenant, key, version),
    CHECK ((state = 3) = (length(sealed) = 0)),
    FOREIGN KEY (tenant, key) REFERENCES key (tenant, id)
) STRICT;

CREATE INDEX version_due ON version (destroy_at_us) WHERE state = 2;
CREATE INDEX version_live ON version (key, version) WHERE state < 3;

CREATE TABLE gateway (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    created_us INTEGER NOT NULL CHECK (created_us >= 0),
    removed_us INTEGER NOT NULL CHECK (removed_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX gateway_active ON gateway (name) WHERE removed_us = 0;

CREATE TABLE gateway_grant (
    gateway    BLOB NOT NULL REFERENCES gateway (id),
    tenant     BLOB NOT NULL REFERENCES tenant (id),
    pattern    TEXT NOT NULL CHECK (length(pattern) > 0),
    max_ttl_s  INTEGER NOT NULL CHECK (max_ttl_s >= 0),
    created_us INTEGER NOT NULL CHECK (created_us >= 0),
    PRIMARY KEY (gateway, tenant, pattern)
) STRICT, WITHOUT ROWID;

CREATE TABLE certificate (
    spki         BLOB PRIMARY KEY CHECK (length(spki) = 32), -- SHA-256 of the public key
    role         INTEGER NOT NULL CHECK (role BETWEEN 0 AND 255),
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    tenant       BLOB REFERENCES tenant (id),
    gateway      BLOB REFERENCES gateway (id),
    issued_us    INTEGER NOT NULL CHECK (issued_us >= 0),
    not_after_us INTEGER NOT NULL CHECK (not_after_us >= 0),
    revoked_us   INTEGER NOT NULL CHECK (revoked_us >= 0)
) STRICT, WITHOUT ROWID;

-- Rowid tables: records are appended at one end whatever log they belong to, and the rows of a tree
-- with few, long rows a page would be deep to search. The log is a tenant, or zero for the vault's.
CREATE TABLE record (
    id      INTEGER PRIMARY KEY,
    log     BLOB NOT NULL CHECK (length(log) = 16),
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    time_us INTEGER NOT NULL CHECK (time_us >= 0),
    type    INTEGER NOT NULL CHECK (type BETWEEN 0 AND 65535),
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 255),
    until_us INTEGER NOT NULL CHECK (until_us >= 0), -- what it says of a lease matters until then
    mac     BLOB NOT NULL CHECK (length(mac) = 32),
    line    BLOB NOT NULL CHECK (length(line) > 0),
    UNIQUE (log, seq)
) STRICT;

CREATE INDEX record_lease ON record (until_us) WHERE until_us > 0;

-- What gateways are told of, and their acknowledgements; in the order of storage.
CREATE INDEX record_event ON record (id, type)
    WHERE type IN (102, 201, 202, 304, 308, 401, 403, 405, 419);

CREATE TABLE head (
    log  BLOB NOT NULL UNIQUE CHECK (length(log) = 16),
    size INTEGER NOT NULL CHECK (size >= 0),
    head BLOB NOT NULL
) STRICT;
