/* Typed reads of a request's body. The members' names are known to be allowed (verb.c). */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const struct request *rq, const char *member, size_t *ret_length)
{
    const json_t *value = json_object_get(rq->body, member);

    if (!json_is_string(value))
        return NULL;
    *ret_length = json_string_length(value);
    return json_string_value(value);
}

status body_name(const struct request *rq, const char *member, const char **ret_name, struct err *e)
{
    size_t n = 0;
    const char *text = text_of(rq, member, &n);

    if (text == NULL || strlen(text) != n || !name_valid(text))
        return fail(e, BAD_INPUT, "a name is missing or is not 1 to 63 of a-z 0-9 - _ .", 0);
    *ret_name = text;
    return OK;
}

status body_text(const struct request *rq, const char *member, bool optional, size_t max,
                 const char **ret_text, struct err *e)
{
    size_t n = 0;
    const char *text = text_of(rq, member, &n);

    if (optional && json_object_get(rq->body, member) == NULL) {
        *ret_text = NULL;
        return OK;
    }
    if (text == NULL || n == 0 || n > max || strlen(text) != n)
        return fail(e, BAD_INPUT, "a member of the body is missing, too long or not text", 0);
    *ret_text = text;
    return OK;
}

status body_number(const struct request *rq, const char *member, uint64_t absent, uint64_t min,
                   uint64_t max, uint64_t *ret_number, struct err *e)
{
    const json_t *value = json_object_get(rq->body, member);
    json_int_t number = json_integer_value(value);

    if (value == NULL) {
        *ret_number = absent;
        return OK;
    }
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < min || (uint64_t)number > max)
        return fail(e, BAD_INPUT, "a number in the body is out of range or not a number", 0);
    *ret_number = (uint64_t)number;
    return OK;
}

status body_hex(const struct request *rq, const char *member, size_t max, struct out *out,
                struct err *e)
{
    size_t n = 0;
    const char *text = text_of(rq, member, &n);
    uint8_t *room;

    if (text == NULL || n == 0 || n % 2 != 0 || n / 2 > max)
        return fail(e, BAD_INPUT, "a hex member of the body is missing or of a wrong length", 0);
    room = out_room(out, n / 2);
    if (room == NULL || !hex_parse(text, n, room, n / 2))
        return fail(e, BAD_INPUT, "a hex member of the body is not hex", 0);
    return OK;
}

status body_hex_exact(const struct request *rq, const char *member, uint8_t *out, size_t n,
                      struct err *e)
{
    size_t length = 0;
    const char *text = text_of(rq, member, &length);

    if (text == NULL || !hex_parse(text, length, out, n))
        return fail(e, BAD_INPUT, "a hex member of the body is missing or of a wrong length", 0);
    return OK;
}

status body_id(const struct request *rq, const char *member, struct id *ret_id, struct err *e)
{
    return body_hex_exact(rq, member, ret_id->b, sizeof ret_id->b, e);
}

status key_path_parse(const char *path, bool pattern, char tenant[STORE_NAME],
                      char key[STORE_PATTERN], struct err *e)
{
    const char *slash = strchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (n == 0 || n >= STORE_NAME || strlen(slash + 1) >= STORE_PATTERN)
        return fail(e, BAD_INPUT, "a key is named tenant/name", 0);
    snprintf(tenant, STORE_NAME, "%.*s", (int)n, path);
    snprintf(key, STORE_PATTERN, "%s", slash + 1);
    if (!name_valid(tenant) || !(pattern ? policy_pattern_valid(key) : name_valid(key)))
        return fail(e, BAD_INPUT, "a key is named tenant/name", 0);
    return OK;
}

status body_region(const struct engine *en, struct request *rq, struct err *e)
{
    const char *region;
    status st = body_text(rq, "region", true, LIMIT_REGION, &region, e);

    if (st == OK && region != NULL && strcmp(region, en->region) != 0) {
        rq->problem = PROBLEM_WRONG_REGION;
        return fail(e, DENIED, "this vault does not serve that region", 0);
    }
    return st;
}
