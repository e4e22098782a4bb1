/* The functions behind the command table, by the file that holds them. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

struct cli;

int init_run(struct cli *c);

int unlock_run(struct cli *c);
int lock_run(struct cli *c);
int status_run(struct cli *c);
int slot_list(struct cli *c);
int clock_confirm(struct cli *c);

int doctor_run(struct cli *c);

int operator_add(struct cli *c);
int operator_list(struct cli *c);
int operator_remove(struct cli *c);
int quorum_set(struct cli *c);
int card_renew(struct cli *c);
int retention_set(struct cli *c);
int retention_show(struct cli *c);
int operation_list(struct cli *c);
int operation_approve(struct cli *c);
int operation_withdraw(struct cli *c);
int rekey_root(struct cli *c);
int rollback_accept(struct cli *c);
int rekey_tenant(struct cli *c);
int rekey_database(struct cli *c);

int tenant_create(struct cli *c);
int tenant_list(struct cli *c);
int tenant_show(struct cli *c);

int engagement_start(struct cli *c);
int engagement_end(struct cli *c);
int engagement_list(struct cli *c);
int engagement_hold(struct cli *c);
int engagement_lift(struct cli *c);
int engagement_purge(struct cli *c);

int provider_list(struct cli *c);
int provider_show(struct cli *c);

int key_put(struct cli *c);
int key_rotate(struct cli *c);
int key_revoke(struct cli *c);
int key_list(struct cli *c);
int key_show(struct cli *c);

int gateway_add(struct cli *c);
int gateway_remove(struct cli *c);
int gateway_list(struct cli *c);
int gateway_grant(struct cli *c);
int gateway_ungrant(struct cli *c);

int gateway_approle(struct cli *c);
int gateway_token(struct cli *c);
int gateway_logins(struct cli *c);
int gateway_forget(struct cli *c);
int compat_enable(struct cli *c);
int compat_disable(struct cli *c);
int compat_show(struct cli *c);

int certificate_request(struct cli *c);
int certificate_issue(struct cli *c);
int certificate_list(struct cli *c);
int certificate_revoke(struct cli *c);

int auditor_assign(struct cli *c);
int auditor_unassign(struct cli *c);
int auditor_list(struct cli *c);

int lease_get(struct cli *c);
int lease_renew(struct cli *c);
int lease_release(struct cli *c);
int lease_list(struct cli *c);
int lease_watch(struct cli *c);
int lease_revoke(struct cli *c);

int policy_check(struct cli *c);
int policy_test(struct cli *c);
int policy_show(struct cli *c);
int policy_list(struct cli *c);
int policy_set(struct cli *c);
int policy_explain(struct cli *c);
int policy_replay(struct cli *c);

int audit_show(struct cli *c);
int audit_verify(struct cli *c);
int audit_export(struct cli *c);
int audit_prove(struct cli *c);
int audit_stream(struct cli *c);
int audit_witness(struct cli *c);
int audit_erase(struct cli *c);

int usage_show(struct cli *c);

int profile_create(struct cli *c);
int profile_show(struct cli *c);
int profile_forget(struct cli *c);

#endif
