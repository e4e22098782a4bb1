/* The paths of the Vault-compatible face. Input: a namespace header, a NUL, a path. Whatever is
 * understood names a tenant that was spelled whole, between slashes or ends, and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "compat/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is name a segment of text? */
static bool spells(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        if ((at == text || at[-1] == '/') && (at[n] == '\0' || at[n] == '/'))
            return true;
    }
    return false;
}

static bool is_one_segment(const char *header)
{
    const char *begin = header + strspn(header, "/");
    size_t n = strcspn(begin, "/");

    return n > 0 && begin[n + strspn(begin + n, "/")] == '\0';
}

static void check(const char *url, const char *header, const struct compat_path *p)
{
    bool said = header != NULL && header[strspn(header, "/")] != '\0';

    if (p->route == COMPAT_NOTHING)
        abort();
    if (p->tenant[0] != '\0' && !name_valid(p->tenant))
        abort();
    /* What the header says is what is meant; without it, it is in the path. */
    if (said && (!is_one_segment(header) || !spells(header, p->tenant)))
        abort();
    if (!said && p->tenant[0] != '\0' && !spells(url, p->tenant))
        abort();
    if (p->name[0] != '\0' && !spells(url, p->name))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct compat_path p;
    char *text = malloc(size + 1);
    const char *url, *header = text;

    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (strlen(text) == size) { /* no NUL: no header */
        url = text;
        header = NULL;
    } else {
        url = text + strlen(text) + 1;
    }
    if (compat_path_parse(url, header, &p) == NULL)
        check(url, header, &p);
    free(text);
    return 0;
}
