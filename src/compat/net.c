/* Ranges of addresses, IPv4 inside IPv6. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "compat/token.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 section 2.5.5.2 */

static bool address_parse(const char *text, uint8_t out[static 16], unsigned *ret_base)
{
    memcpy(out, mapped, sizeof mapped);
    *ret_base = 96;
    if (inet_pton(AF_INET, text, out + sizeof mapped) == 1)
        return true;
    *ret_base = 0;
    return inet_pton(AF_INET6, text, out) == 1;
}

/* The bits of one byte of an address that a prefix covers. */
static uint8_t mask(uint8_t bits, size_t byte)
{
    size_t covered = bits > 8 * byte ? bits - 8 * byte : 0;

    return covered >= 8 ? 0xff : (uint8_t)(0xff00u >> covered);
}

bool net_parse(const char *text, struct net *ret_net)
{
    const char *slash = strchr(text, '/');
    char address[NET_TEXT];
    struct net net = { .bits = 128 };
    uint64_t bits;
    unsigned base;
    size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);

    if (n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    if (!address_parse(address, net.address, &base))
        return false;
    if (slash != NULL) {
        if (!number_parse(slash + 1, 0, 128 - base, &bits))
            return false;
        net.bits = (uint8_t)(base + bits);
    }
    for (size_t i = 0; i < sizeof net.address; i++) {
        if ((net.address[i] & ~mask(net.bits, i)) != 0)
            return false;
    }
    *ret_net = net;
    return true;
}

void net_format(const struct net *net, char out[NET_TEXT])
{
    bool four = net->bits >= 96 && memcmp(net->address, mapped, sizeof mapped) == 0;
    char address[INET6_ADDRSTRLEN] = "";

    inet_ntop(four ? AF_INET : AF_INET6, four ? net->address + sizeof mapped : net->address,
              address, sizeof address);
    snprintf(out, NET_TEXT, "%s/%u", address, (unsigned)net->bits - (four ? 96u : 0u));
}

bool net_is_everywhere(const struct net *net)
{
    return net->bits == 0 || (net->bits == 96 && memcmp(net->address, mapped, sizeof mapped) == 0);
}

bool net_holds(const struct net *net, const uint8_t address[static 16])
{
    for (size_t i = 0; i < sizeof net->address; i++) {
        if (((net->address[i] ^ address[i]) & mask(net->bits, i)) != 0)
            return false;
    }
    return true;
}
