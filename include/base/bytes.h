/*
 * Borrowed byte ranges, 16-byte identifiers, text encodings, and bounded big-endian
 * writers and readers whose error is sticky: do all the steps, then check once.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *p;
    size_t n;
};

struct mspan {
    uint8_t *p;
    size_t n;
};

struct id {
    uint8_t b[16];
};

/* The smallest are here, for the compiler to see through: a literal's length is then no call. A
 * span borrows: it never owns its bytes, and says nothing about how long they live. */
static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){ .p = (const uint8_t *)p, .n = n };
}
/* Without the NUL. */
static inline struct span span_text(const char *text)
{
    return span_of(text, strlen(text));
}
/* Public data only: not constant time. An empty span may hold NULL, which memcmp must not be
 * given. */
static inline bool span_same(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool id_same(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
bool id_is_zero(const struct id *a);

#define SPAN(array)   span_of((array), sizeof(array)) /* arrays only */
#define ID_HEX_LENGTH 32

/* Lower-case hex with a NUL. out holds 2 * in.n + 1 bytes. */
void hex_format(struct span in, char *out);
/* The same without the NUL. */
void hex_put(struct span in, uint8_t *out);
/* Exactly 2 * n lower- or upper-case digits of text into out; false otherwise. */
bool hex_parse(const char *text, size_t text_length, uint8_t *out, size_t n);
bool id_parse(const char *text, struct id *ret_id);

/* RFC 4648 section 4, with padding. out holds 4 * ((n + 2) / 3) + 1 bytes. */
void base64_format(struct span in, char *out);
/* Strict inverse: canonical padding, no white space. false on any other text or if it
 * needs more than cap bytes. */
bool base64_parse(const char *text, size_t text_length, uint8_t *out, size_t cap, size_t *ret_n);

/* Whole decimal number without sign or leading zero within [min, max]. */
bool number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* A name for tenants, keys, gateways, engagements, operators: 1 to 63 of a-z 0-9 - _ . ,
 * beginning with a letter or digit. */
#define NAME_MAX_LENGTH 63
bool name_valid(const char *text);

/* Writer over caller memory. After an overflow nothing more is written and overflow stays. */
struct out {
    uint8_t *p;
    size_t n;
    size_t cap;
    bool overflow;
};

void out_init(struct out *o, uint8_t *p, size_t cap);
/* Room for n bytes at the current end, to be filled by the caller; NULL on overflow. */
static inline uint8_t *out_room(struct out *o, size_t n)
{
    /* Written as a subtraction because o->n + n could wrap; o->n never exceeds o->cap. */
    if (o->overflow || n > o->cap - o->n) {
        o->overflow = true;
        return NULL;
    }
    uint8_t *at = o->p == NULL ? NULL : o->p + o->n; /* no arithmetic on NULL, not even + 0 */
    o->n += n;
    return at;
}
static inline void out_raw(struct out *o, struct span s)
{
    uint8_t *at = out_room(o, s.n);

    if (at != NULL && s.n > 0)
        memcpy(at, s.p, s.n);
}
void out_u8(struct out *o, uint8_t v);
void out_u16(struct out *o, uint16_t v);
void out_u32(struct out *o, uint32_t v);
void out_u64(struct out *o, uint64_t v);
void out_id(struct out *o, const struct id *id);
void out_span16(struct out *o, struct span s); /* u16 length, then the bytes */
/* Raw, without NUL. */
static inline void out_text(struct out *o, const char *text)
{
    out_raw(o, span_text(text));
}

/* Reader over borrowed memory. After an underrun every read gives zero and bad stays. */
struct in {
    const uint8_t *p;
    size_t n;
    bool bad;
};

struct in in_of(struct span s);
uint8_t in_u8(struct in *i);
uint16_t in_u16(struct in *i);
uint32_t in_u32(struct in *i);
uint64_t in_u64(struct in *i);
/* View; {NULL, 0} on underrun. */
static inline struct span in_raw(struct in *i, size_t n)
{
    struct span view = { NULL, 0 };

    /* The only place that moves the reader, hence the only bounds check there is. */
    if (i->bad || n > i->n) {
        i->bad = true;
        return view;
    }
    view = span_of(i->p, n);
    if (n > 0) { /* an empty reader may hold NULL, which must not be moved */
        i->p += n;
        i->n -= n;
    }
    return view;
}
void in_copy(struct in *i, uint8_t *to, size_t n); /* zeros on underrun */
struct id in_id(struct in *i);
struct span in_span16(struct in *i);
bool in_end(const struct in *i); /* nothing left and nothing bad */

#endif
