/* The command line of exec, and what it does while the command runs. */
#include "exec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "commands.h"
#include "provider/credential.h"
#include "remember.h"

#define VARIABLE_MAX 128

struct exec {
    struct cli *c;
    struct held held[EXEC_LEASES];
    size_t count;
    struct feed feed;
    struct memory_directory directory;
    char **command; /* with paths in place of {} */
    bool in_file;
    bool restart;
    bool kill_on_revoke;
    int signal;         /* 0: none */
    uint64_t ending_us; /* from the signal that asks to the one that does not */
    bool restarting;
    uint64_t kill_us; /* when patience with it ends; 0: it was not asked to end */
};

/* --- options ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int number;
} signals[] = {
    { "HUP", SIGHUP },   { "INT", SIGINT },   { "TERM", SIGTERM }, { "QUIT", SIGQUIT },
    { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "none", 0 },
};

static int read_signal(struct exec *x)
{
    const char *name = cli_option(x->c, OPT_SIGNAL);

    x->signal = SIGHUP;
    if (name == NULL)
        return EXIT_DONE;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strcmp(signals[i].name, name) == 0) {
            x->signal = signals[i].number;
            return EXIT_DONE;
        }
    }
    return report(EXIT_USAGE, "--signal is HUP, INT, TERM, QUIT, USR1, USR2 or none");
}

static int read_lease(struct exec *x, const char *text)
{
    struct held *h = &x->held[x->count];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : 0;
    char tenant[NAME_MAX_LENGTH + 1];

    if (n == 0 || n > NAME_MAX_LENGTH)
        return report(EXIT_USAGE, "--lease takes TENANT/NAME");
    snprintf(tenant, sizeof(tenant), "%.*s", (int)n, text);
    if (!name_valid(tenant) || !name_valid(slash + 1))
        return report(EXIT_USAGE, "--lease takes TENANT/NAME");
    snprintf(h->key, sizeof(h->key), "%s", text);
    snprintf(h->file, sizeof(h->file), "%s@%s", tenant, slash + 1);
    for (size_t i = 0; i < x->count; i++) {
        if (strcmp(x->held[i].key, text) == 0)
            return report(EXIT_USAGE, "--lease names %s twice", text);
    }
    x->count++;
    return EXIT_DONE;
}

/* NAME, or NAME=FIELD in two parts; false if it is neither. */
static bool split_as(const char *text, char name[static VARIABLE_MAX], const char **ret_field)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    *ret_field = text[n] == '=' ? text + n + 1 : NULL;
    if (n == 0 || n >= VARIABLE_MAX - sizeof("_FILE") || (text[0] >= '0' && text[0] <= '9') ||
        (text[n] != '\0' && *ret_field == NULL) ||
        (*ret_field != NULL && (**ret_field == '\0' || strlen(*ret_field) > CREDENTIAL_NAME ||
                                strpbrk(*ret_field, "{}") != NULL)))
        return false;
    snprintf(name, VARIABLE_MAX, "%.*s", (int)n, text);
    return true;
}

/* The k-th --as of lease i, or NULL. */
static const char *as_of(const struct exec *x, size_t i, size_t k)
{
    const struct options *o = &x->c->options;

    for (size_t j = 0; j < o->variables.count; j++) {
        if (o->variable_lease[j] == i + 1 && k-- == 0)
            return o->variables.value[j];
    }
    return NULL;
}

static int read_variables(const struct exec *x)
{
    const struct options *o = &x->c->options;
    char name[VARIABLE_MAX];
    const char *field;

    for (size_t j = 0; j < o->variables.count; j++) {
        if (o->variable_lease[j] == 0)
            return report(EXIT_USAGE, "--as follows the --lease that it is about");
        if (!split_as(o->variables.value[j], name, &field))
            return report(EXIT_USAGE, "--as takes the name of a variable, or NAME=FIELD");
    }
    for (size_t i = 0; x->in_file && i < x->count; i++) {
        if (as_of(x, i, 1) != NULL)
            return report(EXIT_USAGE, "a file holds one thing: one --as for each --lease");
    }
    return EXIT_DONE;
}

static int read_options(struct exec *x)
{
    const struct options *o = &x->c->options;
    const struct bounds bounds = { .max = 3600, .fallback = 10 };
    uint64_t ending_s = 0;
    int code = read_signal(x);

    if (code == EXIT_DONE)
        code = option_number(o, OPT_END_WITHIN, bounds, &ending_s);
    x->ending_us = ending_s * SECOND_US;

    if (o->command == NULL || o->command[0] == NULL)
        return report(EXIT_USAGE, "put the command behind --: strongroom exec --lease "
                                  "TENANT/NAME -- COMMAND ARGUMENT...");
    if (o->leases.count > EXEC_LEASES)
        return report(EXIT_USAGE, "--lease is given more than %d times", EXEC_LEASES);
    for (size_t i = 0; code == EXIT_DONE && i < o->leases.count; i++)
        code = read_lease(x, o->leases.value[i]);
    return code == EXIT_DONE ? read_variables(x) : code;
}

/* --- what the command gets -------------------------------------------------------------------- */

static void path_of(const struct exec *x, const struct held *h, char out[static 512])
{
    snprintf(out, 512, "%s/%s", x->directory.path, h->file);
}

/* The lease that {} or {TENANT/NAME} at the beginning of text means, and how long that is. */
static const struct held *placeholder(const struct exec *x, const char *text, size_t *ret_n)
{
    if (text[0] != '{')
        return NULL;
    *ret_n = 2;
    if (text[1] == '}' && x->count == 1)
        return &x->held[0];
    for (size_t i = 0; i < x->count; i++) {
        size_t n = strlen(x->held[i].key);

        *ret_n = n + 2;
        if (strncmp(text + 1, x->held[i].key, n) == 0 && text[n + 1] == '}')
            return &x->held[i];
    }
    return NULL;
}

static char *expand(const struct exec *x, const char *text)
{
    size_t cap = 1, n = 0;
    char path[512];

    for (const char *at = text; *at != '\0'; at++)
        cap += *at == '{' ? sizeof(path) : 1;
    char *out = calloc(1, cap);

    for (const char *at = text; out != NULL && *at != '\0';) {
        const struct held *h = placeholder(x, at, &n);
        size_t used = strlen(out);

        if (h != NULL)
            path_of(x, h, path);
        snprintf(out + used, cap - used, "%.*s", h != NULL ? (int)sizeof(path) : 1,
                 h != NULL ? path : at);
        at += h != NULL ? n : 1;
    }
    return out;
}

static int make_command(struct exec *x)
{
    char **given = x->c->options.command;
    size_t n = 0;

    while (given[n] != NULL)
        n++;
    x->command = calloc(n + 1, sizeof(*x->command));
    for (size_t i = 0; x->command != NULL && i < n; i++) {
        if (x->in_file && x->count > 1 && strstr(given[i], "{}") != NULL)
            return report(EXIT_USAGE, "{} does not say which lease: write {TENANT/NAME}");
        x->command[i] = x->in_file ? expand(x, given[i]) : strdup(given[i]);
        if (x->command[i] == NULL)
            return report(EXIT_OTHER, "no memory");
    }
    return x->command != NULL ? (int)EXIT_DONE : report(EXIT_OTHER, "no memory");
}

/* Does a template name what may be seen by everyone, and nothing else? */
static bool is_public(const struct provider *p, const char *template)
{
    for (const char *at = strchr(template, '{'); at != NULL; at = strchr(at + 1, '{')) {
        bool shown = false;

        for (size_t i = 0; i < p->field_count; i++) {
            size_t n = strlen(p->field[i].name);

            shown |= !p->field[i].secret && strncmp(at + 1, p->field[i].name, n) == 0 &&
                     at[n + 1] == '}';
        }
        if (!shown)
            return false;
    }
    return true;
}

static status render(struct environment *v, const struct held *h, const char *name,
                     const char *template, struct err *e)
{
    struct mspan room;
    size_t n = 0;
    status st = environment_room(v, name, &room, e);

    if (st == OK)
        st =
            provider_render(h->provider, template, RENDER_TEXT, secret_view(h->value), room, &n, e);
    return st == OK ? environment_add(v, name, n, e) : st;
}

/* The provider's own variables, as far as the value has what they name. */
static status render_known(const struct exec *x, struct environment *v, const struct held *h,
                           size_t *ret_count, struct err *e)
{
    const struct provider *p = h->provider;

    *ret_count = 0;
    for (size_t i = 0; i < p->variable_count; i++) {
        bool shown = is_public(p, p->variable[i].text);
        struct err absent = { 0 };
        status st;

        if (x->in_file && !shown)
            continue;
        st = render(v, h, p->variable[i].name, p->variable[i].text, &absent);
        if (st != OK && st != NOT_FOUND)
            return err_note(e, st, absent.where, absent.why, absent.detail);
        *ret_count += st == OK && !shown;
    }
    return OK;
}

static status render_as(struct environment *v, const struct held *h, const char *as, struct err *e)
{
    char name[VARIABLE_MAX], template[CREDENTIAL_NAME + 3];
    const char *field = NULL;

    (void)split_as(as, name, &field);
    snprintf(template, sizeof(template), "{%s}", field != NULL ? field : "");
    return render(v, h, name, template, e);
}

static int cannot_say(const struct held *h, const char *what)
{
    return report(EXIT_USAGE, "%s: %s has %s; say --as NAME or --as NAME=FIELD", h->key,
                  h->provider->name, what);
}

/* Variables with the value. */
static int add_values(const struct exec *x, struct environment *v, size_t i)
{
    const struct held *h = &x->held[i];
    struct err e = { 0 };
    size_t count = 0;
    status st = OK;

    for (size_t k = 0; st == OK && as_of(x, i, k) != NULL; k++)
        st = render_as(v, h, as_of(x, i, k), &e);
    if (as_of(x, i, 0) == NULL && h->provider->file != NULL)
        return report(EXIT_USAGE, "%s: a credential of %s is handed over in a file: add --file",
                      h->key, h->provider->name);
    if (as_of(x, i, 0) == NULL)
        st = render_known(x, v, h, &count, &e);
    if (st != OK)
        return report_err(h->key, &e);
    if (as_of(x, i, 0) == NULL && count == 0)
        return cannot_say(h, "no variable of its own for such a value");
    return EXIT_DONE;
}

/* Variables with the name of the file. */
static int add_paths(const struct exec *x, struct environment *v, size_t i)
{
    const struct held *h = &x->held[i];
    const struct provider *p = h->provider;
    const char *as = as_of(x, i, 0), *field;
    char path[512], name[VARIABLE_MAX], named[VARIABLE_MAX + 8];
    struct err e = { 0 };
    size_t count;
    status st = render_known(x, v, h, &count, &e);

    path_of(x, h, path);
    if (st == OK && as != NULL && split_as(as, name, &field)) {
        snprintf(named, sizeof(named), "%s_FILE", name);
        st = environment_text(v, named, path, &e);
    } else if (st == OK && p->file != NULL) {
        st = environment_text(v, p->file, path, &e);
    } else if (p->field_count > 1 || p->variable_count == 0) {
        return cannot_say(h, "no variable of its own for a file");
    }
    for (size_t k = 0; st == OK && as == NULL && p->file == NULL && k < p->variable_count; k++) {
        snprintf(named, sizeof(named), "%.100s_FILE", p->variable[k].name);
        st = environment_text(v, named, path, &e);
    }
    return st == OK ? (int)EXIT_DONE : report_err(h->key, &e);
}

static int start(struct exec *x)
{
    struct environment v = { 0 };
    struct err e = { 0 };
    int code = EXIT_DONE;

    if (child_told != 0)
        return 128 + (int)child_told;
    if (environment_begin(&v, &e) != OK)
        code = report_err("environment", &e);
    for (size_t i = 0; code == EXIT_DONE && i < x->count; i++) {
        if (!x->held[i].lost)
            code = x->in_file ? add_paths(x, &v, i) : add_values(x, &v, i);
    }
    if (code == EXIT_DONE)
        code = child_start(x->command, &v);
    environment_clear(&v);
    return code;
}

/* What --as says, else the whole value. */
static int write_file(const struct exec *x, size_t i)
{
    const struct held *h = &x->held[i];
    const char *as = as_of(x, i, 0), *field = NULL;
    char name[VARIABLE_MAX], template[CREDENTIAL_NAME + 3];
    AUTO(secret) *part = NULL;
    struct span content = secret_view(h->value);
    struct err e = { 0 };
    size_t n = 0;
    status st = OK;

    if (as != NULL && split_as(as, name, &field) && field != NULL) {
        snprintf(template, sizeof(template), "{%s}", field);
        st = secret_new(content.n, &part, &e);
        if (st == OK)
            st = provider_render(h->provider, template, RENDER_TEXT, content, secret_fill(part), &n,
                                 &e);
        if (st == OK)
            content = span_of(secret_fill(part).p, n);
    }
    if (st == OK)
        st = memory_put(&x->directory, h->file, content, &e);
    return st == OK ? (int)EXIT_DONE : report_file(h->key, &e);
}

/* --- while it runs ---------------------------------------------------------------------------- */

static void ask_to_end(struct exec *x)
{
    child_signal(SIGTERM);
    if (x->kill_us == 0)
        x->kill_us = clock_monotonic_us() + x->ending_us;
}

static void publish(struct exec *x, size_t i)
{
    if (x->in_file && write_file(x, i) != EXIT_DONE)
        return;
    if (x->restart) {
        x->restarting = true;
        child_told = 0; /* what it was told before and lived through */
        ask_to_end(x);
    } else if (x->in_file && x->signal != 0) {
        child_signal(x->signal);
    } else if (!x->in_file) {
        say("%s has a new value; the command goes on with the old one. --restart starts it anew.",
            x->held[i].key);
    }
}

static void withdraw(struct exec *x, size_t i)
{
    if (x->in_file)
        memory_drop(&x->directory, x->held[i].file);
    if (x->kill_on_revoke) {
        x->restarting = false;
        ask_to_end(x);
    } else if (x->in_file && x->signal != 0) {
        child_signal(x->signal);
    }
}

static void tend(struct exec *x, size_t i)
{
    char why[WHY];

    switch (held_tend(x->c, &x->held[i], why)) {
    case TENDED_CHANGED: publish(x, i); break;
    case TENDED_LOST: withdraw(x, i); break;
    case TENDED_SAME: break;
    }
}

static uint64_t next_due(const struct exec *x)
{
    uint64_t due = x->kill_us != 0 ? x->kill_us : UINT64_MAX;

    for (size_t i = 0; i < x->count; i++) {
        if (x->held[i].due_us < due)
            due = x->held[i].due_us;
    }
    return due;
}

/* Until the command ends (then true), something is due, or something may have happened. */
static bool wait_for_it(struct exec *x, int *ret_code)
{
    uint64_t due = next_due(x);

    if (child_wait(0, ret_code))
        return true;
    if (feed_listen(x->c, &x->feed, x->held, x->count, due))
        return false;
    return child_wait(
        x->feed.pause_us > clock_monotonic_us() && x->feed.pause_us < due ? x->feed.pause_us : due,
        ret_code);
}

static int watch(struct exec *x)
{
    int code = EXIT_DONE;

    for (;;) {
        if (wait_for_it(x, &code)) {
            if (!x->restarting || child_told != 0)
                return code;
            x->restarting = false;
            x->kill_us = 0;
            code = start(x);
            if (code != EXIT_DONE)
                return code;
        }
        uint64_t now = clock_monotonic_us();

        if (x->kill_us != 0 && now >= x->kill_us) {
            child_signal(SIGKILL);
            x->kill_us = 0;
        }
        for (size_t i = 0; i < x->count && child_stop == 0; i++) {
            if (x->held[i].due_us <= now)
                tend(x, i);
        }
    }
}

static int take_all(struct exec *x)
{
    int code = remember_check(x->c, "tree"); /* a vault that was set back gives nothing out */

    if (code == EXIT_DONE)
        feed_begin(x->c, &x->feed);
    for (size_t i = 0; code == EXIT_DONE && i < x->count; i++) {
        code = held_take(x->c, &x->held[i]);
        if (code == EXIT_DONE && x->in_file)
            code = write_file(x, i);
    }
    return code;
}

static void finish(struct exec *x)
{
    memory_remove(&x->directory);
    child_stop = 0; /* of the command; who wants to stop us now says so again */
    for (size_t i = 0; i < x->count; i++) {
        held_release(x->c, &x->held[i]);
        secret_cleanup(&x->held[i].value);
    }
    for (size_t i = 0; x->command != NULL && x->command[i] != NULL; i++)
        free(x->command[i]);
    free(x->command);
}

int exec_run(struct cli *c)
{
    struct exec x = { .c = c,
                      .directory = { .fd = -1 },
                      .in_file = option_given(&c->options, OPT_FILE),
                      .restart = option_given(&c->options, OPT_RESTART),
                      .kill_on_revoke = option_given(&c->options, OPT_KILL_ON_REVOKE) };
    int code = child_prepare(&c->https.wake);

    c->https.stop = &child_stop;
    if (code == EXIT_DONE)
        code = read_options(&x);
    memory_sweep();
    if (code == EXIT_DONE && x.in_file)
        code = memory_make(&x.directory);
    if (code == EXIT_DONE)
        code = make_command(&x);
    if (code == EXIT_DONE)
        code = take_all(&x);
    if (code == EXIT_DONE)
        code = start(&x);
    if (code == EXIT_DONE)
        code = watch(&x);
    finish(&x);
    return code;
}
