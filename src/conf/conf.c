/*
 * The one table of settings. Parser, sample file and --check-config read it; a setting exists
 * exactly if it has a row here.
 */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hours.h"
#include "base/log.h"

enum kind { KIND_TEXT, KIND_NAME, KIND_NUMBER, KIND_FLAG, KIND_LEVEL };

struct setting {
    const char *name;
    enum kind kind;
    size_t at;        /* offset in struct conf */
    const char *text; /* default of texts */
    uint64_t number;  /* default of the others */
    uint64_t min;
    uint64_t max;
    const char *help;
    const char *(*check)(const char *value); /* of texts; NULL, or why it cannot be */
};

/* What a row does not name is zero. */
#define ROW(member) .name = #member, .at = offsetof(struct conf, member)
#define TEXT(member, value, test, about)                                                     \
    {                                                                                        \
        ROW(member), .text = (value), .max = CONF_TEXT - 1, .check = (test), .help = (about) \
    }
#define NUMBER(member, value, low, high, about)                                           \
    {                                                                                     \
        ROW(member), .kind = KIND_NUMBER, .number = (value), .min = (low), .max = (high), \
                     .help = (about)                                                      \
    }
#define FLAG(member, about)                                       \
    {                                                             \
        ROW(member), .kind = KIND_FLAG, .max = 1, .help = (about) \
    }

static const char *check_path(const char *value)
{
    return value[0] == '/' && value[1] != '\0' ? NULL : "must be an absolute path";
}

/* sun_path of a Unix address holds 107 characters; the directory becomes the daemon's own. */
static const char *check_socket(const char *value)
{
    if (strlen(value) > 107)
        return "must not be longer than 107 characters";
    return value[0] == '/' && strrchr(value, '/') != value
               ? NULL
               : "must be an absolute path in a directory of its own";
}

static const char *check_listen(const char *value)
{
    char address[CONF_TEXT];
    uint8_t binary[16];
    const char *colon = strrchr(value, ':');
    uint64_t port;
    size_t n;

    if (colon == NULL || !number_parse(colon + 1, 1, 65535, &port))
        return "must be address:port";
    n = (size_t)(colon - value);
    if (n >= 2 && value[0] == '[' && value[n - 1] == ']') {
        snprintf(address, sizeof address, "%.*s", (int)(n - 2), value + 1);
        return inet_pton(AF_INET6, address, binary) == 1 ? NULL : "must have a numeric address";
    }
    snprintf(address, sizeof address, "%.*s", (int)n, value);
    return inet_pton(AF_INET, address, binary) == 1 ? NULL : "must have a numeric address";
}

static const char *check_compat_listen(const char *value)
{
    return value[0] == '\0' ? NULL : check_listen(value);
}

static const char *check_hours(const char *value)
{
    struct hours hours;

    return hours_parse(span_text(value), &hours) ? NULL : "must be like mon-fri 08-20 or 08-20";
}

static const struct setting settings[] = {
    TEXT(data_dir, "/var/lib/strongroom", check_path,
         "keyring/, store/ and tls/ live below this directory"),
    TEXT(socket, "/run/strongroom/strongroom.sock", check_socket,
         "local Unix socket: init, status, and the way back"),
    TEXT(listen, "127.0.0.1:8443", check_listen, "address:port of the TLS listener"),
    TEXT(compat_listen, "", check_compat_listen,
         "address:port of the Vault-compatible read API; empty for none"),
    NUMBER(compat_token_ttl_s, 1800, 60, 86400, "how long a login there lasts"),
    TEXT(server_names, "localhost,127.0.0.1", NULL,
         "DNS names and addresses in the server certificate"),
    { ROW(region), .kind = KIND_NAME, .text = "local", .min = 1, .max = LIMIT_REGION,
      .help = "region this vault serves; fixed at init" },
    TEXT(user, "", NULL, "run keeper and server as this user when started as root"),
    NUMBER(lease_ttl_s, 300, 1, 3600, "lease time when a gateway asks for none"),
    NUMBER(lease_max_ttl_s, 3600, 1, 86400, "longest time of one lease"),
    NUMBER(lease_max_lifetime_s, 86400, 1, 604800, "longest life of a lease with all renewals"),
    NUMBER(rotate_grace_s, 60, 0, 86400, "how long a rotated version outlives its successor"),
    NUMBER(checkpoint_s, 10, 1, 3600, "seconds between checkpoints of logs that changed"),
    NUMBER(checkpoint_idle_s, 3600, 1, 86400, "seconds between checkpoints of all logs"),
    NUMBER(certificate_days, 365, 1, 825, "validity of issued certificates"),
    NUMBER(disk_reserve_mib, 64, 1, 1048576, "below this much free disk, no new leases or keys"),
    { ROW(grant_step_up), .kind = KIND_FLAG, .number = 1, .max = 1,
      .help = "a grant, or a policy that allows more, takes an operator's touch: yes or no" },
    FLAG(policy_required, "a tenant without a document of policy leases nothing: yes or no"),
    NUMBER(unlocked_max_s, 0, 0, 31536000, "lock when unlocked for that long; 0 for never"),
    NUMBER(idle_lock_s, 0, 0, 31536000, "lock without a request for that long; 0 for never"),
    { ROW(alert_first_use), .kind = KIND_FLAG, .number = 1, .max = 1,
      .help = "alert when a gateway leases a key for the first time: yes or no" },
    NUMBER(alert_denied_per_minute, 10, 0, 1000000,
           "alert at so many refusals of one actor in a minute; 0 for never"),
    { ROW(alert_after_rotation), .kind = KIND_FLAG, .number = 1, .max = 1,
      .help = "alert when a gateway holds an old version after its grace: yes or no" },
    NUMBER(alert_spike_factor, 10, 0, 1000000,
           "alert at so many times a key's mean of leases an hour; 0 for never"),
    NUMBER(alert_spike_minimum, 100, 1, 1000000000, "fewer leases an hour are no spike"),
    TEXT(alert_hours, "", check_hours,
         "alert when unlocked outside of these hours, UTC, as in mon-fri 08-20; empty for never"),
    NUMBER(http_threads, 2, 1, 64, "threads that speak TLS and HTTP"),
    NUMBER(http_connections, 1024, 16, 65536, "connections at once"),
    NUMBER(http_idle_s, 60, 3, 3600,
           "a connection idle for that long is closed; a third of it for TLS and a first request"),
    NUMBER(http_connections_per_address, 0, 0, 65536,
           "connections at once from one address; 0 for any number"),
    NUMBER(queue_per_client, 512, 1, 65536,
           "requests of one certificate that may wait at once; more are answered 429"),
    NUMBER(gateway_rate, 0, 0, 1000000, "lease requests a second of one gateway; 0 for any"),
    NUMBER(tenant_rate, 0, 0, 1000000, "lease requests a second for one tenant's keys; 0 for any"),
    FLAG(allow_copy_on_write, "keep the keyring where old copies may survive deletion: yes or no"),
    TEXT(allow_missing, "", NULL,
         "protections without which to start all the same, as --check names them"),
    { ROW(log_level), .kind = KIND_LEVEL, .number = LOG_INFO_,
      .help = "debug, info, warn or error" },
};

#define SETTING_COUNT (sizeof settings / sizeof settings[0])

static const char *const levels[] = { "debug", "info", "warn", "error" };
static const char *const flags[] = { "no", "yes" };

static char *text_at(struct conf *c, const struct setting *s)
{
    return (char *)c + s->at;
}

static void number_set(struct conf *c, const struct setting *s, uint64_t value)
{
    memcpy((char *)c + s->at, &value, sizeof value);
}

void conf_init(struct conf *c)
{
    *c = (struct conf){ 0 };
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].text != NULL)
            snprintf(text_at(c, &settings[i]), CONF_TEXT, "%s", settings[i].text);
        else
            number_set(c, &settings[i], settings[i].number);
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.n > 0 && is_space((char)s.p[0]))
        s = span_of(s.p + 1, s.n - 1);
    while (s.n > 0 && is_space((char)s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool printable(struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < 0x20 || value.p[i] > 0x7e)
            return false;
    }
    return true;
}

static const char *set_text(const struct setting *s, const char *value, struct conf *c)
{
    const char *why = NULL;
    size_t n = strlen(value);

    if (n < s->min || n > s->max)
        return "the value is too long or too short";
    if (s->kind == KIND_NAME && strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return "only lower-case letters, digits and hyphens are allowed";
    if (s->check != NULL)
        why = s->check(value);
    if (why != NULL)
        return why;
    snprintf(text_at(c, s), CONF_TEXT, "%s", value);
    return NULL;
}

static const char *set_number(const struct setting *s, const char *value, struct conf *c)
{
    uint64_t number;

    if (!number_parse(value, s->min, s->max, &number))
        return "not a whole number within the allowed range";
    number_set(c, s, number);
    return NULL;
}

static const char *set_word(const struct setting *s, const char *value, struct conf *c)
{
    const char *const *words = s->kind == KIND_FLAG ? flags : levels;
    size_t count = s->kind == KIND_FLAG ? 2 : 4;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            number_set(c, s, i);
            return NULL;
        }
    }
    return s->kind == KIND_FLAG ? "say yes or no" : "say debug, info, warn or error";
}

static const char *set_value(const struct setting *s, const char *value, struct conf *c)
{
    switch (s->kind) {
    case KIND_TEXT:
    case KIND_NAME: return set_text(s, value, c);
    case KIND_NUMBER: return set_number(s, value, c);
    case KIND_FLAG:
    case KIND_LEVEL: break;
    }
    return set_word(s, value, c);
}

static const struct setting *find(struct span name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (span_same(name, span_text(settings[i].name)))
            return &settings[i];
    }
    return NULL;
}

/* One line without its newline. NULL if fine, else why not. */
static const char *parse_line(struct span line, struct conf *c, bool *seen,
                              const char **ret_setting)
{
    const uint8_t *equals;
    const struct setting *s;
    struct span value;
    char text[CONF_TEXT];

    line = trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return NULL;
    equals = memchr(line.p, '=', line.n);
    if (equals == NULL)
        return "expected: name = value";
    s = find(trim(span_of(line.p, (size_t)(equals - line.p))));
    if (s == NULL)
        return "unknown setting";
    *ret_setting = s->name;
    if (seen[s - settings])
        return "set twice";
    seen[s - settings] = true;
    value = trim(span_of(equals + 1, line.n - (size_t)(equals + 1 - line.p)));
    if (value.n >= sizeof text || !printable(value))
        return "the value is too long or not plain ASCII";
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    return set_value(s, text, c);
}

status conf_parse(struct span text, struct conf *c, struct conf_trouble *ret_trouble, struct err *e)
{
    bool seen[SETTING_COUNT] = { false };
    struct conf_trouble trouble = { 0 };

    conf_init(c);
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t length = end == NULL ? text.n : (size_t)(end - text.p);

        trouble.line++;
        trouble.setting = NULL;
        trouble.why = parse_line(span_of(text.p, length), c, seen, &trouble.setting);
        if (trouble.why != NULL) {
            *ret_trouble = trouble;
            return fail(e, BAD_INPUT, "the configuration has an error", trouble.line);
        }
        length += end != NULL;
        text = span_of(text.p + length, text.n - length);
    }
    if (c->lease_ttl_s > c->lease_max_ttl_s || c->lease_max_ttl_s > c->lease_max_lifetime_s) {
        *ret_trouble = (struct conf_trouble){
            .setting = "lease_ttl_s",
            .why = "lease_ttl_s <= lease_max_ttl_s <= lease_max_lifetime_s does not hold"
        };
        return fail(e, BAD_INPUT, "the configuration has an error", 0);
    }
    return OK;
}

status conf_load(const char *path, struct conf *c, struct conf_trouble *ret_trouble, struct err *e)
{
    static uint8_t text[65536];
    size_t n = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *ret_trouble = (struct conf_trouble){ .why = "the file cannot be read" };
    if (fd < 0)
        return fail(e, errno == ENOENT ? NOT_FOUND : IO, "cannot open the configuration", errno);
    while ((got = read(fd, text + n, sizeof text - n)) > 0)
        n += (size_t)got;
    close(fd);
    if (got < 0)
        return fail(e, IO, "cannot read the configuration", errno);
    if (n == sizeof text) {
        ret_trouble->why = "the file is larger than 64 KiB";
        return fail(e, LIMIT, "the configuration is too large", 0);
    }
    return conf_parse(span_of(text, n), c, ret_trouble, e);
}

void conf_sample(FILE *to)
{
    fputs("# Strongroom configuration: name = value. These are the defaults.\n", to);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];

        fprintf(to, "\n# %s", s->help);
        if (s->kind == KIND_NUMBER)
            fprintf(to, " (%llu to %llu)", (unsigned long long)s->min, (unsigned long long)s->max);
        fprintf(to, "\n# %s = ", s->name);
        if (s->text != NULL)
            fprintf(to, "%s\n", s->text);
        else if (s->kind == KIND_NUMBER)
            fprintf(to, "%llu\n", (unsigned long long)s->number);
        else
            fprintf(to, "%s\n", s->kind == KIND_FLAG ? flags[s->number] : levels[s->number]);
    }
}
