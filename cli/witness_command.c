/*
 * strongroom audit witness: brings the checkpoints of the vault tree to a witness, and its
 * cosignatures to the vault. The witness is not of the vault: what it refuses as another history
 * than it saw before is an alarm, and no reason to try again.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli.h"
#include "commands.h"
#include "file.h"
#include "patience.h"
#include "reply.h"
#include "stream.h"
#include "witness.h"

#define LOG_PATH     "/v1/logs/tree"
#define ANSWER_MAX   65536
#define ROUNDS       4 /* of saying which size it has */
#define WAIT_S       50
#define INTERVAL_US  (30 * SECOND_US)
#define PAUSE_MAX_US (300 * SECOND_US)

struct witness {
    struct cli *c;
    struct sink https; /* its buffer is the request */
    struct note_key key;
    struct patience patience;
    char url[1024];
    char *note; /* the checkpoint, of size */
    uint64_t size;
    uint64_t old; /* what it has cosigned last, as far as we know */
    char answer[ANSWER_MAX];
    size_t answer_length;
    bool busy; /* the witness, as opposed to the vault, is away */
};

/* --- what is remembered ----------------------------------------------------------------------- */

/* {"witness":"<name>","size":"1234"}. Lost, it costs one more request. */
static void recall(struct witness *w)
{
    const char *path = cli_option(w->c, OPT_CURSOR);
    char text[512];
    struct err e = { 0 };

    if (path == NULL || file_read(path, text, sizeof(text), &e) != OK)
        return;
    AUTO(json_t) *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(root, "witness"));
    const char *size = json_string_value(json_object_get(root, "size"));

    if (name != NULL && size != NULL && strlen(name) == w->key.name_length &&
        memcmp(name, w->key.name, w->key.name_length) == 0)
        (void)!number_parse(size, 0, INT64_MAX, &w->old);
}

static int remember(struct witness *w)
{
    const char *path = cli_option(w->c, OPT_CURSOR);
    struct err e = { 0 };

    w->old = w->size;
    if (path == NULL)
        return EXIT_DONE;
    AUTO(json_t) *root = json_pack("{s:s%, s:s}", "witness", (const char *)w->key.name,
                                   w->key.name_length, "size", "");
    char size[24];

    snprintf(size, sizeof(size), "%" PRIu64, w->size);
    if (root == NULL || json_object_set_new(root, "size", json_string(size)) != 0)
        return report(EXIT_OTHER, "no memory");
    AUTO(wiped) *text = (struct wiped *)json_dumps(root, JSON_COMPACT);

    if (text == NULL)
        return report(EXIT_OTHER, "no memory");
    return file_write(path, FILE_PRIVATE, span_text((const char *)text), &e) == OK
               ? EXIT_DONE
               : report_file(path, &e);
}

/* --- the request ------------------------------------------------------------------------------ */

static int get_checkpoint(struct witness *w)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(w->c, METHOD_GET, LOG_PATH, NULL, &reply);
    const char *note = json_string_value(json_object_get(reply, "checkpoint"));

    if (code != EXIT_DONE)
        return code;
    free(w->note);
    w->note = note == NULL ? NULL : strdup(note);
    if (w->note == NULL || !witness_size(span_text(w->note), &w->size))
        return reply_report("checkpoint");
    return EXIT_DONE;
}

static int put_text(struct witness *w, const char *text)
{
    struct err e = { 0 };

    return sink_put_text(&w->https, text, &e) == OK ? EXIT_DONE : report_err("witness", &e);
}

/* The proof that the tree of w->size begins with that of w->old. */
static int put_proof(struct witness *w)
{
    AUTO(json_t) *reply = NULL;
    char path[128];
    json_t *hash;
    size_t i;
    int code = EXIT_DONE;

    if (w->old == 0 || w->old == w->size)
        return EXIT_DONE;
    snprintf(path, sizeof(path), LOG_PATH "/consistency?from=%" PRIu64 "&to=%" PRIu64, w->old,
             w->size);
    code = https_call(w->c, METHOD_GET, path, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *proof = json_object_get(reply, "proof");

    if (!json_is_array(proof) || json_array_size(proof) > WITNESS_PROOF_MAX)
        return reply_report("proof");
    json_array_foreach(proof, i, hash)
    {
        const char *text = json_string_value(hash);
        uint8_t bytes[32];
        size_t n = 0;

        if (text == NULL || !base64_parse(text, strlen(text), bytes, sizeof(bytes), &n) ||
            n != sizeof(bytes))
            return reply_report("proof");
        code = put_text(w, text);
        if (code == EXIT_DONE)
            code = put_text(w, "\n");
        if (code != EXIT_DONE)
            return code;
    }
    return code;
}

static int compose(struct witness *w)
{
    char old[40];
    int code;

    w->https.used = 0;
    snprintf(old, sizeof(old), "old %" PRIu64 "\n", w->old);
    code = put_text(w, old);
    if (code == EXIT_DONE)
        code = put_proof(w);
    if (code == EXIT_DONE)
        code = put_text(w, "\n");
    return code == EXIT_DONE ? put_text(w, w->note) : code;
}

static size_t take_answer(char *data, size_t one, size_t n, void *context)
{
    struct witness *w = context;

    (void)one;
    if (n > sizeof(w->answer) - w->answer_length)
        return 0;
    memcpy(w->answer + w->answer_length, data, n);
    w->answer_length += n;
    return n;
}

static status set_request(struct witness *w, CURL *curl, struct curl_slist *headers, struct err *e)
{
    status st = sink_tls(&w->https, curl, e);

    if (st != OK)
        return st;
    if (curl_easy_setopt(curl, CURLOPT_URL, w->url) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_POST, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, w->https.buffer) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)w->https.used) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "strongroom/" STRONGROOM_VERSION) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, w) != CURLE_OK)
        return fail(e, IO, "libcurl refuses its settings", 0);
    return OK;
}

static status ask(struct witness *w, struct witness_answer *ret, struct err *e)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: text/plain");
    CURL *curl = curl_easy_init();
    const char *type = NULL;
    status st = curl == NULL || headers == NULL ? fail(e, NO_MEMORY, "no memory for a request", 0)
                                                : set_request(w, curl, headers, e);
    CURLcode rc = CURLE_OK;

    *ret = (struct witness_answer){ .status = 0 };
    w->answer_length = 0;
    if (st == OK) {
        rc = curl_easy_perform(curl);
        if (rc != CURLE_OK)
            st = fail(e, IO, "no answer from the witness", rc);
    }
    if (st == OK) {
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
        (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
        snprintf(ret->type, sizeof(ret->type), "%.60s", type != NULL ? type : "");
        ret->body = span_of(w->answer, w->answer_length);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return st;
}

/* --- the answer ------------------------------------------------------------------------------- */

static int hand_over(struct witness *w, const struct witness_answer *a)
{
    AUTO(json_t) *reply = NULL;
    struct span line;
    uint64_t time_s = 0;
    struct err e = { 0 };
    int code;

    if (witness_line(a->body, span_text(w->note), &w->key, &line, &time_s, &e) != OK)
        return report(EXIT_UNVERIFIED, "the witness did not sign with the key of --witness-key");
    code = https_call(w->c, METHOD_POST, LOG_PATH "/cosignatures",
                      json_pack("{s:I, s:s%}", "size", (json_int_t)w->size, "cosignature",
                                (const char *)line.p, line.n),
                      &reply);
    if (code == EXIT_DONE)
        code = remember(w);
    if (code == EXIT_DONE)
        log_number(LOG_INFO_, "the tree is cosigned", "size", w->size);
    return code;
}

static int report_smaller(const struct witness *w, uint64_t theirs)
{
    return report(EXIT_UNVERIFIED,
                  "the witness has seen a tree of %" PRIu64 " records, the vault shows one of "
                  "%" PRIu64 ": was the vault set back?",
                  theirs, w->size);
}

static int refuse(enum witness_verdict verdict, long http_status)
{
    switch (verdict) {
    case WITNESS_FORK:
        return report(EXIT_UNVERIFIED,
                      "the witness refuses the vault's tree: its history is not the "
                      "one that the witness has seen (a fork). Keep both notes.");
    case WITNESS_NO_KEY:
        return report(EXIT_DENIED,
                      "the witness does not trust the vault's ledger key for this log");
    case WITNESS_NO_LOG:
        return report(EXIT_ABSENT, "the witness does not know this log: its operator must add the "
                                   "origin and the vault's ledger key");
    default:
        return report(EXIT_USAGE, "the witness answers with status %ld: is it one?", http_status);
    }
}

/* One checkpoint cosigned. EXIT_UNREACHABLE with busy set if the witness is away. */
static int cosign_once(struct witness *w)
{
    struct witness_answer answer;
    int code = get_checkpoint(w);

    w->busy = false;
    for (int round = 0; round < ROUNDS && code == EXIT_DONE; round++) {
        enum witness_verdict verdict;
        struct err e = { 0 };
        uint64_t theirs = 0;

        if (w->old > w->size) /* what we remember may be of an earlier vault: the witness knows */
            w->old = 0;
        code = compose(w);
        if (code != EXIT_DONE)
            return code;
        if (ask(w, &answer, &e) != OK) {
            w->busy = true;
            return report(EXIT_UNREACHABLE, "%s: no answer (%s)", w->url, e.why);
        }
        verdict = witness_verdict(&answer, &theirs);
        w->busy = verdict == WITNESS_BUSY;
        if (verdict == WITNESS_SIGNED)
            return hand_over(w, &answer);
        if (w->busy)
            return report(EXIT_UNREACHABLE, "%s: status %ld", w->url, answer.status);
        if (verdict != WITNESS_OTHER_SIZE)
            return refuse(verdict, answer.status);
        if (theirs > w->size) /* somebody else may have brought it a newer one */
            code = get_checkpoint(w);
        if (code == EXIT_DONE && theirs > w->size)
            return report_smaller(w, theirs);
        if (theirs == w->old)
            return refuse(WITNESS_FORK, answer.status);
        w->old = theirs;
    }
    return code == EXIT_DONE ? refuse(WITNESS_MISFIT, answer.status) : code;
}

/* Failures that pass are logged once and come again. */
static int cosign(struct witness *w)
{
    char text[1024];
    bool once = option_given(&w->c->options, OPT_ONCE);
    bool was_busy = false;
    int code;

    for (;;) {
        text[0] = '\0';
        report_catch(text, sizeof(text));
        code = cosign_once(w);
        report_catch(NULL, 0);
        if (patience_stop)
            return EXIT_DONE;
        if (w->busy && !was_busy)
            log_warn("the witness does not answer: waiting");
        was_busy = w->busy;
        if (!w->busy && !patience_vault(&w->patience, code))
            break;
        if (once)
            break;
        patience_back_off(&w->patience, PAUSE_MAX_US);
    }
    w->patience.pause_us = 0;
    return code == EXIT_DONE ? code : report((enum exit_code)code, "%s", text);
}

/* Until the tree has grown; any trouble shows when the checkpoint is fetched. */
static void await_growth(struct witness *w)
{
    char path[128], ignored[1024];
    struct span lines = { 0 };

    patience_pause(INTERVAL_US);
    snprintf(path, sizeof(path), LOG_PATH "/records?from=%" PRIu64 "&limit=1&wait=%d", w->size,
             WAIT_S);
    while (!patience_stop && lines.n == 0) {
        report_catch(ignored, sizeof(ignored));
        int code = https_lines(w->c, path, &lines);

        report_catch(NULL, 0);
        if (code != EXIT_DONE)
            return;
    }
}

static int open_witness(struct witness *w)
{
    const char *url = cli_option(w->c, OPT_WITNESS);
    const char *key = cli_option(w->c, OPT_WITNESS_KEY);
    size_t n = strlen(url);
    struct err e = { 0 };

    if (strncmp(url, "https://", 8) != 0 || n > sizeof(w->url) - 32)
        return report(EXIT_USAGE, "--witness takes the witness's https://... submission prefix");
    while (n > 0 && url[n - 1] == '/')
        n--;
    snprintf(w->url, sizeof(w->url), "%.*s/add-checkpoint", (int)n, url);
    if (note_key_parse(span_text(key), &w->key, &e) != OK || w->key.type != NOTE_COSIGNATURE)
        return report(EXIT_USAGE, "--witness-key takes NAME+ID+KEY of a key that cosigns (type 4)");
    w->https = (struct sink){ .fd = -1, .ca = cli_option(w->c, OPT_SINK_CA) };
    recall(w);
    return EXIT_DONE;
}

int audit_witness(struct cli *c)
{
    struct witness *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return report(EXIT_OTHER, "no memory");
    w->c = c;
    patience_start("witness");
    c->https.stop = &patience_stop;
    int code = open_witness(w);

    if (code == EXIT_DONE)
        code = cosign(w);
    while (code == EXIT_DONE && !patience_stop && !option_given(&c->options, OPT_ONCE)) {
        await_growth(w);
        if (!patience_stop)
            code = cosign(w);
    }
    free(w->https.buffer);
    free(w->note);
    free(w);
    return code;
}
