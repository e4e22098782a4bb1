/* What the files behind the noun 'policy' share. */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include <jansson.h>

#include "policy/decide.h"

struct cli;

/* A document from a file; its text stays with it. */
struct policy_file {
    struct policy_document *document;
    size_t length;
    char text[DOCUMENT_MAX + 2];
};

/* Reads and parses path into *f; a mistake is reported with its line. Free f->document. */
int policy_file_read(const char *path, bool vault, struct policy_file *f);
/* "PATH:LINE: warning: ..." for what is odd; returns how many. */
size_t policy_file_warn(const char *path, const struct policy_document *d);

/* A document of the vault, held against its hash. *ret_document is NULL if there is none in force
 * (version 0: the newest), or it was removed. */
struct policy_version {
    uint64_t version; /* 0: none was ever set */
    uint8_t hash[32];
    bool lost; /* its text is not there any more */
    json_t *reply;
    struct policy_document *document;
};
int policy_fetch(struct cli *c, const char *owner, uint64_t version, struct policy_version *ret);
/* The same by the hash, in hex, that a record says. EXIT_ABSENT. */
int policy_fetch_hash(struct cli *c, const char *owner, const char *hash,
                      struct policy_version *ret);
void policy_version_clear(struct policy_version *v);
/* The first argument: the name of a tenant, or 'vault'. */
int policy_owner(const struct cli *c, const char **ret_owner, bool *ret_vault);

/* What a record of a lease says was asked. Views of the record. false: it is of no lease, or says
 * too little. region: of the vault. */
bool policy_asked(const json_t *record, const char *region, struct policy_question *ret_question);
/* The region that the vault serves. */
int policy_region(struct cli *c, char out[static 32]);
/* Calls take for each record of log, oldest first, whose type begins so; since_us 0: all. */
typedef int (*policy_record_fn)(void *context, json_t *record);
int policy_records(struct cli *c, const char *log, const char *type, uint64_t since_us,
                   policy_record_fn take, void *context);

#endif
