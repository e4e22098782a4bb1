/* Attributes of a key, by name. */
#include "provider/provider.h"

#include <stddef.h>
#include <string.h>

static const char *const scopes[] = {
    [SCOPE_INFERENCE] = "inference", [SCOPE_ADMIN] = "admin", [SCOPE_BILLING_READ] = "billing_read"
};
static const char *const classes[] = {
    [CLASS_STATIC] = "static", [CLASS_KILLABLE] = "killable", [CLASS_MINTED] = "minted"
};

static uint8_t parse(const char *const names[4], const char *name)
{
    for (uint8_t i = 1; i < 4; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return 0;
}

static const char *name_of(const char *const names[4], uint8_t code)
{
    return code > 0 && code < 4 ? names[code] : "unknown";
}

uint8_t scope_parse(const char *name)
{
    return parse(scopes, name);
}

const char *scope_name(uint8_t scope)
{
    return name_of(scopes, scope);
}

uint8_t class_parse(const char *name)
{
    return parse(classes, name);
}

const char *class_name(uint8_t class)
{
    return name_of(classes, class);
}
