/*
 * Every statement in one place, so that one look shows what the store can be made to do. Whatever
 * reads or changes tenant data names the tenant in its WHERE. Literals in conditions repeat those
 * of partial indexes on purpose: SQLite uses such an index only if it sees the same term.
 */
#include "statement.h"

#define ENGAGEMENT_COLUMNS                                                              \
    "SELECT id, tenant, name, state, started_us, ended_us, due_us, left_us, purged_us " \
    "FROM engagement "
#define KEY_COLUMNS                                                                            \
    "SELECT id, tenant, engagement, name, provider, state, version, scope, class, created_us " \
    "FROM key "
#define VERSION_COLUMNS \
    "SELECT tenant, key, version, state, hint, created_us, destroy_at_us, sealed FROM version "
#define VERSION_COLUMNS_UNSEALED \
    "SELECT tenant, key, version, state, hint, created_us, destroy_at_us FROM version "
#define POLICY_COLUMNS "SELECT owner, version, hash, set_us, actor, "
#define APPROLE_COLUMNS                                                               \
    "SELECT a.role, a.gateway, g.name, a.secret_hash, a.binding, a.address, a.bits, " \
    "a.created_us FROM approle a JOIN gateway g ON g.id = a.gateway "
#define PERSON_COLUMNS "SELECT log, tag, salt, name FROM person "
/* As their indexes have them, to the letter: else these are not used. */
#define RECORD_EVENTS                                                                       \
    "(type = 102 OR type = 201 OR type = 202 OR type = 304 OR type = 308 OR type = 401 OR " \
    "type = 403 OR type = 405 OR type = 419)"
#define RECORD_OPERATORS "(type = 1 OR type = 10 OR type = 13 OR type = 14 OR type = 17)"
#define RECORD_COLUMNS   "SELECT log, seq, time_us, type, outcome, mac, line FROM record "

/* Sums stop growing where the table's CHECKs say. */
#define GROWN(column) \
    ", " column " = min(usage_total." column " + excluded." column ", 99999999999999)"
/* Summed by identifiers first, so that few rows are joined with names; then by names, since keys of
 * several tenants may be called alike. */
#define USAGE_NAMED                                                                         \
    "SELECT d.day, CASE ?3 & 2 WHEN 0 THEN '' ELSE coalesce(t.name, '') END AS by_tenant, " \
    "coalesce(k.name, '') AS by_key, coalesce(g.name, '') AS by_gateway, d.model, "         \
    "CASE min(d.low) WHEN max(d.high) THEN min(d.low) ELSE 0 END, "                         \
    "min(sum(d.requests), 99999999999999), min(sum(d.failures), 99999999999999), "          \
    "min(sum(d.input_tokens), 99999999999999), "                                            \
    "min(sum(d.output_tokens), 99999999999999), "                                           \
    "min(sum(d.cost_micro), 99999999999999), "                                              \
    "min(sum(d.reports), 99999999999999), min(sum(d.inferred), 99999999999999) FROM ("
#define USAGE_SUMMED                                               \
    "SELECT CASE ?3 & 1 WHEN 0 THEN 0 ELSE u.day END AS day, "     \
    "CASE ?3 & 6 WHEN 0 THEN NULL ELSE u.tenant END AS tenant, "   \
    "CASE ?3 & 4 WHEN 0 THEN NULL ELSE u.key END AS key, "         \
    "CASE ?3 & 8 WHEN 0 THEN NULL ELSE u.gateway END AS gateway, " \
    "CASE ?3 & 16 WHEN 0 THEN '' ELSE u.model END AS model, "      \
    "min(u.class) AS low, max(u.class) AS high, "                  \
    "min(sum(u.requests), 99999999999999) AS requests, "           \
    "min(sum(u.failures), 99999999999999) AS failures, "           \
    "min(sum(u.input_tokens), 99999999999999) AS input_tokens, "   \
    "min(sum(u.output_tokens), 99999999999999) AS output_tokens, " \
    "min(sum(u.cost_micro), 99999999999999) AS cost_micro, "       \
    "min(sum(u.reports), 99999999999999) AS reports, "             \
    "min(sum(u.inferred), 99999999999999) AS inferred "
#define USAGE_WHERE                                                           \
    "WHERE u.day >= ?1 AND u.day < ?2 "                                       \
    "AND (?4 = '' OR EXISTS (SELECT 1 FROM key f WHERE f.tenant = u.tenant "  \
    "AND f.id = u.key AND f.name = ?4)) "                                     \
    "AND (?5 = '' OR EXISTS (SELECT 1 FROM gateway f WHERE f.id = u.gateway " \
    "AND f.name = ?5)) AND (?6 = '' OR u.model = ?6) "
#define USAGE_ORDER                                                    \
    "GROUP BY 1, 2, 3, 4, 5) d LEFT JOIN tenant t ON t.id = d.tenant " \
    "LEFT JOIN key k ON k.tenant = d.tenant AND k.id = d.key "         \
    "LEFT JOIN gateway g ON g.id = d.gateway "                         \
    "GROUP BY d.day, by_tenant, by_key, by_gateway, d.model "          \
    "ORDER BY d.day, by_tenant, by_key, by_gateway, d.model LIMIT ?7"

const char *const statement_sql[STATEMENT_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MARK] = "SAVEPOINT mark",
    [SQL_KEEP] = "RELEASE mark",
    [SQL_UNDO] = "ROLLBACK TO mark",

    [SQL_FACT_SET] = "INSERT INTO fact (name, value) VALUES (?1, ?2) "
                     "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [SQL_FACT_GET] = "SELECT value FROM fact WHERE name = ?1",

    [SQL_TENANT_ADD] = "INSERT INTO tenant (id, name, region, created_us) VALUES (?1, ?2, ?3, ?4)",
    [SQL_TENANT_BY_NAME] = "SELECT id, name, region, created_us FROM tenant WHERE name = ?1",
    [SQL_TENANT_BY_ID] = "SELECT id, name, region, created_us FROM tenant WHERE id = ?1",
    [SQL_TENANT_LIST] = "SELECT id, name, region, created_us FROM tenant "
                        "WHERE name > ?1 ORDER BY name",

    [SQL_ENGAGEMENT_ADD] =
        "INSERT INTO engagement (id, tenant, name, state, started_us, ended_us, due_us, left_us, "
        "purged_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQL_ENGAGEMENT_BY_NAME] = ENGAGEMENT_COLUMNS "WHERE tenant = ?1 AND name = ?2",
    [SQL_ENGAGEMENT_BY_ID] = ENGAGEMENT_COLUMNS "WHERE tenant = ?1 AND id = ?2",
    [SQL_ENGAGEMENT_SET] = "UPDATE engagement SET state = ?3, started_us = ?4, ended_us = ?5, "
                           "due_us = ?6, purged_us = ?8, "
                           "left_us = CASE ?3 WHEN 4 THEN ?7 ELSE 0 END "
                           "WHERE tenant = ?1 AND id = ?2",
    [SQL_ENGAGEMENT_HOLD] = "UPDATE engagement SET state = 4, due_us = 0, left_us = "
                            "CASE WHEN due_us > ?3 THEN due_us - ?3 ELSE 0 END "
                            "WHERE tenant = ?1 AND id = ?2 AND state = 2",
    [SQL_ENGAGEMENT_LIFT] = "UPDATE engagement SET state = 2, due_us = ?3, left_us = 0 "
                            "WHERE tenant = ?1 AND id = ?2 AND state = 4",
    [SQL_ENGAGEMENT_LIST] = ENGAGEMENT_COLUMNS "WHERE tenant = ?1 AND name > ?2 ORDER BY name",
    [SQL_ENGAGEMENT_ENDED] =
        ENGAGEMENT_COLUMNS "WHERE state IN (2, 4) ORDER BY due_us, tenant, id LIMIT ?1 OFFSET ?2",

    [SQL_KEY_ADD] =
        "INSERT INTO key (id, tenant, engagement, name, provider, state, version, scope, class, "
        "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQL_KEY_BY_NAME] = KEY_COLUMNS "WHERE tenant = ?1 AND name = ?2",
    [SQL_KEY_BY_ID] = KEY_COLUMNS "WHERE tenant = ?1 AND id = ?2",
    [SQL_KEY_SET] = "UPDATE key SET engagement = ?3, provider = ?4, state = ?5, version = ?6, "
                    "scope = ?7, class = ?8 WHERE tenant = ?1 AND id = ?2",
    [SQL_KEY_LIST] = KEY_COLUMNS "WHERE tenant = ?1 AND name > ?2 ORDER BY name",
    /* A key whose versions are gone is still found, as one with a destroyed version. */
    [SQL_KEY_LEASABLE] =
        "SELECT t.id, t.name, t.region, t.created_us, k.id, k.tenant, k.engagement, k.name, "
        "k.provider, k.state, k.version, k.scope, k.class, k.created_us, g.state, "
        "coalesce(v.state, 3), coalesce(v.hint, ''), coalesce(v.sealed, x'') FROM tenant t "
        "JOIN key k ON k.tenant = t.id AND k.name = ?2 "
        "JOIN engagement g ON g.tenant = t.id AND g.id = k.engagement "
        "LEFT JOIN version v ON v.tenant = t.id AND v.key = k.id AND v.version = k.version "
        "WHERE t.name = ?1",
    [SQL_KEY_PURGE] = "UPDATE key SET state = 3 WHERE tenant = ?1 AND engagement = ?2",

    [SQL_VERSION_ADD] = "INSERT INTO version (tenant, key, version, state, hint, created_us, "
                        "destroy_at_us, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_VERSION_GET] = VERSION_COLUMNS "WHERE tenant = ?1 AND key = ?2 AND version = ?3",
    [SQL_VERSION_SUPERSEDE] = "UPDATE version SET state = 2, destroy_at_us = ?4 "
                              "WHERE tenant = ?1 AND key = ?2 AND version = ?3 AND state = 1",
    [SQL_VERSION_DESTROY] = "UPDATE version SET state = 3, destroy_at_us = ?4, sealed = x'' "
                            "WHERE tenant = ?1 AND key = ?2 AND version = ?3 AND state <> 3",
    [SQL_VERSION_STATE] =
        "SELECT state FROM version WHERE tenant = ?1 AND key = ?2 AND version = ?3",
    [SQL_VERSION_LIST] = VERSION_COLUMNS "WHERE tenant = ?1 AND key = ?2 ORDER BY version DESC",
    [SQL_VERSION_DUE] =
        VERSION_COLUMNS_UNSEALED "WHERE state = 2 AND destroy_at_us <= ?1 ORDER BY destroy_at_us",
    [SQL_VERSION_LIVE] = VERSION_COLUMNS_UNSEALED
    "WHERE state < 3 AND (key, version) > (?1, ?2) ORDER BY key, version",
    [SQL_VERSION_REVOKED] = VERSION_COLUMNS_UNSEALED
    "WHERE state < 3 AND (tenant, key) IN (SELECT tenant, id FROM key WHERE state = 2)",
    [SQL_VERSION_PURGE] = "DELETE FROM version WHERE tenant = ?1 AND key IN "
                          "(SELECT id FROM key WHERE tenant = ?1 AND engagement = ?2)",

    [SQL_CERTIFICATE_ADD] =
        "INSERT INTO certificate (spki, role, name, tenant, gateway, issued_us, "
        "not_after_us, revoked_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_CERTIFICATE_LIMIT] = "INSERT INTO limited_certificate (spki) VALUES (?1)",
    /* The first revocation counts. */
    [SQL_CERTIFICATE_REVOKE] = "UPDATE certificate SET revoked_us = "
                               "CASE revoked_us WHEN 0 THEN ?2 ELSE revoked_us END WHERE spki = ?1",
    [SQL_CERTIFICATE_LIST] = "SELECT c.spki, role, name, tenant, gateway, issued_us, "
                             "not_after_us, revoked_us, l.spki IS NOT NULL FROM certificate c "
                             "LEFT JOIN limited_certificate l ON l.spki = c.spki "
                             "WHERE c.spki > ?1 ORDER BY c.spki",
    /* A person's, in the log where it was issued: the vault's or a tenant's. */
    [SQL_CERTIFICATE_FORGET] = "UPDATE certificate SET name = ?3 WHERE name = ?1 "
                               "AND tenant IS ?2 AND gateway IS NULL",

    [SQL_ASSIGNMENT_ADD] = "INSERT INTO assignment (auditor, name, tenant, assigned_us) "
                           "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (auditor, name) DO NOTHING",
    [SQL_ASSIGNMENT_REMOVE] =
        "DELETE FROM assignment WHERE auditor = ?1 AND name = ?2 AND tenant = ?3",
    [SQL_ASSIGNMENT_LIST] = "SELECT auditor, name, tenant, assigned_us FROM assignment "
                            "ORDER BY auditor, name LIMIT ?1 OFFSET ?2",
    [SQL_ASSIGNMENT_TENANTS] = "SELECT t.id, t.name, t.region, t.created_us FROM assignment a "
                               "JOIN tenant t ON t.name = a.name AND t.id = a.tenant "
                               "WHERE a.auditor = ?1 AND a.name > ?2 ORDER BY a.name",

    [SQL_GATEWAY_ADD] = "INSERT INTO gateway (id, name, created_us, removed_us) "
                        "VALUES (?1, ?2, ?3, ?4)",
    [SQL_GATEWAY_BY_NAME] = "SELECT id, name, created_us, removed_us FROM gateway "
                            "WHERE name = ?1 AND removed_us = 0",
    [SQL_GATEWAY_REMOVE] = "UPDATE gateway SET removed_us = ?2 WHERE id = ?1 AND removed_us = 0",
    [SQL_GATEWAY_LIST] = "SELECT id, name, created_us, removed_us FROM gateway "
                         "WHERE name > ?1 AND removed_us = 0 ORDER BY name",

    [SQL_GRANT_ADD] = "INSERT INTO gateway_grant (gateway, tenant, pattern, max_ttl_s, created_us) "
                      "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (gateway, tenant, pattern) "
                      "DO UPDATE SET max_ttl_s = excluded.max_ttl_s",
    [SQL_GRANT_REMOVE] =
        "DELETE FROM gateway_grant WHERE gateway = ?1 AND tenant = ?2 AND pattern = ?3",
    [SQL_GRANT_REMOVE_GATEWAY] = "DELETE FROM gateway_grant WHERE gateway = ?1",
    [SQL_GRANT_LIST] = "SELECT a.gateway, g.name, a.tenant, t.name, a.pattern, a.max_ttl_s, "
                       "a.created_us FROM gateway_grant a JOIN gateway g ON g.id = a.gateway "
                       "JOIN tenant t ON t.id = a.tenant "
                       "ORDER BY a.gateway, a.tenant, a.pattern LIMIT ?1 OFFSET ?2",

    [SQL_RECORD_ADD] = "INSERT INTO record (log, seq, time_us, type, outcome, mac, line, until_us) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (log, seq) DO NOTHING",
    [SQL_RECORD_GET] = RECORD_COLUMNS "WHERE log = ?1 AND seq = ?2",
    [SQL_RECORD_LIST] = RECORD_COLUMNS "WHERE log = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
    [SQL_RECORD_LIST_BACK] =
        RECORD_COLUMNS "WHERE log = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
    [SQL_RECORD_FEED] = "SELECT log, seq, time_us, type, outcome, mac, line, id FROM record "
                        "WHERE id > ?1 ORDER BY id LIMIT ?2",
    [SQL_RECORD_OPERATORS] =
        RECORD_COLUMNS "INDEXED BY record_operator "
                       "WHERE log = ?1 AND seq >= ?2 AND " RECORD_OPERATORS " ORDER BY seq",
    /* The index finds them, and its list of ids is read in order: nothing is sorted with lines. */
    [SQL_RECORD_LEASES] = RECORD_COLUMNS "WHERE id IN (SELECT id FROM record "
                                         "WHERE until_us > ?1 AND until_us > 0) ORDER BY id",
    /* The newest ?2 of those above ?1, upwards. */
    [SQL_RECORD_EVENTS] = "SELECT log, seq, time_us, type, outcome, mac, line, id FROM record "
                          "WHERE id IN (SELECT id FROM record INDEXED BY record_event "
                          "WHERE " RECORD_EVENTS " AND type <> 308 AND id > ?1 "
                          "ORDER BY id DESC LIMIT ?2) ORDER BY id",
    [SQL_RECORD_ACKNOWLEDGED] = "SELECT log, seq, time_us, type, outcome, mac, line, id FROM "
                                "record INDEXED BY record_event "
                                "WHERE " RECORD_EVENTS " AND type = 308 AND id > ?1 ORDER BY id",

    [SQL_HEAD_SET] = "INSERT INTO head (log, size, head) VALUES (?1, ?2, ?3) "
                     "ON CONFLICT (log) DO UPDATE SET size = excluded.size, head = excluded.head",
    [SQL_HEAD_LIST] = "SELECT log, size, head FROM head ORDER BY log",
    [SQL_HEAD_SIZE] = "SELECT size FROM head WHERE log = ?1",

    [SQL_PERSON_ADD] = "INSERT INTO person (log, tag, salt, name) VALUES (?1, ?2, ?3, ?4)",
    [SQL_PERSON_BY_NAME] = PERSON_COLUMNS "WHERE log = ?1 AND name = ?2",
    [SQL_PERSON_BY_TAG] = PERSON_COLUMNS "WHERE log = ?1 AND tag = ?2",
    [SQL_PERSON_LIST] = PERSON_COLUMNS "WHERE log = ?1 AND tag > ?2 ORDER BY tag",
    [SQL_PERSON_ERASE] = "DELETE FROM person WHERE log = ?1 AND tag = ?2",

    [SQL_RETENTION_SET] = "INSERT INTO retention (tenant, days, seq) VALUES (?1, ?2, ?3) "
                          "ON CONFLICT (tenant) DO UPDATE SET days = excluded.days, "
                          "seq = excluded.seq",
    [SQL_RETENTION_GET] = "SELECT tenant, days, seq FROM retention WHERE tenant = ?1",
    [SQL_RETENTION_LIST] =
        "SELECT tenant, days, seq FROM retention WHERE tenant > ?1 AND days > 0 ORDER BY tenant",

    [SQL_POLICY_ADD] = "INSERT INTO policy (owner, version, hash, document, set_us, actor) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_POLICY_GET] = POLICY_COLUMNS "document FROM policy WHERE owner = ?1 "
                                      "AND (?2 = 0 OR version = ?2) ORDER BY version DESC LIMIT 1",
    [SQL_POLICY_BY_HASH] = POLICY_COLUMNS "document FROM policy WHERE owner = ?1 AND hash = ?2 "
                                          "ORDER BY version DESC LIMIT 1",
    [SQL_POLICY_OWNER] = "SELECT owner FROM policy WHERE owner > ?1 ORDER BY owner LIMIT 1",
    [SQL_POLICY_LIST] =
        POLICY_COLUMNS "1 FROM policy WHERE owner = ?1 AND version < ?2 ORDER BY version DESC",
    [SQL_BEGINNING_SET] = "INSERT INTO beginning (log, first) VALUES (?1, ?2) "
                          "ON CONFLICT (log) DO UPDATE SET first = excluded.first "
                          "WHERE excluded.first > first",
    [SQL_BEGINNING_GET] = "SELECT first FROM beginning WHERE log = ?1",
    [SQL_BEGINNING_LIST] = "SELECT log FROM beginning WHERE log > ?1 ORDER BY log",
    [SQL_RECORD_OLDEST] = "SELECT seq FROM record WHERE log = ?1 ORDER BY seq LIMIT 1",
    /* Only what the log does not begin with any more, whatever the number says. */
    [SQL_RECORD_DELETE] = "DELETE FROM record WHERE log = ?1 AND seq < ?2 AND seq < "
                          "coalesce((SELECT first FROM beginning WHERE log = ?1), 0)",

    [SQL_NOTE_SET] = "INSERT INTO checkpoint (log, size, time_us, note) VALUES (?1, ?2, ?3, ?4) "
                     "ON CONFLICT (log) DO UPDATE SET size = excluded.size, "
                     "time_us = excluded.time_us, note = excluded.note",
    [SQL_NOTE_GET] = "SELECT size, time_us, note FROM checkpoint WHERE log = ?1",
    [SQL_NODE_ADD] = "INSERT INTO node (log, level, number, hash) VALUES (?1, ?2, ?3, ?4) "
                     "ON CONFLICT (log, level, number) DO NOTHING",
    [SQL_NODE_LIST] = "SELECT number, hash FROM node WHERE log = ?1 AND level = ?2 AND "
                      "number >= ?3 AND number < ?4 ORDER BY number",
    [SQL_TREE_NOTE_ADD] = "INSERT INTO tree_note (size, note) VALUES (?1, ?2) "
                          "ON CONFLICT (size) DO UPDATE SET note = excluded.note",
    [SQL_TREE_NOTE_DROP] = "DELETE FROM tree_note WHERE size < ?1 AND "
                           "NOT EXISTS (SELECT 1 FROM cosignature c WHERE c.size = tree_note.size)",
    [SQL_TREE_NOTE_GET] = "SELECT note FROM tree_note WHERE size = ?1",
    [SQL_COSIGNATURE_ADD] = "INSERT INTO cosignature (size, witness, line) VALUES (?1, ?2, ?3) "
                            "ON CONFLICT (size, witness) DO UPDATE SET line = excluded.line",
    [SQL_COSIGNATURE_DROP] = "DELETE FROM cosignature WHERE size < ?1",
    [SQL_COSIGNATURE_LIST] = "SELECT size, witness, line FROM cosignature ORDER BY size, witness",
    /* The types that src/engine/alert_rules.c has rows for, and alerts themselves. */
    [SQL_RECORD_ALERTS] = RECORD_COLUMNS
    "WHERE id > coalesce((SELECT id FROM record ORDER BY id DESC LIMIT 1), 0) - ?1 "
    "AND time_us >= ?2 AND type IN (2, 11, 12, 300, 303, 406, 407, 413) ORDER BY id",
    [SQL_FIRST_USE_ADD] = "INSERT INTO first_use (tenant, key, gateway, seq, told) "
                          "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key, gateway) DO NOTHING",
    [SQL_FIRST_USE_TOLD] =
        "UPDATE first_use SET told = 1 WHERE tenant = ?1 AND key = ?2 AND gateway = ?3",
    [SQL_FIRST_USE_TOLD_ALL] = "UPDATE first_use SET told = 1 WHERE told = 0 AND tenant = ?1",
    [SQL_FIRST_USE_UNTOLD] = "SELECT tenant, key, gateway, seq FROM first_use "
                             "WHERE told = 0 AND (tenant, seq) > (?1, ?2) ORDER BY tenant, seq",
    [SQL_KEY_RATE_SET] = "INSERT INTO key_rate (tenant, key, hour, hours, mean) "
                         "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO UPDATE SET "
                         "hour = excluded.hour, hours = excluded.hours, mean = excluded.mean",
    [SQL_KEY_RATE_GET] = "SELECT hour, hours, mean FROM key_rate WHERE tenant = ?1 AND key = ?2",

    [SQL_USAGE_ADD] =
        "INSERT INTO usage_total (tenant, day, key, gateway, model, class, requests, failures, "
        "input_tokens, output_tokens, cost_micro, reports, inferred) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
        "ON CONFLICT (tenant, day, key, model, gateway) DO UPDATE SET class = excluded.class" GROWN(
            "requests") GROWN("failures") GROWN("input_tokens") GROWN("output_tokens")
            GROWN("cost_micro") GROWN("reports") GROWN("inferred"),
    [SQL_USAGE_MODELS] = "SELECT model FROM usage_total "
                         "WHERE tenant = ?1 AND day = ?2 AND key = ?3 ORDER BY model",
    [SQL_USAGE_COSTS] = "SELECT key, day, min(sum(cost_micro), 99999999999999) FROM usage_total "
                        "WHERE tenant = ?1 AND day >= ?2 GROUP BY day, key",
    [SQL_USAGE_OF_TENANT] =
        USAGE_NAMED USAGE_SUMMED "FROM usage_total u " USAGE_WHERE "AND u.tenant = ?8 " USAGE_ORDER,
    /* Tenant by tenant: rows of a tenant are beside each other. */
    [SQL_USAGE_OF_ALL] = USAGE_NAMED USAGE_SUMMED
    "FROM tenant w CROSS JOIN usage_total u ON u.tenant = w.id " USAGE_WHERE
    "AND (?8 = '' OR EXISTS (SELECT 1 FROM assignment s "
    "WHERE s.auditor = ?8 AND s.tenant = w.id)) " USAGE_ORDER,
    [SQL_USAGE_FORGET] = "DELETE FROM usage_total WHERE day < ?1",
    [SQL_USAGE_NUMBER_GET] = "SELECT next, seen, until_us FROM usage_number "
                             "WHERE tenant = ?1 AND subject = ?2 AND gateway = ?3",
    [SQL_USAGE_NUMBER_SET] =
        "INSERT INTO usage_number (tenant, subject, gateway, next, seen, until_us) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, subject, gateway) DO UPDATE SET "
        "next = excluded.next, seen = excluded.seen, until_us = excluded.until_us",
    [SQL_USAGE_NUMBER_FORGET] = "DELETE FROM usage_number WHERE until_us < ?1",
    [SQL_COMPAT_SET] = "INSERT INTO compat (tenant, binding, since_us) VALUES (?1, ?2, ?3) "
                       "ON CONFLICT (tenant) DO UPDATE SET binding = excluded.binding",
    [SQL_COMPAT_REMOVE] = "DELETE FROM compat WHERE tenant = ?1",
    [SQL_COMPAT_GET] = "SELECT binding, since_us FROM compat WHERE tenant = ?1",
    [SQL_APPROLE_ADD] = "INSERT INTO approle (role, gateway, secret_hash, binding, address, bits, "
                        "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_APPROLE_REMOVE] = "DELETE FROM approle WHERE role = ?1 AND gateway = ?2",
    [SQL_APPROLE_REMOVE_GATEWAY] = "DELETE FROM approle WHERE gateway = ?1",
    [SQL_APPROLE_GET] = APPROLE_COLUMNS "WHERE a.role = ?1 AND g.removed_us = 0",
    [SQL_APPROLE_LIST] = APPROLE_COLUMNS "WHERE a.gateway = ?1 ORDER BY a.role",
    [SQL_ISSUED_TOKEN_ADD] = "INSERT INTO issued_token (hash, gateway, binding, address, bits, "
                             "created_us, expires_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_ISSUED_TOKEN_REMOVE] = "DELETE FROM issued_token WHERE hash = ?1",
    [SQL_ISSUED_TOKEN_REMOVE_GATEWAY] = "DELETE FROM issued_token WHERE gateway = ?1",
    [SQL_ISSUED_TOKEN_EXPIRE] = "DELETE FROM issued_token WHERE expires_us <= ?1",
    [SQL_ISSUED_TOKEN_LIST] =
        "SELECT i.hash, i.gateway, g.name, i.binding, i.address, i.bits, i.created_us, "
        "i.expires_us FROM issued_token i JOIN gateway g ON g.id = i.gateway "
        "WHERE i.hash > ?1 AND g.removed_us = 0 ORDER BY i.hash",
};
