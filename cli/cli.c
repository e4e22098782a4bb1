/* What the commands have in common. */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "file.h"
#include "prompt.h"
#include "provider/provider.h"
#include "secret/secret.h"

#define SLAB ((size_t)1024 * 1024)

status cli_start(struct err *e)
{
    status st = secret_start(SLAB, e);

    if (st == OK)
        st = crypto_selftest(e);
    return st == OK ? provider_start(e) : st;
}

const char *cli_argument(const struct cli *c, size_t n)
{
    /* main has put noun and verb away. */
    return n < c->options.argument_count ? c->options.argument[n] : NULL;
}

int cli_name(const struct cli *c, size_t n, const char *what, const char **ret_name)
{
    const char *name = cli_argument(c, n);

    if (name == NULL || !name_valid(name))
        return report(EXIT_USAGE,
                      "the name of %s has 1 to 63 of a-z 0-9 - _ . and begins with a "
                      "letter or digit",
                      what);
    *ret_name = name;
    return EXIT_DONE;
}

int cli_pair(const struct cli *c, size_t n, struct pair *ret_pair)
{
    const char *text = cli_argument(c, n);
    const char *slash = text != NULL ? strchr(text, '/') : NULL;
    size_t before = slash != NULL ? (size_t)(slash - text) : 0;

    if (slash != NULL && before <= NAME_MAX_LENGTH && strlen(slash + 1) <= NAME_MAX_LENGTH) {
        snprintf(ret_pair->tenant, sizeof(ret_pair->tenant), "%.*s", (int)before, text);
        snprintf(ret_pair->name, sizeof(ret_pair->name), "%s", slash + 1);
        if (name_valid(ret_pair->tenant) && name_valid(ret_pair->name))
            return EXIT_DONE;
    }
    return report(EXIT_USAGE,
                  "give TENANT/NAME, each of 1 to 63 of a-z 0-9 - _ . and beginning with "
                  "a letter or digit");
}

int cli_confirm(const struct cli *c, const char *question)
{
    bool yes = false;

    if (option_given(&c->options, OPT_YES))
        return EXIT_DONE;
    if (prompt_confirm(question, &yes, NULL) != OK)
        return report(EXIT_USAGE, "this asks for confirmation and there is no terminal: add --yes");
    return yes ? EXIT_DONE : report(EXIT_USAGE, "not confirmed; nothing was changed");
}

void cli_pause(void)
{
    const struct timespec half = { .tv_nsec = 500000000 };

    nanosleep(&half, NULL);
}

int cli_csr(const struct cli *c, char out[static PEM_MAX])
{
    const char *path = cli_option(c, OPT_CSR);
    struct err e = { 0 };

    if (file_read(path, out, PEM_MAX, &e) != OK)
        return report_file(path, &e);
    if (strstr(out, "PRIVATE KEY") != NULL)
        return report(EXIT_USAGE,
                      "%s holds a private key, which nobody else may see: hand in the "
                      "certificate request",
                      path);
    if (strstr(out, "-----BEGIN ") == NULL)
        return report(EXIT_USAGE, "%s is not a certificate request in PEM form", path);
    return EXIT_DONE;
}

/* Writes member to the file that option names, if it was given. */
static int write_member(const struct cli *c, enum option_id option, const json_t *reply,
                        const char *member)
{
    const char *path = cli_option(c, option);
    const char *text = json_string_value(json_object_get(reply, member));
    struct err e = { 0 };

    if (path == NULL)
        return EXIT_DONE;
    if (file_write(path, FILE_PUBLIC, span_text(text), &e) != OK)
        return report_file(path, &e);
    if (!cli_json(c))
        say("%s is written to %s.", option == OPT_OUT ? "The certificate" : "The vault's CA", path);
    return EXIT_DONE;
}

int cli_certificate_out(const struct cli *c, const json_t *reply)
{
    const char *certificate = json_string_value(json_object_get(reply, "certificate"));
    const char *not_after = json_string_value(json_object_get(reply, "not_after"));

    if (certificate == NULL || !json_is_string(json_object_get(reply, "ca")))
        return report(EXIT_OTHER, "the server's answer has no certificate");
    /* First what cannot be had again if a file cannot be written. */
    if (cli_json(c)) {
        AUTO(wiped) *text = (struct wiped *)json_dumps(reply, JSON_INDENT(2));

        print_span(text != NULL ? span_text((const char *)text) : span_of(NULL, 0));
        print_span(span_text("\n"));
    } else if (cli_option(c, OPT_OUT) == NULL) {
        print_span(span_text(certificate));
    }
    int code = write_member(c, OPT_OUT, reply, "certificate");

    if (code == EXIT_DONE)
        code = write_member(c, OPT_CA_OUT, reply, "ca");
    if (code == EXIT_DONE && !cli_json(c) && not_after != NULL)
        say("It is valid until %.19sZ.", not_after);
    return code;
}
