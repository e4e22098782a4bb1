"""Step 5: rotation, revocation, and what tenants, admins and auditors may do themselves."""

import pytest
from harness import NOT_FOUND, await_that, make_request, new_provider_key, unique


def versions(customer):
    key = customer.vault.api("GET", f"/v1/tenants/{customer.name}/keys/{customer.key}")
    return {version["version"]: version["state"] for version in key["versions"]}


def test_after_rotation_new_leases_get_the_new_version_at_once(vault, customer):
    assert customer.leased()["version"] == 1
    value = new_provider_key()
    vault.cli("key", "rotate", customer.path, "--grace", "600", stdin=value.encode())
    lease = customer.leased()
    assert (lease["version"], lease["value"]) == (2, value)
    assert versions(customer) == {1: "superseded", 2: "current"}
    key = vault.api("GET", f"/v1/tenants/{customer.name}/keys/{customer.key}")
    assert (key["version"], key["state"], key["hint"][-4:]) == (2, "active", value[-4:])
    assert vault.types(customer.name)[-2:] == ["key.rotated", "lease.issued"]


@pytest.mark.sanitize
def test_the_old_version_is_destroyed_when_its_grace_is_over(vault, customer):
    vault.rotate_key(customer.name, grace_s=3)  # time enough for one look
    assert versions(customer)[1] == "superseded"
    record = vault.await_record(customer.name, type="key.destroyed")
    assert (record["version"], record["outcome"], record["reason"]) == (1, "ok", "grace-over")
    await_that("the version is marked", lambda: versions(customer) == {1: "destroyed", 2: "current"})
    assert customer.leased()["version"] == 2


def test_a_grace_of_zero_destroys_the_old_version_with_the_rotation(vault, customer):
    lease = customer.leased()
    vault.rotate_key(customer.name, grace_s=0)
    assert versions(customer) == {1: "destroyed", 2: "current"}
    assert "key.destroyed" in vault.types(customer.name)
    renewed = vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway)
    assert renewed.status in (403, 404, 409), "a lease of a destroyed version is over"


def test_rotations_in_a_row_leave_one_current_version(vault, customer):
    values = [vault.rotate_key(customer.name, grace_s=600) for _ in range(5)]
    assert versions(customer) == {**{number: "superseded" for number in range(1, 6)}, 6: "current"}
    assert customer.leased()["value"] == values[-1]


@pytest.mark.sanitize
def test_revocation_stops_leasing_at_once_and_destroys_every_version(vault, customer):
    vault.rotate_key(customer.name, grace_s=600)
    lease = customer.leased()
    vault.cli("key", "revoke", customer.path, "--yes")
    reply = customer.lease()
    assert reply.status in (403, 404, 409), reply
    assert vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status in (403, 404, 409)
    assert versions(customer) == {1: "destroyed", 2: "destroyed"}
    records = [record for _, record in vault.records(customer.name)]
    assert any(record["type"] == "key.revoked" for record in records)
    destroyed = [record["version"] for record in records if record["type"] == "key.destroyed"]
    assert sorted(destroyed) == [1, 2]
    assert all(record["reason"] == "revoked" for record in records if record["type"] == "key.destroyed")


def test_a_key_with_many_versions_alive_can_be_revoked(vault, customer):
    """Revoking has to work whatever came before it."""
    sealed = vault.seal("sk-test-many")
    for _ in range(69):
        vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/rotate",
                  {"sealed_key": sealed, "grace_s": 86400})
    vault.cli("key", "revoke", customer.path, "--yes")
    assert customer.lease().status in (403, 404, 409)
    destroyed = [r["version"] for _, r in vault.records(customer.name) if r["type"] == "key.destroyed"]
    assert sorted(destroyed) == list(range(1, 71))


def test_a_revoked_key_stays_revoked(vault, customer):
    vault.cli("key", "revoke", customer.path, "--yes")
    for path, body in [(f"keys/{customer.key}/rotate", {"sealed_key": vault.seal("sk-test")}),
                       (f"keys/{customer.key}", {"provider": "openai", "sealed_key": vault.seal("sk-test")})]:
        reply = vault.call("POST", f"/v1/tenants/{customer.name}/{path}", body)
        assert (reply.status, reply.json["title"]) == (409, "conflict")


def test_revocation_asks_before_it_destroys(vault, customer):
    from terminal import SHOWN
    done = vault.cli("key", "revoke", customer.path, stdin=None, answers=[("yes", "no", SHOWN)], expect=None)
    assert done.code != 0
    assert customer.lease().status == 201
    vault.cli("key", "revoke", customer.path, stdin=None, answers=[("yes", "yes", SHOWN)])
    assert customer.lease().status != 201


def test_a_revoked_key_is_gone_after_a_restart_too(own):
    customer = own.customer()
    own.cli("key", "revoke", customer.path, "--yes")
    own.restart()
    own.unlock()
    assert customer.lease().status in (403, 404, 409)
    assert versions(customer) == {1: "destroyed"}


# --- the customer's own certificate ----------------------------------------------------------------


@pytest.mark.sanitize
def test_a_tenant_rotates_and_revokes_its_own_keys_without_asking_anyone(vault, customer):
    tenant = vault.certify("tenant", customer.name)
    value = vault.rotate_key(customer.name, value=new_provider_key(), who=tenant, grace_s=600)
    assert customer.leased()["value"] == value
    record = next(r for _, r in vault.records(customer.name) if r["type"] == "key.rotated")
    assert vault.named(customer.name, record)["actor"] == f"tenant:{customer.name}"
    vault.put_key(customer.name, "second", who=tenant)
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {}, tenant)
    assert customer.lease().status != 201


def test_a_tenant_works_with_the_same_cli(vault, customer):
    directory = vault.files / unique("tenant-profile")
    key, csr, certificate = (vault.files / unique("tenant") for _ in range(3))
    vault.cli("certificate", "request", "--name", customer.name, "--out-key", key, "--out-csr", csr)
    vault.cli("certificate", "issue", "--role", "tenant", "--name", customer.name, "--csr", csr, "--out", certificate)
    vault.cli("--url", vault.url, "profile", "create", "--ca", vault.ca, "--certificate", certificate, "--key", key,
              profile=directory)
    value = new_provider_key()
    vault.cli("key", "rotate", customer.path, "--grace", "600", stdin=value.encode(), profile=directory)
    assert customer.leased()["value"] == value
    assert customer.key in vault.cli("key", "list", customer.name, profile=directory).out
    vault.cli("audit", "verify", customer.name, profile=directory)
    vault.cli("key", "revoke", customer.path, "--yes", profile=directory)
    assert customer.lease().status != 201


def test_to_a_tenant_other_tenants_do_not_exist(vault, customer):
    tenant, other = vault.certify("tenant", customer.name), vault.customer()
    for method, path, body in [
            ("POST", f"/v1/tenants/{other.name}/keys/{other.key}/revoke", {}),
            ("POST", f"/v1/tenants/{other.name}/keys/{other.key}/rotate", {"sealed_key": vault.seal("sk-test")}),
            ("POST", f"/v1/tenants/{other.name}/keys/new", {"provider": "openai", "sealed_key": vault.seal("sk-test")}),
            ("POST", f"/v1/tenants/{other.name}/engagements/{other.engagement}/end", {}),
            ("GET", f"/v1/tenants/{other.name}", None), ("GET", f"/v1/tenants/{other.name}/keys", None),
            ("GET", f"/v1/tenants/{other.name}/keys/{other.key}", None),
            ("GET", f"/v1/tenants/{other.name}/engagements", None),
            ("GET", f"/v1/logs/{other.name}", None), ("GET", f"/v1/logs/{other.name}/records", None),
            ("POST", f"/v1/logs/{other.name}/check", {"from": 0, "to": 1})]:
        reply = vault.call(method, path, body, tenant)
        missing = vault.call(method, path.replace(other.name, "nobody-here"), body, tenant)
        assert reply.status == 404, f"{method} {path}: {reply}"
        assert reply.json["detail"] == missing.json["detail"], f"{method} {path}"
    other.leased()
    assert other.lease().status == 201
    assert all(entry["tenant"] == customer.name for entry in vault.api("GET", "/v1/leases", None, tenant)["leases"])


def test_a_tenant_runs_nothing_but_its_own_affairs(vault, customer):
    tenant = vault.certify("tenant", customer.name)
    for method, path, body in [
            ("GET", "/v1/tenants", None), ("POST", "/v1/tenants", {"name": unique("x")}),
            ("POST", f"/v1/tenants/{customer.name}/engagements", {"name": "second"}),
            ("GET", "/v1/gateways", None), ("POST", "/v1/gateways", {"name": unique("x"), "csr": "", "grants": []}),
            ("DELETE", f"/v1/gateways/{customer.gateway.name}", None),
            ("POST", f"/v1/gateways/{customer.gateway.name}/grants", {"key": customer.path}),
            ("GET", "/v1/certificates", None), ("POST", "/v1/certificates", {"role": "tenant"}),
            ("POST", "/v1/leases", {"key": customer.path}), ("GET", "/v1/slots", None)]:
        reply = vault.call(method, path, body, tenant)
        assert (reply.status, reply.json["title"]) == (403, "denied"), f"{method} {path}: {reply}"
    assert vault.call("GET", "/v1/logs/vault", None, tenant).status in (403, 404)


def test_an_admin_administers(vault):
    admin = vault.certify("admin", unique("bob"))
    name = unique("acme")
    vault.api("POST", "/v1/tenants", {"name": name}, admin)
    vault.api("POST", f"/v1/tenants/{name}/engagements", {"name": "e"}, admin)
    vault.put_key(name, who=admin)
    vault.rotate_key(name, who=admin, grace_s=0)
    assert vault.call("GET", "/v1/slots", None, admin).status == 403


def test_an_auditor_reads_and_changes_nothing(vault, customer):
    auditor = vault.certify("auditor", unique("eve"))
    for path in ("/v1/tenants", f"/v1/tenants/{customer.name}/keys", "/v1/gateways", "/v1/certificates",
                 f"/v1/logs/{customer.name}", "/v1/logs/vault", f"/v1/logs/{customer.name}/records"):
        assert vault.call("GET", path, None, auditor).status == 200, path
    for path, body in [("/v1/tenants", {"name": unique("x")}),
                       (f"/v1/tenants/{customer.name}/engagements", {"name": "x"}),
                       (f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {}),
                       ("/v1/leases", {"key": customer.path})]:
        assert vault.call("POST", path, body, auditor).status == 403, path
    assert customer.lease().status == 201


def test_a_tenant_certificate_for_a_tenant_that_does_not_exist_is_not_issued(vault):
    _, csr = make_request(vault.files, unique("tenant"))
    reply = vault.call("POST", "/v1/certificates", {"role": "tenant", "name": "nobody-here", "csr": csr.read_text()})
    assert reply.status == 404
    for role in ("gateway", "local", "root", ""):
        _, csr = make_request(vault.files, unique("tenant"))
        reply = vault.call("POST", "/v1/certificates", {"role": role, "name": "x", "csr": csr.read_text()})
        assert (reply.status, reply.json["title"]) == (400, "bad-input"), role


def test_rotating_what_is_not_there_is_not_found(vault, customer):
    vault.cli("key", "rotate", f"{customer.name}/nothing", stdin=b"sk-test-123456", expect=NOT_FOUND)
