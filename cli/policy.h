/* What the files behind the noun 'policy' share. */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "policy/document.h"

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

#endif
