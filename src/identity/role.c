/*
 * Roles and the URI that names a certificate's holder. One text form each: what does not come back
 * from formatting byte for byte is refused, so two different texts never mean the same holder.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const char *const names[ROLE_COUNT] = {
    [ROLE_NONE] = "none",     [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin",
    [ROLE_TENANT] = "tenant", [ROLE_GATEWAY] = "gateway",   [ROLE_AUDITOR] = "auditor",
    [ROLE_LOCAL] = "local",
};

const char *role_name(enum role role)
{
    if ((unsigned int)role >= ROLE_COUNT)
        return names[ROLE_NONE];
    return names[role];
}

enum role role_parse(const char *text)
{
    for (enum role role = ROLE_OPERATOR; role < ROLE_COUNT; role++)
        if (strcmp(text, names[role]) == 0)
            return role;
    return ROLE_NONE;
}

void identity_uri_format(const struct id *vault, enum role role, const char *name,
                         char out[static URI_MAX])
{
    char hex[ID_HEX_LENGTH + 1];

    hex_format(SPAN(vault->b), hex);
    snprintf(out, URI_MAX, URI_SCHEME "%s/%s/%s", hex, role_name(role), name);
}

bool identity_uri_parse(struct span uri, const struct id *vault, struct holder *ret_holder)
{
    char text[URI_MAX], again[URI_MAX], *role, *name;
    struct holder holder = { 0 };

    if (uri.n >= sizeof text || memchr(uri.p, 0, uri.n) != NULL)
        return false;
    memcpy(text, uri.p, uri.n);
    text[uri.n] = 0;
    name = strrchr(text, '/');
    if (name == NULL)
        return false;
    *name++ = 0;
    role = strrchr(text, '/');
    if (role == NULL)
        return false;
    holder.role = role_parse(role + 1);
    if (holder.role == ROLE_NONE || holder.role == ROLE_LOCAL || !name_valid(name))
        return false;
    memcpy(holder.name, name, strlen(name) + 1);

    identity_uri_format(vault, holder.role, holder.name, again);
    if (!span_same(span_text(again), uri))
        return false;
    *ret_holder = holder;
    return true;
}
