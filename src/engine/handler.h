/* The two halves of every verb, by file; verb.h says what they are. */
#ifndef ENGINE_HANDLER_H
#define ENGINE_HANDLER_H

#include "internal.h"

#define APPLY(name) status name(struct engine *en, struct request *rq, struct err *e)
#define COMPLETE(name)                                                                   \
    status name(struct engine *en, struct request *rq, const struct wire_result *result, \
                struct err *e)
/* vault.c, init.c, unlock.c, session.c */
APPLY(vault_status);
APPLY(vault_init_session);
APPLY(vault_init);
APPLY(vault_slots);
APPLY(vault_unlock_session);
APPLY(vault_unlock);
APPLY(vault_lock);
APPLY(vault_clock_confirm);
COMPLETE(vault_clock_confirmed);
APPLY(vault_public_keys);
status vault_lock_itself(struct engine *en, struct err *e);
/* doctor.c */
APPLY(vault_doctor);
/* metrics.c */
APPLY(vault_metrics);
void doctor_watch(struct engine *en); /* is a rotation moving on? */
/* operator.c */
APPLY(operator_session);
APPLY(operator_enrol);
/* operation.c */
APPLY(operation_propose);
COMPLETE(operation_proposed);
APPLY(operation_list);
APPLY(operation_show);
APPLY(operation_withdraw);
COMPLETE(operation_withdrawn);
APPLY(operation_session);
APPLY(operation_approve);
/* tenant.c */
APPLY(tenant_list);
APPLY(tenant_create);
COMPLETE(tenant_created);
APPLY(tenant_show);
APPLY(engagement_list);
APPLY(engagement_start);
COMPLETE(engagement_started);
APPLY(engagement_end);
COMPLETE(engagement_ended);
/* key.c */
APPLY(key_list);
APPLY(key_show);
APPLY(key_put);
APPLY(key_rotate);
COMPLETE(key_stored);
APPLY(key_revoke);
COMPLETE(key_revoked);
/* gateway.c */
APPLY(gateway_list);
APPLY(gateway_add);
COMPLETE(gateway_added);
APPLY(gateway_remove);
COMPLETE(gateway_removed);
APPLY(grant_add);
COMPLETE(grant_added);
/* Into database and policy. */
status grant_keep(struct engine *en, const struct store_grant *g, struct err *e);
/* LIMIT if the gateway has as many as one may. */
status grant_room(struct engine *en, const struct id *gateway, struct err *e);
APPLY(grant_remove);
COMPLETE(grant_removed);
/* certificate.c */
APPLY(certificate_list);
APPLY(certificate_issue);
COMPLETE(certificate_issued);
APPLY(certificate_revoke);
COMPLETE(certificate_revoked);
/* auditor.c */
APPLY(auditor_list);
APPLY(auditor_assign);
COMPLETE(auditor_assigned);
APPLY(auditor_unassign);
COMPLETE(auditor_unassigned);
/* lease.c */
APPLY(lease_issue);
COMPLETE(lease_issued);
APPLY(lease_renew);
COMPLETE(lease_renewed);
APPLY(lease_release);
COMPLETE(lease_released);
APPLY(lease_list);
/* revoke.c */
APPLY(lease_revoke);
COMPLETE(lease_revoked);
/* person.c */
APPLY(person_list);
APPLY(person_erase);
COMPLETE(person_erased);
/* trail.c */
APPLY(log_show);
APPLY(log_records);
APPLY(log_check);
/* proof.c */
APPLY(log_consistency);
APPLY(log_inclusion);
APPLY(log_range);
/* commitment.c */
APPLY(log_commitment);
APPLY(log_cosign);
/* roster.c */
APPLY(log_operators);
/* document.c */
APPLY(policy_show);
APPLY(policy_versions);
APPLY(policy_set);
COMPLETE(policy_was_set);
/* feed.c */
APPLY(record_feed);
/* revocation.c */
APPLY(revocation_list);
APPLY(revocation_acknowledge);
/* usage.c, usage_show.c */
APPLY(usage_report);
COMPLETE(usage_reported);
APPLY(usage_show);

#endif
