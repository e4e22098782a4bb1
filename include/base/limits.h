/* Every bound of the product in one place. Sizes in bytes, times in seconds. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define LIMIT_PROVIDER_KEY  8192             /* one provider key, any provider */
#define LIMIT_SEALED_KEY    (8192 + 64 + 88) /* padded and sealed */
#define LIMIT_DELIVERY      (8192 + 48)      /* crypto_box_seal of a provider key */
#define LIMIT_FIELDS        2048             /* engine-built part of a record */
#define LIMIT_RECORD        4096             /* a whole record line */
#define LIMIT_FRAME         163840           /* one keeper message */
#define LIMIT_BATCH_ENTRIES 64
#define LIMIT_HTTP_BODY     65536
#define LIMIT_USAGE_BODY    4194304 /* of reports, which may have prompts in them */
#define LIMIT_HTTP_HEADERS  16384   /* a connection's memory: a head of 12 KiB fits */
#define LIMIT_CREDENTIAL_ID 512
#define LIMIT_SLOTS         64
#define LIMIT_CSR           8192
#define LIMIT_CERTIFICATE   8192
#define LIMIT_REGION        15
#define LIMIT_TREE_LEVELS   40 /* 2^40 records a log */
#define LIMIT_TENANTS       100000
#define LIMIT_WAIT_S        60 /* of a request for records that are still to come */

#define PURGE_DELAY_S    (7 * 86400) /* the promise: not a setting */
#define UNLOCK_SESSION_S 120
#define INIT_SESSION_S   1800  /* several operators, one after the other */
#define CLOCK_JUMP_S     86400 /* ahead of the monotonic clock: alarm */

#endif
