/* The keyring's codes as they travel over the wire. The engine may not see the keyring itself;
 * tests/unit/test_engine_codes.c holds these against the keyring's own header. */
#ifndef ENGINE_KEYRING_CODES_H
#define ENGINE_KEYRING_CODES_H

#define WIRE_CELL_DATA_KEY      2
#define WIRE_CELL_ENGAGEMENT    3
#define WIRE_DESTROY_REVOKED    2
#define WIRE_DESTROY_GRACE_OVER 3
#define WIRE_DESTROY_UNANSWERED 5

#endif
