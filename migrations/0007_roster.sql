-- Who the operators were is told from the vault's first record on, and a higher quorum counts from
-- the rotation of the root that brings it: those records belong to the few that other logs are held
-- against.
DROP INDEX record_operator;
CREATE INDEX record_operator ON record (log, seq) WHERE type IN (1, 10, 13, 14, 17);
