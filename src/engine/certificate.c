/* Certificates from the built-in CA: issued for a request's public key, listed, revoked. */
#include "auditor.h"
#include "face.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 100

status certificate_sign(const struct identity_ca *ca, const struct identity_request *request,
                        const struct request *rq, struct store_certificate *c, char *ret_pem,
                        struct err *e)
{
    struct holder holder;
    const char *csr;
    status st = body_text(rq, "csr", false, LIMIT_CSR, &csr, e);

    if (st == OK)
        st = identity_issue_client(ca, span_text(csr), request, ret_pem, LIMIT_CERTIFICATE, &holder,
                                   e);
    if (st != OK)
        return st;
    *c = (struct store_certificate){ .role = (uint8_t)request->role,
                                     .issued_us = request->now_us,
                                     .not_after_us = holder.not_after_us };
    memcpy(c->spki, holder.spki, sizeof c->spki);
    memcpy(c->name, holder.name, sizeof c->name);
    return OK;
}

status certificate_make(struct engine *en, struct request *rq, enum role role, const char *name,
                        struct store_certificate *c, char *ret_pem, struct err *e)
{
    struct identity_request request = { .vault = &en->vault,
                                        .role = role,
                                        .name = name,
                                        .now_us = engine_now_us(en),
                                        .days = en->settings.certificate_days };
    status st = certificate_sign(en->ca, &request, rq, c, ret_pem, e);

    if (st == OK && policy_knows(en->policy, c->spki))
        st = fail(e, CONFLICT, "this public key has a certificate: make a new key", 0);
    return st;
}

/* In the database and in the policy, so that the next request may use it. */
status certificate_keep(struct engine *en, const struct store_certificate *c, struct err *e)
{
    struct policy_certificate held = { .role = (enum role)c->role,
                                       .tenant = c->tenant,
                                       .gateway = c->gateway,
                                       .revoked = c->revoked_us != 0,
                                       .limited = c->limited };
    status st = store_certificate_add(en->store, c, e);

    memcpy(held.spki, c->spki, sizeof held.spki);
    memcpy(held.name, c->name, sizeof held.name);
    return st == OK ? policy_certificate_set(en->policy, &held, e) : st;
}

static json_t *certificate_json(const struct store_certificate *c)
{
    json_t *certificate =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "role", role_name((enum role)c->role), "name",
                  c->name, "spki", json_hex(SPAN(c->spki)), "issued", json_time(c->issued_us),
                  "not_after", json_time(c->not_after_us), "revoked", json_time(c->revoked_us));

    if (c->role == ROLE_AUDITOR)
        json_object_set_new(certificate, "scope", json_string(c->limited ? "tenants" : "vault"));
    return certificate;
}

/* An auditor of some tenants sees the certificates of its own name. */
static bool is_visible(const struct request *rq, const struct store_certificate *c)
{
    return !rq->limited || (c->role == ROLE_AUDITOR && strcmp(c->name, rq->peer.name) == 0);
}

APPLY(certificate_list)
{
    struct store_certificate page[PAGE];
    uint8_t after[32];
    bool has_after = rq->after[0] != '\0';
    char last[65] = "";
    size_t count;
    json_t *list;
    status st;

    if (has_after && !hex_parse(rq->after, strlen(rq->after), after, sizeof after))
        return fail(e, BAD_INPUT, "after is the spki of a certificate", 0);
    st = store_certificates(en->store, has_after ? after : NULL, page, PAGE, &count, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (is_visible(rq, &page[i]))
            json_array_append_new(list, certificate_json(&page[i]));
        hex_format(SPAN(page[i].spki), last);
    }
    rq->reply = json_pack("{s:o, s:o}", "certificates", list, "next", json_next(last, count, PAGE));
    return OK;
}

struct plan {
    struct store_certificate c;
    struct assign_plan assign; /* role auditor */
    char pem[LIMIT_CERTIFICATE];
};

static status issue_entry(struct engine *en, struct request *rq, const struct plan *plan,
                          struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .log = plan->c.tenant,
                                .type = RECORD_CERTIFICATE_ISSUED };
    struct fields f;
    status st;

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "role", role_name((enum role)plan->c.role));
    fields_person(en, &f, "name", plan->c.name, &entry.log);
    fields_hex(&f, "spki", SPAN(plan->c.spki));
    if (plan->c.role == ROLE_AUDITOR)
        fields_text(&f, "scope", plan->c.limited ? "tenants" : "vault");
    entry.fields = fields_view(&f);
    st = batch_entry(en, rq, &entry, e);
    for (size_t i = 0; st == OK && i < plan->assign.count; i++)
        st = assign_entry(en, rq, RECORD_AUDITOR_ASSIGNED, plan->c.name, &plan->assign.tenants[i],
                          e);
    return st;
}

APPLY(certificate_issue)
{
    const char *role_text, *name;
    struct store_tenant tenant = { .name = "" };
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    enum role role;
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a certificate", 0);
    st = body_name(rq, "role", &role_text, e);
    if (st == OK)
        st = body_name(rq, "name", &name, e);
    if (st != OK)
        return st;
    role = role_parse(role_text);
    if (role != ROLE_OPERATOR && role != ROLE_ADMIN && role != ROLE_TENANT && role != ROLE_AUDITOR)
        return fail(e, BAD_INPUT, "the role is operator, admin, tenant or auditor", 0);
    if (role == ROLE_TENANT)
        st = store_tenant(en->store, name, &tenant, e);
    if (st == OK && role == ROLE_AUDITOR)
        st = assign_read(en, rq, name, &plan->assign, e);
    else if (st == OK && json_object_get(rq->body, "tenants") != NULL)
        st = fail(e, BAD_INPUT, "tenants are for the role auditor", 0);
    if (st == OK)
        st = certificate_make(en, rq, role, name, &plan->c, plan->pem, e);
    plan->c.tenant = tenant.id;
    plan->c.limited = plan->assign.limited;
    return st == OK ? issue_entry(en, rq, plan, e) : st;
}

/* First the certificate, then one call for each tenant of an auditor. */
COMPLETE(certificate_issued)
{
    const struct plan *plan = rq->plan;
    status st;

    (void)result;
    if (rq->result_index > 1)
        return assign_keep(en, plan->c.name, &plan->assign.tenants[rq->result_index - 2], e);
    st = certificate_keep(en, &plan->c, e);
    if (st != OK)
        return st;
    rq->created = true;
    rq->reply = certificate_json(&plan->c);
    json_object_set_new(rq->reply, "certificate", json_string(plan->pem));
    json_object_set_new(rq->reply, "ca", json_string(en->ca_pem));
    return OK;
}

/* Without an operator the vault can only be reached over its local socket. */
static bool last_operator(const struct engine *en, const uint8_t spki[static 32])
{
    const struct policy_certificate *c;
    size_t cursor = 0, others = 0;
    bool is_operator = false;

    while ((c = policy_certificate_next(en->policy, &cursor)) != NULL) {
        if (c->role != ROLE_OPERATOR || c->revoked)
            continue;
        if (span_same(SPAN(c->spki), span_of(spki, 32)))
            is_operator = true;
        else
            others++;
    }
    return is_operator && others == 0;
}

APPLY(certificate_revoke)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_CERTIFICATE_REVOKED };
    struct fields f;
    uint8_t *spki = rq->plan = calloc(1, 32);
    status st;

    if (spki == NULL)
        return fail(e, NO_MEMORY, "no memory to revoke", 0);
    st = body_hex_exact(rq, "spki", spki, 32, e);
    if (st != OK)
        return st;
    if (!policy_knows(en->policy, spki))
        return fail(e, NOT_FOUND, "there is no such certificate", 0);
    if (last_operator(en, spki))
        return fail(e, CONFLICT, "the last operator's certificate: issue another one first", 0);
    fields_of(en, &f, rq, &entry.log);
    fields_hex(&f, "spki", span_of(spki, 32));
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(certificate_revoked)
{
    const uint8_t *spki = rq->plan;
    struct lease pattern = { .version = 0 };
    struct token_pattern tokens = { .expires_us = 0 };
    status st = store_certificate_revoke(en->store, spki, engine_now_us(en), e);

    (void)result;
    memcpy(pattern.certificate, spki, sizeof pattern.certificate);
    memcpy(tokens.certificate, spki, sizeof tokens.certificate);
    if (st == OK)
        st = tokens_cut(en, &tokens, e);
    if (st == OK)
        leases_end(en->leases, &pattern, engine_now_us(en));
    if (st != OK)
        return st;
    policy_revoke(en->policy, spki);
    rq->reply = json_object();
    return OK;
}

status certificates_revoke_operator(struct engine *en, const char *name, size_t *ret_count,
                                    struct err *e)
{
    struct store_certificate page[32];
    uint8_t after[32];
    size_t count = 0;
    status st = store_certificates(en->store, NULL, page, 32, &count, e);

    *ret_count = 0;
    while (st == OK && count > 0) {
        memcpy(after, page[count - 1].spki, sizeof after);
        for (size_t i = 0; st == OK && i < count; i++) {
            const struct store_certificate *c = &page[i];

            if (c->role != ROLE_OPERATOR || c->revoked_us != 0 || strcmp(c->name, name) != 0)
                continue;
            st = store_certificate_revoke(en->store, c->spki, engine_now_us(en), e);
            if (en->policy != NULL) /* not while attaching: it is made from the database then */
                policy_revoke(en->policy, c->spki);
            ++*ret_count;
        }
        if (st == OK)
            st = store_certificates(en->store, after, page, 32, &count, e);
    }
    return st;
}
