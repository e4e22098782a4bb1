/*
 * POST of up to 100 records, signed as Standard Webhooks wants it:
 *
 *   {"type":"strongroom.records","timestamp":"<time of the last>","data":[<line>,<line>...]}
 *
 * The lines are the stored bytes. The id follows from the body, so that a page has the same one
 * however often it is sent, by this process or its successor.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "file.h"
#include "stream.h"

#define ID_MAX     48
#define SECRET_MAX 256
#define TIMEOUT_S  30L

static int open_settings(struct cli *c, struct sink *s)
{
    const char *path = cli_option(c, OPT_SECRET_FILE);
    AUTO(secret) *text = NULL;
    struct err e = { 0 };

    s->target = cli_option(c, OPT_TO); /* scheme and all */
    if (path == NULL)
        return report(EXIT_USAGE, "a webhook needs --secret-file with the secret that signs");
    if (file_read_secret(path, SECRET_MAX, &text, &e) != OK)
        return report_file(path, &e);
    if (webhook_secret(text, &s->secret, &e) != OK)
        return report_err(path, &e);
    return EXIT_DONE;
}

static void let_go(struct sink *s)
{
    curl_easy_cleanup(s->curl);
    s->curl = NULL;
}

static status compose(struct sink *s, struct span lines, struct err *e)
{
    struct span line = { 0 }, last = lines, rest = lines;
    char head[128];
    const char *comma = "";
    status st;

    while (take_line(&rest, &line))
        last = line;
    AUTO(json_t) *record = json_loadb((const char *)last.p, last.n, 0, NULL);
    const char *time = json_string_value(json_object_get(record, "time"));

    snprintf(head, sizeof(head),
             "{\"type\":\"strongroom.records\",\"timestamp\":\"%.40s\",\"data\":[",
             time != NULL ? time : "");
    s->used = 0;
    st = sink_put_text(s, head, e);
    while (st == OK && take_line(&lines, &line)) {
        st = sink_put_text(s, comma, e);
        if (st == OK)
            st = sink_put(s, line, e);
        comma = ",";
    }
    return st == OK ? sink_put_text(s, "]}", e) : st;
}

static size_t take_nothing(char *data, size_t one, size_t n, void *context)
{
    (void)data;
    (void)one;
    (void)context;
    return n;
}

static status prepare(struct sink *s, struct err *e)
{
    CURL *curl = s->curl;
    status st;

    if (curl != NULL)
        return OK;
    s->curl = curl = curl_easy_init();
    if (curl == NULL)
        return fail(e, NO_MEMORY, "no memory for a connection", 0);
    st = sink_tls(s, curl, e);
    if (st != OK)
        return st;
    if (curl_easy_setopt(curl, CURLOPT_URL, s->target) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_POST, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_nothing) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "strongroom/" STRONGROOM_VERSION) != CURLE_OK)
        return fail(e, IO, "libcurl refuses its settings", 0);
    return OK;
}

static status add_header(struct curl_slist **headers, const char *name, const char *value,
                         struct err *e)
{
    char text[256];
    struct curl_slist *longer;

    snprintf(text, sizeof(text), "%s:%s%s", name, value[0] != '\0' ? " " : "", value);
    longer = curl_slist_append(*headers, text);
    if (longer == NULL)
        return fail(e, NO_MEMORY, "no memory for a header", 0);
    *headers = longer;
    return OK;
}

static status make_headers(const struct sink *s, struct curl_slist **headers, struct err *e)
{
    struct span body = span_of(s->buffer, s->used);
    uint64_t now_s = clock_wall_us() / SECOND_US;
    char id[ID_MAX] = "msg_", timestamp[24], signature[WEBHOOK_SIGNATURE_MAX];
    uint8_t hash[32];
    status st;

    sha256(body, hash);
    hex_format(span_of(hash, 16), id + 4);
    snprintf(timestamp, sizeof(timestamp), "%llu", (unsigned long long)now_s);
    st = webhook_sign(secret_view(s->secret), id, now_s, body, signature, e);
    if (st == OK)
        st = add_header(headers, "Content-Type", "application/json", e);
    if (st == OK)
        st = add_header(headers, "Expect", "", e);
    if (st == OK)
        st = add_header(headers, "webhook-id", id, e);
    if (st == OK)
        st = add_header(headers, "webhook-timestamp", timestamp, e);
    return st == OK ? add_header(headers, "webhook-signature", signature, e) : st;
}

static status post(struct sink *s, struct curl_slist *headers, struct err *e)
{
    long answer = 0;
    CURLcode rc = curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, headers);

    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->buffer);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->used);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(s->curl);
    if (rc != CURLE_OK)
        return fail(e, IO, "no answer from the receiver", (int64_t)rc);
    (void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &answer);
    return answer >= 200 && answer <= 299
               ? OK
               : fail(e, IO, "the receiver refuses the records", (int64_t)answer);
}

static status send_lines(struct sink *s, struct span lines, struct err *e)
{
    struct curl_slist *headers = NULL;
    status st = prepare(s, e);

    if (st == OK)
        st = compose(s, lines, e);
    if (st == OK)
        st = make_headers(s, &headers, e);
    if (st == OK)
        st = post(s, headers, e);
    curl_slist_free_all(headers);
    return st;
}

static status confirm(struct sink *s, struct err *e)
{
    (void)s;
    (void)e;
    return OK; /* the answer was it */
}

const struct sink_kind sink_webhook = { .scheme = "https://",
                                        .page = 100,
                                        .each_page = true,
                                        .open = open_settings,
                                        .send = send_lines,
                                        .confirm = confirm,
                                        .close = let_go };
