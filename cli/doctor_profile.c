/* doctor: the profile, its files and its certificate. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "doctor.h"
#include "file.h"

#define SOON_US (30 * DAY_S * SECOND_US)
#define RENEWAL                                                                              \
    "Make a request with 'strongroom certificate request', have it signed with 'strongroom " \
    "certificate issue', and make a new profile of the result with 'strongroom profile create'."

void look_at_profile(struct examination *x)
{
    struct cli *c = x->c;
    char path[PATH_MAX];

    report_catch(x->why, sizeof(x->why));
    int code = profile_locate(c);

    if (code == EXIT_DONE && profile_exists(c))
        code = profile_load(c);
    report_catch(NULL, 0);
    if (code != EXIT_DONE) {
        found_refusal(x, FAILED,
                      "Mend the file or restore it from a copy, or name another --profile.");
        return;
    }
    profile_path(&c->profile, "profile.json", path);
    if (c->profile.root != NULL) {
        x->facts |= HAS_PROFILE;
        found(x, FINE, NULL, "The profile in %.500s can be read.", c->profile.directory);
    } else if (access(path, F_OK) != 0 && errno != ENOENT) {
        found(x, FAILED, "Give its directory to the user that you are, or name another --profile.",
              "The profile in %.500s cannot be reached: %s.", c->profile.directory,
              strerror(errno));
    } else if (cli_option(c, OPT_SOCKET) != NULL) {
        found(x, FINE, NULL, "There is no profile in %.500s, and none is needed with --socket.",
              c->profile.directory);
    } else {
        found(
            x, WARNED,
            "Make one with 'strongroom init' or 'strongroom profile create', or name another with "
            "--profile.",
            "There is no profile in %.500s.", c->profile.directory);
    }
}

void look_at_directory(struct examination *x)
{
    const char *path = x->c->profile.directory;
    struct stat about;

    if (stat(path, &about) != 0)
        found(x, FAILED, "Give it to the user that you are.", "%.500s: %s.", path, strerror(errno));
    else if ((about.st_mode & 022) != 0)
        found(x, FAILED, "Run chmod 700 on it, and compare the pinned keys in profile.json.",
              "Others may replace files in %.500s.", path);
    else if ((about.st_mode & 077) != 0)
        found(x, WARNED, "Run chmod 700 on it.", "Others may look into %.500s.", path);
    else
        found(x, FINE, NULL, "The directory of the profile is closed to others.");
}

void look_at_private_key(struct examination *x)
{
    char path[PATH_MAX];
    struct stat about;

    profile_path(&x->c->profile, PROFILE_KEY, path);
    if (stat(path, &about) != 0)
        found(x, FAILED, "Restore it from a copy. " RENEWAL, "%.500s: %s.", path, strerror(errno));
    else if ((about.st_mode & 077) != 0)
        found(x, FAILED,
              "Run chmod 600 on it, and get a new certificate if others use this machine.",
              "Others may read the private key %.500s.", path);
    else if (access(path, R_OK) != 0)
        found(x, FAILED, "Give it to the user that you are.", "%.500s: %s.", path, strerror(errno));
    else
        found(x, FINE, NULL, "Only its owner may read the private key.");
}

/* What is in the profile; a key that is not there yet is pinned when it is first seen. */
void look_at_pins(struct examination *x)
{
    static const struct {
        const char *name;
        size_t length;
        bool needed;
    } pins[] = { { "vault", 16, true }, { "intake_key", 32, false }, { "ledger_key", 32, false } };
    uint8_t value[32];
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        bool good = profile_hex(&x->c->profile, pins[i].name, value, pins[i].length);

        if (!good && (pins[i].needed || profile_text(&x->c->profile, pins[i].name) != NULL)) {
            found(x, FAILED, "Restore profile.json from a copy, or make the profile anew.",
                  "The profile's %s is damaged.", pins[i].name);
            return;
        }
        count += good;
    }
    found(x, FINE, NULL, "%s",
          count == 3 ? "The vault's keys are pinned."
                     : "The vault is pinned; its keys are when they are first seen.");
}

static bool read_file(struct examination *x, const char *file, char out[static PEM_MAX])
{
    char path[PATH_MAX];
    struct err e = { 0 };

    profile_path(&x->c->profile, file, path);
    if (file_read(path, out, PEM_MAX, &e) == OK)
        return true;
    found(x, FAILED, "Restore it from a copy. " RENEWAL, "%.500s: %s.", path, e.why);
    return false;
}

/* The holder at a time; 0: the end of its validity, so that only the rest is judged. */
static status verify(struct examination *x, const char *certificate, const char *ca, uint64_t at_us,
                     struct err *e)
{
    struct identity_verifier *verifier = NULL;
    uint8_t der[LIMIT_CERTIFICATE];
    struct id vault = { { 0 } };
    struct out out;
    uint64_t end_us = 0;

    (void)profile_hex(&x->c->profile, "vault", vault.b, sizeof(vault.b));
    out_init(&out, der, sizeof(der));
    status st = identity_pem_to_der(span_text(certificate), &out, e);

    if (st == OK)
        st = identity_not_after(span_text(certificate), &end_us, e);
    if (st == OK)
        st = identity_verifier_new(span_text(ca), &vault, &verifier, e);
    if (st == OK)
        st = identity_verify(verifier, span_of(out.p, out.n), at_us != 0 ? at_us : end_us,
                             &x->holder, e);
    identity_verifier_free(verifier);
    return st;
}

void look_at_certificate(struct examination *x)
{
    char certificate[PEM_MAX];
    char ca[PEM_MAX];
    struct err e = { 0 };

    if (!read_file(x, PROFILE_CERTIFICATE, certificate) || !read_file(x, PROFILE_CA, ca))
        return;
    if (verify(x, certificate, ca, 0, &e) != OK) {
        found(x, FAILED, RENEWAL,
              "The profile's certificate and CA are not those of its vault: %s.", e.why);
        return;
    }
    x->facts |= HAS_CERTIFICATE;
    found(x, FINE, NULL, "The certificate is that of %s %s, from the profile's vault.",
          role_name(x->holder.role), x->holder.name);
}

void look_at_pair(struct examination *x)
{
    AUTO(secret) *key = NULL;
    char path[PATH_MAX];
    uint8_t spki[32];
    struct err e = { 0 };

    profile_path(&x->c->profile, PROFILE_KEY, path);
    if (file_read_secret(path, PEM_MAX, &key, &e) != OK)
        found(x, UNCHECKED, NULL, "Not checked: %s.", e.why);
    else if (identity_key_spki(key, spki, &e) != OK)
        found(x, FAILED, RENEWAL, "The private key cannot be used: %s.", e.why);
    else if (!span_same(SPAN(spki), SPAN(x->holder.spki)))
        found(x, FAILED, "Put back the key that the certificate was requested for. " RENEWAL,
              "The certificate is for another private key.");
    else
        found(x, FINE, NULL, "Certificate and private key belong together.");
}

void look_at_validity(struct examination *x)
{
    char certificate[PEM_MAX];
    char ca[PEM_MAX];
    char end[TIME_TEXT_LENGTH + 1];
    uint64_t now_us = clock_wall_us();
    struct err e = { 0 };

    if (!read_file(x, PROFILE_CERTIFICATE, certificate) || !read_file(x, PROFILE_CA, ca))
        return;
    time_format(x->holder.not_after_us, end);
    if (now_us > x->holder.not_after_us)
        found(x, FAILED,
              "Check this machine's clock. " RENEWAL " The machine of the vault signs with "
              "--socket if no operator can.",
              "The certificate ended on %.10s.", end);
    else if (verify(x, certificate, ca, now_us, &e) != OK)
        found(x, FAILED, "Set this machine's clock: it is most likely behind.", "The %s.", e.why);
    else if (now_us + SOON_US > x->holder.not_after_us)
        found(x, WARNED, RENEWAL, "The certificate ends on %.10s.", end);
    else
        found(x, FINE, NULL, "The certificate is good until %.10s.", end);
}
