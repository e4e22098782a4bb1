/*
 * Reports of usage as they arrive: four formats, one result. The text is walked in place, and only
 * members of a list are taken, into fixed arrays of few characters: what else a body holds, above
 * all prompts and completions, is in no memory but the body's own.
 *
 * What is wrong with one item is said in the item; only a body that is not what the format says is
 * refused as a whole. Numbers are claims of whoever sent them.
 */
#ifndef USAGE_USAGE_H
#define USAGE_USAGE_H

#include "base/bytes.h"
#include "base/status.h"

enum usage_format {
    USAGE_NATIVE,  /* {"reports":[...]}, see docs/API.md */
    USAGE_LITELLM, /* StandardLoggingPayload: an array, one object, or one after the other */
    USAGE_TRACES,  /* OTLP/JSON ExportTraceServiceRequest, gen_ai.* attributes */
    USAGE_LOGS     /* OTLP/JSON ExportLogsServiceRequest */
};

#define USAGE_REPORTS_MAX 64   /* of USAGE_NATIVE */
#define USAGE_ITEMS_MAX   1024 /* of the other formats */
#define USAGE_DEPTH       64   /* of nesting */

/* Sizes with the NUL. */
#define USAGE_LEASE 65  /* a token or an identifier in hex */
#define USAGE_KEY   128 /* tenant/name */
#define USAGE_MODEL 97  /* A-Z a-z 0-9 . _ : / @ + - */
#define USAGE_ID    65  /* A-Z a-z 0-9 . _ : - */
#define USAGE_IDS   260 /* up to four of them, with a space between */
#define USAGE_ONCE  98  /* what tells an item from another of the same sender */

#define USAGE_REPORT_MAX  99999999999999 /* a report's number */
#define USAGE_REQUEST_MAX 1000000000
#define USAGE_TOKEN_MAX   1000000000000
#define USAGE_COST_MAX    1000000 /* units of a currency, in one item */
#define NANO              1000000000

/* How requests ended, by their HTTP status. */
enum usage_ending {
    ENDED_WELL,         /* below 400 */
    ENDED_THROTTLED,    /* 429 */
    ENDED_CLIENT_ERROR, /* any other 4xx */
    ENDED_SERVER_ERROR, /* 500 and above */
    ENDED_BADLY,        /* failed, nothing more is known */
    USAGE_ENDINGS
};

struct usage_item {
    const char *why;         /* a literal: the item is refused; NULL: it is fine */
    char lease[USAGE_LEASE]; /* 32 or 64 hex digits; empty: none was named */
    char key[USAGE_KEY];     /* empty: none; not checked for more than its length */
    char model[USAGE_MODEL]; /* "unknown" if none was named, "other" if it has another form */
    char ids[USAGE_IDS];     /* the provider's request ids */
    char once[USAGE_ONCE];   /* empty: unknown */
    uint64_t report;         /* USAGE_NATIVE: from 1 */
    uint64_t requests;
    uint64_t input_tokens;
    uint64_t output_tokens;
    uint64_t cost_nano; /* billionths of the account's currency unit */
    uint64_t ended[USAGE_ENDINGS];
    uint64_t from_us, to_us; /* 0: unknown */
    uint64_t dropped;        /* members with content, or that are not known (USAGE_NATIVE) */
};

struct usage {
    enum usage_format format;
    char key[USAGE_KEY]; /* of items that name neither lease nor key; set by the caller */
    uint64_t dropped;    /* outside of items */
    size_t count;
    struct usage_item items[];
};

/* BAD_INPUT: not JSON, nested too deeply, or not of this format. LIMIT: too many items. The body is
 * not changed and not needed afterwards. */
MUST_CHECK status usage_parse(enum usage_format format, struct span body, struct usage **ret_usage,
                              struct err *e);
/* Wipes. NULL is fine. */
void usage_free(struct usage *u);

/* A number with sign, fraction and exponent as JSON has them, times ten to the scale (up to 9),
 * rounded half up. false: malformed, negative or above max. Exact for 18 significant digits. */
bool usage_decimal(struct span text, unsigned scale, uint64_t max, uint64_t *ret_value);

#endif
