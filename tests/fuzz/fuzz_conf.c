/* conf_parse: whatever the file holds, it parses or is refused with a reason and a line. */
#include <stdlib.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_trouble trouble = { 0 };
    struct conf c;
    struct err e = { 0 };
    status st = conf_parse(span_of(data, size), &c, &trouble, &e);

    if (st != OK && (st != BAD_INPUT || trouble.why == NULL))
        abort();
    if (st == OK && (c.lease_ttl_s == 0 || c.lease_ttl_s > c.lease_max_ttl_s))
        abort();
    return 0;
}
