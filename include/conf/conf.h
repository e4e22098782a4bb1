/*
 * strongroom.conf: name = value lines, # comments. One table holds every setting with its type,
 * default, bounds and help; parser, --check-config and the sample file come from it. An unknown
 * or repeated name, a bad value or a missing one is an error with its line number; messages name
 * the setting, never the value.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

#define CONF_TEXT 256

struct conf {
    char data_dir[CONF_TEXT];      /* keyring/, store/, tls/ below it */
    char socket[CONF_TEXT];        /* local Unix socket */
    char listen[CONF_TEXT];        /* address:port of the TLS listener */
    char server_names[CONF_TEXT];  /* comma-separated DNS names and addresses of its certificate */
    char region[CONF_TEXT];        /* [a-z0-9-]{1,15} */
    char user[CONF_TEXT];          /* run children as this user when started as root */
    char allow_missing[CONF_TEXT]; /* names of protections: sandbox/hygiene.h judges them */
    char compat_listen[CONF_TEXT]; /* address:port of the Vault-compatible face; empty: off */
    uint64_t compat_token_ttl_s;   /* of its logins */
    uint64_t lease_ttl_s;          /* default TTL */
    uint64_t lease_max_ttl_s;
    uint64_t lease_max_lifetime_s; /* with renewals */
    uint64_t rotate_grace_s;
    uint64_t checkpoint_s;      /* between checkpoints of what changed */
    uint64_t checkpoint_idle_s; /* of all logs, changed or not */
    uint64_t certificate_days;
    uint64_t disk_reserve_mib;        /* below this, no new leases or keys */
    uint64_t grant_step_up;           /* 0 or 1: a grant, or a wider policy, takes a touch */
    uint64_t policy_required;         /* 0 or 1: a tenant without a document leases nothing */
    uint64_t unlocked_max_s;          /* locks itself after that long; 0: never */
    uint64_t idle_lock_s;             /* or without a request for that long; 0: never */
    uint64_t alert_first_use;         /* 0 or 1 */
    uint64_t alert_denied_per_minute; /* of one actor; 0: no alert, as below */
    uint64_t alert_after_rotation;    /* 0 or 1 */
    uint64_t alert_spike_factor;      /* times the mean of the hours before */
    uint64_t alert_spike_minimum;     /* leases an hour */
    char alert_hours[CONF_TEXT];      /* when unlocking is expected: base/hours.h reads it */
    uint64_t http_threads;
    uint64_t http_connections;
    uint64_t http_idle_s;
    uint64_t http_connections_per_address; /* 0: any number */
    uint64_t queue_per_client;             /* requests of one certificate that may wait at once */
    uint64_t gateway_rate;                 /* lease requests a second; 0: any */
    uint64_t tenant_rate;                  /* the same, for one tenant's keys */
    uint64_t allow_copy_on_write;          /* 0 or 1 */
    uint64_t log_level; /* enum log_level: debug, info, warn, error in the file */
};

/* Where a conf_parse error is; line 0 means the whole file. */
struct conf_trouble {
    unsigned line;
    const char *setting; /* name from the table, or NULL */
    const char *why;     /* literal */
};

/* Defaults for everything. */
void conf_init(struct conf *c);
/* Parses text over the defaults. BAD_INPUT with *ret_trouble filled. Fuzzed. */
MUST_CHECK status conf_parse(struct span text, struct conf *c, struct conf_trouble *ret_trouble,
                             struct err *e);
/* Reads the file (at most 64 KiB) and parses it. */
MUST_CHECK status conf_load(const char *path, struct conf *c, struct conf_trouble *ret_trouble,
                            struct err *e);
/* Writes a commented sample file with every setting at its default. */
void conf_sample(FILE *to);

#endif
