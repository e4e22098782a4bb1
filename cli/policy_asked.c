/* Records of leases as the questions that documents were asked. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "policy.h"
#include "provider/provider.h"
#include "reply.h"

#define PAGE 500

static struct span text_of(const json_t *record, const char *name)
{
    const json_t *value = json_object_get(record, name);

    return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value))
                                 : span_of(NULL, 0);
}

/* A person's tag is no purpose: who does not know the name behind it does not know the purpose. */
static struct span purpose_of(const json_t *record)
{
    struct span purpose = text_of(record, "purpose");

    return purpose.n > 0 && purpose.p[0] == '~' ? span_of(NULL, 0) : purpose;
}

bool policy_asked(const json_t *record, const char *region, struct policy_question *ret_question)
{
    static const char role[] = "gateway:";
    const char *class = reply_text(record, "class");
    const char *scope = reply_text(record, "scope");
    struct span key = text_of(record, "key");
    struct span actor = text_of(record, "actor");
    struct span time = text_of(record, "time");
    const uint8_t *slash = key.n > 0 ? memchr(key.p, '/', key.n) : NULL;
    struct policy_question q = { .provider = text_of(record, "provider"),
                                 .model = text_of(record, "model"),
                                 .environment = text_of(record, "environment"),
                                 .classification = text_of(record, "classification"),
                                 .purpose = purpose_of(record),
                                 .region = span_text(region) };

    if (slash == NULL || actor.n < sizeof(role) || memcmp(actor.p, role, sizeof(role) - 1) != 0 ||
        !time_parse((const char *)time.p, time.n, &q.time_us))
        return false;
    q.tenant = span_of(key.p, (size_t)(slash - key.p));
    q.key = span_of(slash + 1, key.n - q.tenant.n - 1);
    q.gateway = span_of(actor.p + sizeof(role) - 1, actor.n - (sizeof(role) - 1));
    q.class = class != NULL ? class_parse(class) : 0;
    q.scope = scope != NULL ? scope_parse(scope) : 0;
    *ret_question = q;
    return true;
}

int policy_region(struct cli *c, char out[static 32])
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);

    out[0] = '\0';
    if (code == EXIT_DONE && reply_text(reply, "region") != NULL)
        snprintf(out, 32, "%s", reply_text(reply, "region"));
    return code;
}

static int take_page(struct span page, policy_record_fn take, void *context)
{
    int code = EXIT_DONE;

    while (page.n > 0 && code == EXIT_DONE) {
        const uint8_t *end = memchr(page.p, '\n', page.n);
        size_t n = end != NULL ? (size_t)(end - page.p) : page.n;
        AUTO(json_t) *record = json_loadb((const char *)page.p, n, JSON_REJECT_DUPLICATES, NULL);

        if (record == NULL)
            return reply_report("record");
        code = take(context, record);
        n += end != NULL;
        page = span_of(page.p + n, page.n - n);
    }
    return code;
}

/* What was dropped is not asked for. */
static int log_first(struct cli *c, const char *log, uint64_t *ret_first)
{
    AUTO(json_t) *reply = NULL;
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s", log);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code == EXIT_DONE && !reply_number(reply, "first", INT64_MAX, ret_first))
        return reply_report("beginning of the log");
    return code;
}

int policy_records(struct cli *c, const char *log, const char *type, uint64_t since_us,
                   policy_record_fn take, void *context)
{
    char since[TIME_TEXT_LENGTH + 1];
    char path[256];
    uint64_t from = 0;
    int code = log_first(c, log, &from);

    time_format(since_us, since);
    while (code == EXIT_DONE) {
        struct span page;
        uint64_t next = 0;

        snprintf(path, sizeof(path), "/v1/logs/%s/records?from=%llu&limit=%d&type=%s&since=%s", log,
                 (unsigned long long)from, PAGE, type, since);
        code = https_lines(c, path, &page);
        if (code != EXIT_DONE)
            return code;
        bool more = https_header_number(c, "Strongroom-Next", &next) && next > from;
        uint64_t size = 0;

        (void)https_header_number(c, "Strongroom-Log-Size", &size);
        code = take_page(page, take, context);
        if (!more || next >= size)
            break;
        from = next;
    }
    return code;
}
