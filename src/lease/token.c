/* What a gateway holds. */
#include "lease/lease.h"

#include <string.h>

void lease_token_format(const struct id *lease, const uint8_t mac[static 16],
                        char out[LEASE_TOKEN_LENGTH + 1])
{
    hex_format(SPAN(lease->b), out);
    hex_format(span_of(mac, 16), out + ID_HEX_LENGTH);
}

bool lease_token_parse(const char *text, struct id *ret_lease, uint8_t ret_mac[static 16])
{
    return strlen(text) == LEASE_TOKEN_LENGTH &&
           hex_parse(text, ID_HEX_LENGTH, ret_lease->b, sizeof ret_lease->b) &&
           hex_parse(text + ID_HEX_LENGTH, ID_HEX_LENGTH, ret_mac, 16);
}
