#include "compat/duration.h"

#include <stddef.h>
#include <string.h>

#define DURATION_MAX ((uint64_t)1 << 31)

static uint64_t unit(char c)
{
    static const char names[] = "smhd";
    static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
    const char *at = c == '\0' ? NULL : strchr(names, c);

    return at == NULL ? 0 : seconds[at - names];
}

bool duration_parse(const char *text, uint64_t *ret_s)
{
    uint64_t sum = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789");
        uint64_t number = 0, each;

        if (digits == 0 || digits > 10)
            return false;
        for (size_t i = 0; i < digits; i++)
            number = 10 * number + (uint64_t)(text[i] - '0');
        text += digits;
        each = *text == '\0' ? 1 : unit(*text);
        if (each == 0)
            return false;
        text += *text != '\0';
        sum += number * each;
        if (sum > DURATION_MAX)
            return false;
    }
    *ret_s = sum;
    return true;
}
