/*
 * The value of a key, by its fields. A value is one line of bytes: the key itself, or a JSON object
 * (RFC 8259) of strings, at most LIMIT_PROVIDER_KEY. It is read in place: everything that goes in
 * is a view of the caller's guarded memory, everything that comes out is such a view or goes to
 * guarded memory of the caller. Nothing is allocated, and nothing of a value is in an error.
 */
#ifndef PROVIDER_CREDENTIAL_H
#define PROVIDER_CREDENTIAL_H

#include "provider/provider.h"

#define CREDENTIAL_MEMBERS 32 /* of an object */
#define CREDENTIAL_NAME    63 /* of a member: letters, digits and _ */

/* One field of a value: views of it. */
struct credential_field {
    struct span name;
    struct span raw; /* as it stands there */
    bool escaped;    /* raw has escapes: credential_read resolves them */
};

struct credential_walk {
    struct span name[CREDENTIAL_MEMBERS]; /* names so far */
    size_t count;
    struct span rest;
    bool object;
    bool over;
};

/*
 * All fields of a value, of an open object also the members that are no fields. A provider's bare
 * field is the one and only of a value that is no object.
 * BAD_INPUT: the value is empty, must be a JSON object and is none, or is not a flat object of
 * strings with plain names that differ; only next finds what is wrong behind the beginning.
 */
MUST_CHECK status credential_walk(const struct provider *p, struct span value,
                                  struct credential_walk *ret_walk, struct err *e);
MUST_CHECK status credential_next(struct credential_walk *w, struct credential_field *ret_field,
                                  bool *ret_more, struct err *e);
/* The field of that name. NOT_FOUND without one; the errors of the walk, which goes to the end. */
MUST_CHECK status credential_find(const struct provider *p, struct span value, const char *name,
                                  struct credential_field *ret_field, struct err *e);
/* Its text, UTF-8, without a NUL behind it. LIMIT if out is too small, and out is wiped then. */
MUST_CHECK status credential_read(const struct credential_field *f, struct mspan out, size_t *ret_n,
                                  struct err *e);

/*
 * Is value a whole credential of p? For whoever takes one in; what is stored already may be older
 * than the catalogue. BAD_INPUT with the reason: as above, a member that the provider's credential
 * does not have, an empty field, no form that the fields are (ret_missing: the first field that the
 * nearest form lacks, or NULL), the constant is not there.
 */
MUST_CHECK status credential_check(const struct provider *p, struct span value,
                                   const struct provider_field **ret_missing, struct err *e);

enum render_use {
    RENDER_HEADER, /* a field value of RFC 9110: visible ASCII and spaces between */
    RENDER_TEXT    /* an environment variable: anything but NUL */
};

/*
 * The template with {field} replaced by the fields' text and {} by the whole value, into out,
 * without a NUL behind it. NOT_FOUND: the value lacks a field that the template names, so there is
 * no such header or variable for this value. BAD_INPUT: as above, or what would come out is not fit
 * for its use. LIMIT: out is too small (LIMIT_PROVIDER_KEY and the template's length are enough).
 * After an error out is wiped.
 */
MUST_CHECK status provider_render(const struct provider *p, const char *template,
                                  enum render_use use, struct span value, struct mspan out,
                                  size_t *ret_n, struct err *e);

#endif
