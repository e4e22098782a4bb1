-- The Vault-compatible face: which tenants' keys it serves, AppRoles, and tokens that an
-- administrator issued. Tokens of logins are in memory only.

CREATE TABLE compat (
    tenant     BLOB PRIMARY KEY REFERENCES tenant (id),
    binding    INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4), -- the least that is accepted
    since_us   INTEGER NOT NULL CHECK (since_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE approle (
    role        BLOB PRIMARY KEY CHECK (length(role) = 16),
    gateway     BLOB NOT NULL REFERENCES gateway (id),
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32), -- SHA-256
    binding     INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4),
    address     BLOB NOT NULL CHECK (length(address) = 16),
    bits        INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 128),
    created_us  INTEGER NOT NULL CHECK (created_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX approle_gateway ON approle (gateway, role);

CREATE TABLE issued_token (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256
    gateway    BLOB NOT NULL REFERENCES gateway (id),
    binding    INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4),
    address    BLOB NOT NULL CHECK (length(address) = 16),
    bits       INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 128),
    created_us INTEGER NOT NULL CHECK (created_us >= 0),
    expires_us INTEGER NOT NULL CHECK (expires_us > created_us)
) STRICT, WITHOUT ROWID;

CREATE INDEX issued_token_gateway ON issued_token (gateway, hash);

CREATE INDEX issued_token_expires ON issued_token (expires_us);
