/*
 * Records on their way out of the vault: where they go, and how far they are. Delivery is at least
 * once: the cursor moves only past what a sink has for good, and what it does not say it has is
 * sent again.
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <signal.h>

#include "base/bytes.h"
#include "base/status.h"
#include "crypto/crypto.h"
#include "secret/secret.h"

struct cli;

/* --- sinks: stream_file.c, stream_syslog.c, stream_webhook.c ---------------------------------- */

struct sink;
struct sink_kind {
    const char *scheme; /* "file://" */
    size_t page;        /* records at once */
    bool each_page;     /* what was sent is confirmed at once; else confirm says when */
    /* Checks the options and takes what it needs of them; reports. */
    int (*open)(struct cli *c, struct sink *s);
    /* Whole lines. After a failure nothing is known of what came since the last confirmation. */
    status (*send)(struct sink *s, struct span lines, struct err *e);
    /* OK: whatever was sent is there for good. */
    status (*confirm)(struct sink *s, struct err *e);
    void (*close)(struct sink *s); /* lets go of a connection or file, to begin anew */
};
extern const struct sink_kind sink_file, sink_syslog, sink_webhook;

struct sink {
    const struct sink_kind *kind;
    const char *target; /* after the scheme, or the whole URL */
    const char *ca;     /* of --sink-ca, or NULL: the system's */
    const char *certificate;
    struct secret *secret;
    void *curl; /* CURL * */
    int fd;
    char *buffer; /* what one page becomes */
    size_t capacity;
    size_t used;
    const volatile sig_atomic_t *reopen; /* counts SIGHUPs */
    sig_atomic_t reopened;
};
/* Appends to the buffer. */
MUST_CHECK status sink_put(struct sink *s, struct span bytes, struct err *e);
static inline status sink_put_text(struct sink *s, const char *text, struct err *e)
{
    return sink_put(s, span_text(text), e);
}
/* TLS of whoever has it: verified, at least version 1.2, with our certificate if there is one. */
MUST_CHECK status sink_tls(const struct sink *s, void *curl, struct err *e);
/* Takes the first line off lines, without its newline; false at the end. */
bool take_line(struct span *lines, struct span *ret_line);

/* --- the formats, for the sinks and for tests ------------------------------------------------- */

#define SYSLOG_HEAD_MAX 1024
/* What stands before the line in its RFC 5424 message. host: "-" if unknown. Returns its length. */
size_t syslog_head(struct span line, const char *host, char out[static SYSLOG_HEAD_MAX]);
/* A PARAM-VALUE with what must be escaped escaped; cut off (never amid an escape) at cap. */
size_t syslog_escape(struct span value, char *out, size_t cap);

#define WEBHOOK_SIGNATURE_MAX 64
/* The value of webhook-signature: "v1," and base64. */
MUST_CHECK status webhook_sign(struct span key, const char *id, uint64_t timestamp_s,
                               struct span body, char out[static WEBHOOK_SIGNATURE_MAX],
                               struct err *e);
/* The key in "whsec_<base64>" (a newline may follow). BAD_INPUT unless it has 24 to 64 bytes. */
MUST_CHECK status webhook_secret(const struct secret *text, struct secret **ret_key, struct err *e);

/* --- stream_cursor.c: how far a sink is ------------------------------------------------------- */

struct cursor {
    const char *path;
    const char *log; /* "*": all */
    int lock;
    uint64_t next;    /* of the feed: after; of one log: from */
    bool known;       /* a line was delivered: */
    uint8_t last[32]; /* SHA-256 of it */
};
/* Locks it and reads it if it is there. Reports. */
int cursor_open(struct cursor *cursor, const char *path, const char *log);
MUST_CHECK status cursor_save(const struct cursor *cursor, struct err *e);

#endif
