/* A server may be of another version, or hostile: nothing is assumed to be there. */
#include "reply.h"

#include <string.h>

#include "report.h"

const char *reply_text(const json_t *reply, const char *name)
{
    return json_string_value(json_object_get(reply, name));
}

bool reply_hex(const json_t *reply, const char *name, uint8_t *out, size_t n)
{
    const char *text = reply_text(reply, name);

    return text != NULL && hex_parse(text, strlen(text), out, n);
}

bool reply_id(const json_t *reply, const char *name, struct id *ret_id)
{
    return reply_hex(reply, name, ret_id->b, sizeof(ret_id->b));
}

bool reply_number(const json_t *reply, const char *name, uint64_t max, uint64_t *ret_value)
{
    const json_t *number = json_object_get(reply, name);

    if (!json_is_integer(number) || json_integer_value(number) < 0 ||
        (uint64_t)json_integer_value(number) > max)
        return false;
    *ret_value = (uint64_t)json_integer_value(number);
    return true;
}

int reply_report(const char *what)
{
    return report(EXIT_OTHER, "the server's answer has no usable %s: is it of another version?",
                  what);
}
