-- Auditors who see some tenants only. What an auditor sees is the certificate's: all of the vault,
-- or (limited) the tenants that are assigned to the auditor's name. Without a row here a limited
-- one sees nothing, so that taking the last tenant away never gives more.

CREATE TABLE limited_certificate (
    spki BLOB PRIMARY KEY REFERENCES certificate (spki)
) STRICT, WITHOUT ROWID;

CREATE TABLE assignment (
    auditor     TEXT NOT NULL CHECK (length(auditor) BETWEEN 1 AND 63),
    name        TEXT NOT NULL REFERENCES tenant (name), -- so that they are found in this order
    tenant      BLOB NOT NULL REFERENCES tenant (id),
    assigned_us INTEGER NOT NULL CHECK (assigned_us >= 0),
    PRIMARY KEY (auditor, name)
) STRICT, WITHOUT ROWID;

-- Operators and the quorum, as the vault's log has them: other logs are held against these few.
CREATE INDEX record_operator ON record (log, seq) WHERE type IN (1, 10, 13, 14, 17);
