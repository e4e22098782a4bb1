/* An assertion from anybody: u16 length, authenticator data, signature. What verifies says itself that
 * a user touched and was verified. The key that signed the seeds is gone. */
#include "fido/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t public[64] = {
    0xc7, 0xac, 0x09, 0x97, 0xee, 0xee, 0x04, 0x15, 0x39, 0xc0, 0x57, 0xf5, 0x8f, 0xe7, 0xfb, 0x27,
    0xf5, 0xd1, 0x47, 0x81, 0xe1, 0x90, 0xe7, 0x06, 0xfe, 0x69, 0x9b, 0x83, 0xa7, 0x24, 0x79, 0x8c,
    0x52, 0xf2, 0x66, 0x34, 0x75, 0x4b, 0x40, 0x8a, 0xb4, 0x17, 0x52, 0x63, 0x06, 0xaf, 0x47, 0xbd,
    0xc6, 0x0e, 0xd4, 0xde, 0x81, 0xe9, 0xe5, 0x83, 0x9f, 0xbe, 0x89, 0x11, 0x51, 0x67, 0x21, 0x70,
};
static const uint8_t hash[32] = { 7 };

static void need(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct in in = in_of(span_of(data, size));
    struct span auth = in_span16(&in), signature = in_raw(&in, in.n);
    struct fido_assertion a = { .auth_data_length = auth.n, .signature_length = signature.n };
    struct err e = { 0 }, e2 = { 0 };
    status st;

    fido_unwrap(span_of(data, size));
    if (in.bad || auth.n > sizeof a.auth_data || signature.n > sizeof a.signature)
        return 0;
    if (auth.n > 0)
        memcpy(a.auth_data, auth.p, auth.n);
    if (signature.n > 0)
        memcpy(a.signature, signature.p, signature.n);
    st = fido_verify(public, SPAN(hash), &a, &e);
    need(st == OK || (st == DENIED && e.why != NULL));
    need(st != OK || (a.auth_data[32] & 5) == 5);
    st = fido_verify_as(public, SPAN(hash), &a, (struct fido_expect){ 0 }, &e2);
    need(st == OK || (st == DENIED && e2.why != NULL));
    return 0;
}
