/* What the TLS listener speaks; also what it is measured against (tests/bench/floor.c). */
#ifndef HTTP_PRIORITIES_H
#define HTTP_PRIORITIES_H

/* TLS 1.3 only, no session tickets, no SHA-1, two groups. */
#define HTTP_PRIORITIES                                                          \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:%NO_TICKETS:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:" \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"

#endif
