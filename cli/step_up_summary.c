/* What was found of step-ups, for programs and for people. */
#include "report.h"
#include "step_up.h"
#include "table.h"

json_t *step_ups_summary(const struct step_ups *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O}", "operations",
                     (json_int_t)json_array_size(s->done), "approvals", (json_int_t)s->approvals,
                     "signatures", (json_int_t)(s->approvals - s->cards), "cards",
                     (json_int_t)s->cards, "plain_grants", (json_int_t)s->plain_grants,
                     "plain_policies", (json_int_t)s->plain_policies, "enrolled",
                     step_ups_roster(s) != NULL, "done", s->done);
}

static const struct column done_columns[] = {
    { "TIME", "time", COLUMN_TIME },
    { "SEQ", "seq", COLUMN_TEXT },
    { "OPERATION", "operation", COLUMN_TEXT },
    { "APPROVED BY", "approved_by", COLUMN_TEXT },
};

void step_ups_print(const struct step_ups *s, const char *log_name)
{
    unsigned long long cards = (unsigned long long)s->cards;
    unsigned long long signatures = (unsigned long long)(s->approvals - s->cards);

    print("%s: %zu privileged operations, all approved; %llu approvals signed by %s\n", log_name,
          json_array_size(s->done), signatures,
          step_ups_roster(s) != NULL ? "the operators' enrolled keys" : "the keys that they name");
    if (cards > 0)
        print("%s: %llu approvals by recovery card: no signature, the keeper's word\n", log_name,
              cards);
    if (s->plain_grants > 0)
        print("%s: %llu grants took no step-up\n", log_name, (unsigned long long)s->plain_grants);
    if (s->plain_policies > 0)
        print("%s: %llu documents of policy that may allow more took no step-up\n", log_name,
              (unsigned long long)s->plain_policies);
    if (json_array_size(s->done) > 0)
        table_print(s->done, COLUMNS(done_columns), "");
    if (step_ups_roster(s) == NULL)
        say("Whose keys they are is in the vault's log: give its export with --vault-bundle.");
    else if (s->vault != NULL && s->vault == s->enclosed)
        say("Whose keys they are is what the bundle says, which may leave out a removal: "
            "--vault-bundle shows all.");
}
