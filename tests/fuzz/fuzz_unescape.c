/* head_unescape: paths and arguments as libmicrohttpd hands them over, which ends them with a NUL. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t slashes(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '/';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    size_t before, length, n;
    bool path;

    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    length = strlen(text);
    before = slashes(text);
    path = text[0] == '/';
    n = head_unescape(NULL, NULL, text);
    if (n > length || strlen(text) != n) /* nothing ends at a NUL */
        abort();
    if ((text[0] == '/') != path || (path && slashes(text) != before))
        abort(); /* a path has no more segments than it had, and nothing else becomes one */
    free(text);
    return 0;
}
