/* Reports of usage in all four formats, and that what a body says in members that nobody asked for
 * is not in what comes of it. The first byte says which format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usage/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAID_MAX 2048
#define RUN      12 /* longer than any word that the parsers write by themselves */

static void must(bool fine)
{
    if (!fine)
        abort();
}

static void check_text(const char *text, size_t cap, const char *marks)
{
    size_t n = strnlen(text, cap);

    must(n < cap);
    for (size_t i = 0; i < n; i++)
        must((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
             (text[i] >= '0' && text[i] <= '9') || strchr(marks, text[i]) != NULL);
}

static void check_item(const struct usage_item *item)
{
    uint64_t ended = 0;

    check_text(item->model, sizeof item->model, "._:/@+-");
    must(item->model[0] != '\0');
    check_text(item->ids, sizeof item->ids, "._:- ");
    check_text(item->once, sizeof item->once, "._:-");
    must(memchr(item->key, 0, sizeof item->key) != NULL);
    must(memchr(item->lease, 0, sizeof item->lease) != NULL);
    must(item->report <= USAGE_REPORT_MAX);
    must(item->input_tokens <= USAGE_TOKEN_MAX && item->output_tokens <= USAGE_TOKEN_MAX);
    must(item->cost_nano <= (uint64_t)USAGE_COST_MAX * NANO);
    if (item->why != NULL)
        return;
    must(item->requests <= USAGE_REQUEST_MAX);
    must(strspn(item->lease, "0123456789abcdefABCDEF") == strlen(item->lease));
    for (size_t i = 0; i < USAGE_ENDINGS; i++)
        ended += item->ended[i];
    must(ended <= item->requests);
}

static void parse(enum usage_format format, struct span body)
{
    struct usage *u = NULL;
    struct err e = { 0 };

    if (usage_parse(format, body, &u, &e) != OK) {
        must(e.why != NULL);
        return;
    }
    must(u->count <= USAGE_ITEMS_MAX);
    for (size_t i = 0; i < u->count; i++)
        check_item(&u->items[i]);
    usage_free(u);
}

/* Where prompts and completions are, and what nobody has heard of; %s is what was said. */
static const struct {
    enum usage_format format;
    const char *before, *after;
} said_in[] = {
    { USAGE_NATIVE, "{\"reports\":[{\"report\":1,\"prompt\":\"", "\"}]}" },
    { USAGE_NATIVE, "{\"reports\":[{\"report\":1,\"x\":{\"model\":[\"", "\"]}}]}" },
    { USAGE_NATIVE, "{\"x\":\"", "\",\"reports\":[{\"report\":1}]}" },
    { USAGE_LITELLM, "{\"messages\":[{\"content\":\"", "\"}],\"id\":\"1\"}" },
    { USAGE_LITELLM, "[{\"metadata\":{\"user_api_key_alias\":\"", "\"}}]" },
    { USAGE_LITELLM, "{\"error_information\":{\"error_message\":\"", "\"}}" },
    { USAGE_TRACES,
      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":["
      "{\"key\":\"gen_ai.system\"},{\"key\":\"gen_ai.input.messages\",\"value\":{\"stringValue\":\"",
      "\"}}]}]}]}]}" },
    { USAGE_LOGS,
      "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"",
      "\"},\"attributes\":[{\"key\":\"gen_ai.usage.input_tokens\",\"value\":{\"intValue\":1}}]"
      "}]}]}]}" },
};

static void say(const uint8_t *said, size_t size, size_t where)
{
    static char body[SAID_MAX * 6 + 512];
    struct usage *u = NULL;
    size_t n = (size_t)snprintf(body, sizeof body, "%s", said_in[where].before);

    for (size_t i = 0; i < size; i++)
        n += (size_t)snprintf(body + n, sizeof body - n,
                              said[i] >= ' ' && said[i] < 0x7f && said[i] != '"' && said[i] != '\\'
                                  ? "%c"
                                  : "\\u00%02x",
                              said[i]);
    n += (size_t)snprintf(body + n, sizeof body - n, "%s", said_in[where].after);
    must(usage_parse(said_in[where].format, span_of(body, n), &u, NULL) == OK);
    must(u->count == 1);
    for (size_t i = 0; i + RUN <= size; i++) {
        if (memchr(said + i, 0, RUN) == NULL)
            must(memmem(u, sizeof *u + sizeof u->items[0], said + i, RUN) == NULL);
    }
    usage_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum usage_format formats[] = { USAGE_NATIVE, USAGE_LITELLM, USAGE_TRACES,
                                                 USAGE_LOGS };
    char number[64];
    uint64_t value;

    if (size == 0)
        return 0;
    parse(formats[data[0] % 4], span_of(data + 1, size - 1));
    for (size_t i = 0; i < sizeof said_in / sizeof said_in[0]; i++)
        say(data + 1, size - 1 < SAID_MAX ? size - 1 : SAID_MAX, i);
    if (usage_decimal(span_of(data + 1, size - 1), data[0] % 10, 1000, &value)) {
        must(value <= 1000);
        snprintf(number, sizeof number, "%llu", (unsigned long long)value);
        must(usage_decimal(span_text(number), 0, 1000, &value));
    }
    return 0;
}
