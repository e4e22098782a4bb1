/*
 * Must:
 *  1. Over the network only TLS 1.3, only the CA of the profile, no proxy, no redirect.
 *  2. A reply may carry a provider key: its buffer has a fixed size and is wiped.
 *  3. Text from the server reaches the terminal only through report(), which tames it.
 */
#include "https.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "cli.h"
#include "identity/identity.h"
#include "secret/secret.h"

/* A page of 500 records of the largest size is the largest reply. */
#define REPLY_MAX ((size_t)500 * (LIMIT_RECORD + 1) + 65536)
#define LIST_MAX  100000

static const struct problem {
    const char *title;
    long status;
    enum exit_code code;
    const char *next;
} problems[] = {
    { "bad-input", 400, EXIT_USAGE, "Nothing was changed; correct it and try again." },
    { "no-identity", 401, EXIT_DENIED,
      "Use a profile (--profile) with a valid certificate of this vault." },
    { "denied", 403, EXIT_DENIED, "Ask an operator or admin if you should be allowed to." },
    { "gone", 410, EXIT_ABSENT, "Nobody has them any more but who exported them in time." },
    { "not-found", 404, EXIT_ABSENT, "Look for the right name with the 'list' commands." },
    { "method-not-allowed", 405, EXIT_OTHER, "Is this program older or newer than the vault?" },
    { "conflict", 409, EXIT_CONFLICT, "Look at the present state first; nothing was changed." },
    { "too-large", 413, EXIT_BOUND, "Send less." },
    { "wrong-region", 421, EXIT_DENIED, "Use the vault of that region." },
    { "limit", 429, EXIT_BOUND, "Try something smaller, or later." },
    { "internal", 500, EXIT_OTHER, "The request had no effect; the daemon's log has more." },
    { "locked", 503, EXIT_LOCKED,
      "'strongroom status' tells its state; 'strongroom unlock' opens a locked vault." },
    { "storage", 507, EXIT_BOUND, "Free disk space; lock, revoke and purge still work." },
};

static const struct failure {
    CURLcode code;
    bool sent; /* the request may have arrived */
    const char *reason;
} failures[] = {
    { CURLE_COULDNT_RESOLVE_HOST, false, "there is no host of that name" },
    { CURLE_OPERATION_TIMEDOUT, true, "time is up" },
    { CURLE_PEER_FAILED_VERIFICATION, false,
      "the server's certificate is not from this vault, or not for this host name" },
    { CURLE_SSL_CACERT_BADFILE, false, "the CA certificate in the profile cannot be read" },
    { CURLE_SSL_CERTPROBLEM, false, "the profile's certificate and key do not belong together" },
    { CURLE_SSL_CONNECT_ERROR, false,
      "no TLS 1.3 connection could be made (or the profile's key and certificate do not match)" },
    { CURLE_GOT_NOTHING, true, "the server closed the connection without an answer" },
    { CURLE_RECV_ERROR, true, "the connection broke" },
    { CURLE_SEND_ERROR, true, "the connection broke" },
};

bool https_url_valid(const char *text)
{
    static const char scheme[] = "https://";
    size_t n = sizeof(scheme) - 1;

    if (strncmp(text, scheme, n) != 0 || text[n] == '\0' || strlen(text) > 255)
        return false;
    return strspn(text + n,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
           strlen(text + n);
}

static size_t take_body(char *data, size_t one, size_t n, void *context)
{
    struct https *h = context;

    (void)one;
    if (n > h->body.n - h->body_length) {
        h->body_overflow = true;
        return 0;
    }
    memcpy(h->body.p + h->body_length, data, n);
    h->body_length += n;
    return n;
}

static CURLcode set_files(CURL *curl, const struct profile *p)
{
    char path[PATH_MAX];
    CURLcode rc = CURLE_OK;

    profile_path(p, PROFILE_CERTIFICATE, path);
    rc = curl_easy_setopt(curl, CURLOPT_SSLCERT, path);
    if (rc != CURLE_OK)
        return rc;
    profile_path(p, PROFILE_KEY, path);
    rc = curl_easy_setopt(curl, CURLOPT_SSLKEY, path);
    if (rc != CURLE_OK)
        return rc;
    profile_path(p, PROFILE_CA, path);
    return curl_easy_setopt(curl, CURLOPT_CAINFO, path);
}

static int check_private_key(const struct profile *p)
{
    char path[PATH_MAX];
    struct stat about;

    profile_path(p, PROFILE_KEY, path);
    if (stat(path, &about) != 0)
        return report(EXIT_DENIED, "%s: %s", path, strerror(errno));
    if ((about.st_mode & 077) != 0)
        return report(EXIT_DENIED,
                      "%s: others may read this private key: run chmod 600 on it "
                      "and consider a new certificate",
                      path);
    return EXIT_DONE;
}

/* Base URL, certificate, key and CA of the profile. The system's CAs are not asked. */
static int prepare_tls(struct cli *c, CURL *curl)
{
    int code = profile_load(c);
    const char *url = cli_option(c, OPT_URL);

    if (code != EXIT_DONE)
        return code;
    if (url == NULL)
        url = profile_text(&c->profile, "url");
    if (url == NULL || !https_url_valid(url))
        return report(EXIT_USAGE, "the URL of the vault must be https://host:port (--url)");
    code = check_private_key(&c->profile);
    if (code != EXIT_DONE)
        return code;
    snprintf(c->https.base, sizeof(c->https.base), "%s", url);
    if (set_files(curl, &c->profile) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK)
        return report(EXIT_OTHER, "libcurl refuses the TLS settings");
    return EXIT_DONE;
}

static int prepare_socket(struct cli *c, CURL *curl)
{
    snprintf(c->https.base, sizeof(c->https.base), "http://localhost");
    if (curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli_option(c, OPT_SOCKET)) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") != CURLE_OK)
        return report(EXIT_OTHER, "libcurl refuses the socket");
    return EXIT_DONE;
}

static int prepare_common(struct https *h, CURL *curl)
{
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (h->headers == NULL || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h->headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "strongroom/" STRONGROOM_VERSION) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, h->patience_s > 0 ? h->patience_s : 60L) !=
            CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, h) != CURLE_OK)
        return report(EXIT_OTHER, "libcurl refuses its settings");
    return EXIT_DONE;
}

static int asked_to_stop(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct https *h = context;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return *h->stop != 0;
}

static int prepare_stop(struct https *h)
{
    if (h->stop != NULL &&
        (curl_easy_setopt(h->curl, CURLOPT_XFERINFOFUNCTION, asked_to_stop) != CURLE_OK ||
         curl_easy_setopt(h->curl, CURLOPT_XFERINFODATA, h) != CURLE_OK ||
         curl_easy_setopt(h->curl, CURLOPT_NOPROGRESS, 0L) != CURLE_OK))
        return report(EXIT_OTHER, "libcurl refuses its settings");
    return EXIT_DONE;
}

static int prepare(struct cli *c)
{
    struct https *h = &c->https;

    if (h->curl != NULL)
        return EXIT_DONE;
    h->body = (struct mspan){ .p = wiping_malloc(REPLY_MAX), .n = REPLY_MAX };
    h->curl = curl_easy_init();
    if (h->curl == NULL || h->body.p == NULL)
        return report(EXIT_OTHER, "no memory");
    int code = prepare_common(h, h->curl);

    if (code == EXIT_DONE)
        code = prepare_stop(h);
    if (code == EXIT_DONE)
        code = cli_option(c, OPT_SOCKET) != NULL ? prepare_socket(c, h->curl)
                                                 : prepare_tls(c, h->curl);
    if (code != EXIT_DONE) { /* whoever tries again must not find it half set up */
        const volatile sig_atomic_t *stop = h->stop;

        https_clear(h);
        h->stop = stop;
    }
    return code;
}

static void forget_body(struct https *h)
{
    secret_wipe((struct mspan){ .p = h->body.p, .n = h->body_length });
    h->body_length = 0;
    h->body_overflow = false;
}

void https_clear(struct https *h)
{
    if (h->body.p != NULL)
        forget_body(h);
    wiping_free(h->body.p);
    curl_slist_free_all(h->headers);
    curl_easy_cleanup(h->curl);
    *h = (struct https){ 0 };
}

/* The leaf is the first of the chain, as "Cert:-----BEGIN CERTIFICATE----- ...". */
static void note_certificate(struct https *h)
{
    struct curl_certinfo *info = NULL;
    struct err e = { 0 };

    if (curl_easy_getinfo(h->curl, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
        info->num_of_certs < 1)
        return;
    for (struct curl_slist *line = info->certinfo[0]; line != NULL; line = line->next) {
        if (strncmp(line->data, "Cert:", 5) == 0 &&
            identity_fingerprint(span_text(line->data + 5), h->certificate, &e) == OK)
            h->certificate_known = true;
        if (strncmp(line->data, "Cert:", 5) == 0)
            (void)!identity_not_after(span_text(line->data + 5), &h->certificate_not_after_us, &e);
    }
}

int https_server_certificate(struct cli *c, uint8_t out[static 32])
{
    if (!c->https.certificate_known)
        return report(EXIT_OTHER, "the TLS library does not show the server's certificate");
    memcpy(out, c->https.certificate, 32);
    return EXIT_DONE;
}

static int report_failure(struct cli *c, CURLcode rc)
{
    const char *socket = cli_option(c, OPT_SOCKET);
    const char *where = socket != NULL ? socket : c->https.base;
    long code = 0;

    if (c->https.body_overflow)
        return report(EXIT_OTHER, "the answer of %s is too large to be one of a vault", where);
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].code == rc)
            return report(EXIT_UNREACHABLE, "%s %s: %s%s",
                          failures[i].sent ? "no answer from" : "cannot connect to", where,
                          failures[i].reason,
                          failures[i].sent ? "; the request may have been carried out" : "");
    }
    (void)curl_easy_getinfo(c->https.curl, CURLINFO_OS_ERRNO, &code);
    if (rc == CURLE_COULDNT_CONNECT && code != 0)
        return report(EXIT_UNREACHABLE, "cannot connect to %s: %s. Is strongroomd running there?",
                      where, strerror((int)code));
    return report(EXIT_UNREACHABLE, "cannot connect to %s: %s", where, curl_easy_strerror(rc));
}

static int report_problem(struct cli *c, long http_status)
{
    const struct problem *p = NULL;
    const struct https *h = &c->https;
    AUTO(json_t) *problem = json_loadb((const char *)h->body.p, h->body_length, 0, NULL);
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *request = json_string_value(json_object_get(problem, "request_id"));

    for (size_t i = 0; p == NULL && i < sizeof(problems) / sizeof(problems[0]); i++) {
        if (title != NULL ? strcmp(title, problems[i].title) == 0
                          : http_status == problems[i].status)
            p = &problems[i];
    }
    if (p == NULL)
        return report(EXIT_OTHER,
                      "the server answers with status %ld, which this program does not "
                      "know",
                      http_status);
    return report(p->code, "%.512s. %s [%s%s%.64s]", detail != NULL ? detail : p->title, p->next,
                  p->title, request != NULL ? ", request " : "", request != NULL ? request : "");
}

static CURLcode set_request(CURL *curl, enum method method, const char *url, const char *text)
{
    static const char *const names[] = { "GET", "POST", "DELETE" };
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_URL, url);

    if (rc == CURLE_OK && text != NULL)
        rc = curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, text);
    else if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, names[method]);
    return rc;
}

/* Leaves the reply in the body buffer. */
static int exchange(struct cli *c, enum method method, const char *path, const char *text)
{
    struct https *h = &c->https;
    char url[2048];
    long http_status = 0;
    int code = prepare(c);

    if (code != EXIT_DONE)
        return code;
    forget_body(h);
    int n = snprintf(url, sizeof(url), "%s%s", h->base, path);

    if (n < 0 || (size_t)n >= sizeof(url))
        return report(EXIT_USAGE, "the request is too long");
    CURLcode rc = set_request(h->curl, method, url, text);

    if (rc == CURLE_OK)
        rc = curl_easy_perform(h->curl);
    if (rc != CURLE_OK)
        return report_failure(c, rc);
    note_certificate(h);
    (void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status < 200 || http_status > 299)
        return report_problem(c, http_status);
    return EXIT_DONE;
}

int https_call(struct cli *c, enum method method, const char *path, json_t *body,
               json_t **ret_reply)
{
    AUTO(json_t) *taken = body;
    AUTO(wiped) *text = NULL;

    if (method == METHOD_POST) {
        text = (struct wiped *)json_dumps(taken, JSON_COMPACT);
        if (text == NULL)
            return report(EXIT_USAGE, "the request cannot be written: is every argument UTF-8?");
    }
    int code = exchange(c, method, path, (const char *)text);

    if (code != EXIT_DONE)
        return code;
    *ret_reply = json_loadb((const char *)c->https.body.p, c->https.body_length,
                            JSON_REJECT_DUPLICATES, NULL);
    forget_body(&c->https);
    if (json_is_object(*ret_reply))
        return EXIT_DONE;
    json_t_cleanup(ret_reply);
    return report(EXIT_OTHER, "the server's answer is not JSON: is %s really a vault?",
                  c->https.base);
}

int https_lines(struct cli *c, const char *path, struct span *ret_lines)
{
    int code = exchange(c, METHOD_GET, path, NULL);

    if (code == EXIT_DONE)
        *ret_lines = span_of(c->https.body.p, c->https.body_length);
    return code;
}

bool https_header_number(struct cli *c, const char *name, uint64_t *ret_number)
{
    struct curl_header *header = NULL;

    return curl_easy_header(c->https.curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
           number_parse(header->value, 0, INT64_MAX, ret_number);
}

int https_list(struct cli *c, const char *path, const char *member, json_t **ret_reply)
{
    AUTO(json_t) *all = json_pack("{s:[], s:n}", member, "next");
    json_t *items = json_object_get(all, member);
    char page_path[512];
    int code = EXIT_DONE;

    snprintf(page_path, sizeof(page_path), "%s", path);
    for (bool more = true; more && code == EXIT_DONE;) {
        AUTO(json_t) *page = NULL;

        code = https_call(c, METHOD_GET, page_path, NULL, &page);
        if (code != EXIT_DONE)
            return code;
        json_t *found = json_object_get(page, member);
        const char *next = json_string_value(json_object_get(page, "next"));

        if (!json_is_array(found) || json_array_extend(items, found) != 0)
            return report(EXIT_OTHER, "the server's answer has no list of %s", member);
        /* A server that never ends is cut off; so is one whose page is empty but not the last. */
        more = next != NULL && json_array_size(found) > 0 && json_array_size(items) < LIST_MAX;
        if (more && strspn(next, "abcdefghijklmnopqrstuvwxyz0123456789-_./") != strlen(next))
            return report(EXIT_OTHER, "the server's list of %s does not continue", member);
        if (more)
            snprintf(page_path, sizeof(page_path), "%s?after=%.200s", path, next);
    }
    *ret_reply = all;
    all = NULL;
    return code;
}
