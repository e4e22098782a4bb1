"""The Vault-compatible read API: who is let in, what is read, and that no tenant becomes another."""

import itertools
import json
import os
import socket
import ssl

import pytest
import web
from compat import Compat, spki
from harness import Unreachable, await_that, unique


@pytest.fixture(scope="module")
def compat():
    compat = Compat()
    yield compat
    compat.close()


@pytest.mark.parametrize("head", [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                                  b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", b"Host: other\r\n\r\n"])
def test_a_head_with_two_readings_ends_the_connection_here_too(compat, head):
    context = ssl.create_default_context(cafile=compat.vault.ca)
    health, said = b"GET /v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""
    with socket.create_connection(("127.0.0.1", compat.port), timeout=web.TIMEOUT) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"POST /v1/auth/cert/login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + health)
        while piece := sock.recv(65536):
            said += piece
    assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1 ") == 1, said


def is_error(reply, status, *words):
    """The reply is an error as clients of Vault parse it."""
    assert reply.status == status, f"{reply}"
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"errors"}
    assert all(isinstance(text, str) for text in reply.json["errors"])
    for word in words:
        assert word in reply.json["errors"], f"{reply}"
    return True


# --- reading ---------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_gateway_logs_in_with_its_certificate_and_reads_a_key(compat):
    customer = compat.customer()

    def curl(path, *options):
        return web.curl(compat.url + path, *options, ca=compat.vault.ca, who=customer.gateway,
                        env=compat.vault.environment())
    token = curl("/v1/auth/cert/login", "-d", "{}").json["auth"]["client_token"]
    reply = curl(f"/v1/{customer.name}/secret/data/{customer.key}", "-H", f"X-Vault-Token: {token}")
    assert reply.status == 200, f"{reply}"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    fields = reply.json["data"]["data"]
    assert {fields["key"], fields["value"], fields["api_key"]} == {customer.value}
    assert fields["bearer"] == f"Bearer {customer.value}"
    assert reply.json["lease_duration"] == 300 and reply.json["renewable"] is False


@pytest.mark.sanitize
def test_a_read_is_a_lease_and_a_record_like_any_other(compat):
    customer = compat.customer()
    auth = compat.login(customer.gateway)
    fields = compat.read(customer, auth["client_token"]).json["data"]["data"]
    record = compat.vault.records(customer.name)[-1][1]
    assert record["type"] == "lease.issued"
    assert record["lease_id"] == fields["lease_id"][:32]
    assert record["actor"] == f"gateway:{customer.gateway.name}"
    assert (record["accessor"], record["address"]) == (auth["accessor"], "127.0.0.1")
    login = compat.vault.await_record("vault", type="token.issued", accessor=auth["accessor"])
    assert (login["certificate"], login["method"], login["gateway"]) == (
        spki(customer.gateway), "cert", customer.gateway.name)
    live = compat.vault.api("GET", "/v1/leases")["leases"]
    assert [lease["gateway"] for lease in live if lease["id"] == record["lease_id"]] == [customer.gateway.name]


def test_records_and_logs_never_hold_a_token(compat):
    customer = compat.customer("none")
    role = compat.approle(customer.gateway, binding="none")
    tokens = [compat.token(customer.gateway), compat.issued(customer.gateway)["token"], role["secret_id"],
              compat.approle_login(role).json["auth"]["client_token"]]
    for token in tokens[:2] + tokens[3:]:
        assert compat.read(customer, token).status == 200
    compat.read(customer, "srt_" + "0" * 64)
    text = "".join(line for log in ("vault", customer.name) for line, _ in compat.vault.records(log))
    text += compat.vault.log()
    assert not [token for token in tokens if token[4:] in text]


def test_kv1_and_creds_are_the_same_read_in_another_shape(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)
    flat = compat.read(customer, token, path=f"/v1/kv/{customer.key}").json
    assert flat["data"]["value"] == customer.value and flat["lease_id"] == ""
    creds = compat.read(customer, token, path=f"/v1/strongroom/creds/{customer.key}").json
    assert creds["data"]["value"] == customer.value
    assert creds["lease_id"] == creds["data"]["lease_id"] and creds["renewable"] is True


def test_a_credential_of_several_fields_is_served_by_its_fields(compat):
    customer = compat.customer()
    azure = {"key": "azure \\ \"key\"", "host": "acme.openai.azure.com"}
    aws = {"access_key_id": "AKIA" + "A" * 16, "secret_access_key": "s" * 40, "region": "eu-central-1"}
    for name, provider, value in (("azure", "azure-openai", azure), ("aws", "aws-bedrock", aws)):
        compat.vault.put_key(customer.name, name, json.dumps(value), provider=provider)
        compat.vault.api("POST", f"/v1/gateways/{customer.gateway.name}/grants", {"key": f"{customer.name}/{name}"})
    token = compat.token(customer.gateway)
    fields = compat.read(customer, token, path="/v1/secret/data/azure").json["data"]["data"]
    assert {name: fields[name] for name in azure} == azure
    assert (fields["api_key"], fields["bearer"]) == (azure["key"], f"Bearer {azure['key']}")
    assert json.loads(fields["value"]) == azure
    fields = compat.read(customer, token, path="/v1/kv/aws").json["data"]
    assert {name: fields[name] for name in aws} == aws
    assert json.loads(fields["value"]) == aws and "bearer" not in fields


def test_a_lease_is_renewed_and_revoked_by_its_token_alone(compat):
    customer = compat.customer()
    token, other = compat.token(customer.gateway), compat.token(customer.gateway)
    lease = compat.read(customer, token, path=f"/v1/strongroom/creds/{customer.key}").json["lease_id"]

    def renew(with_token, **body):
        return compat.ask("/v1/sys/leases/renew", who=customer.gateway, token=with_token, method="PUT",
                           body={"lease_id": lease, **body})
    reply = renew(token, increment="1h")
    assert (reply.status, reply.json["lease_id"], reply.json["lease_duration"]) == (200, lease, 3600)
    assert 3570 < renew(token, increment=60).json["lease_duration"] <= 3600  # a renewal takes nothing away
    assert is_error(renew(other), 400)
    gone = compat.ask(f"/v1/sys/leases/revoke/{lease}", who=customer.gateway, token=token, method="PUT",
                       body={"sync": True})
    assert (gone.status, gone.body) == (204, b"")
    assert is_error(renew(token), 400)
    assert compat.vault.types(customer.name)[-1] == "lease.released"


def test_only_the_current_version_is_read_and_others_are_described(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)
    value = compat.vault.rotate_key(customer.name)
    path = f"/v1/secret/data/{customer.key}?version="
    assert compat.read(customer, token, path=path + "2").json["data"]["data"]["key"] == value
    assert compat.read(customer, token, path=path + "0").json["data"]["metadata"]["version"] == 2
    old = compat.read(customer, token, path=path + "1")
    assert old.status == 404
    assert old.json["data"]["data"] is None
    assert old.json["data"]["metadata"]["version"] == 1 and old.json["data"]["metadata"]["deletion_time"]
    assert is_error(compat.read(customer, token, path=path + "3"), 404)
    assert is_error(compat.read(customer, token, path=path + "x"), 400)


def test_lists_show_only_what_is_granted(compat):
    customer = compat.customer()
    compat.vault.put_key(customer.name, "ungranted")
    token = compat.token(customer.gateway)
    for path, method in [("/v1/secret/metadata?list=true", "GET"), ("/v1/secret/metadata/", "LIST"),
                         ("/v1/kv", "LIST"), (f"/v1/{customer.name}/kv/?list=true", "GET")]:
        reply = compat.read(customer, token, path=path, method=method)
        assert (reply.status, reply.json["data"]) == (200, {"keys": [customer.key]}), f"{path} {reply}"
    meta = compat.read(customer, token, path=f"/v1/secret/metadata/{customer.key}").json["data"]
    assert meta["current_version"] == 1 and meta["versions"]["1"]["destroyed"] is False
    assert is_error(compat.read(customer, token, path="/v1/secret/metadata/ungranted"), 403, "permission denied")
    assert is_error(compat.read(customer, token, path="/v1/secret/metadata/nothing"), 403, "permission denied")
    compat.vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke")
    assert is_error(compat.read(customer, token, path="/v1/secret/metadata/", method="LIST"), 404)


# --- who may ---------------------------------------------------------------------------------------


def test_a_login_takes_a_gateways_certificate_of_this_vault(compat):
    customer = compat.customer()
    wrong = "invalid certificate or no client certificate supplied"
    assert is_error(compat.ask("/v1/auth/cert/login", method="POST", body=b"{}"), 400, wrong)
    for role, name in [("admin", unique("admin")), ("tenant", customer.name)]:
        who = compat.vault.certify(role, name)
        assert is_error(compat.ask("/v1/auth/cert/login", who=who, method="POST", body=b"{}"), 400, wrong)
    compat.vault.api("POST", "/v1/certificates/revoke", {"spki": spki(customer.gateway)})
    assert is_error(compat.ask("/v1/auth/cert/login", who=customer.gateway, method="POST", body=b""), 400, wrong)


def test_every_body_that_clients_log_in_with_is_understood(compat):
    customer = compat.customer()
    for method, body in itertools.product(["POST", "PUT"], [
            None, b"{}", b"null", {"name": None}, {"name": ""}, {"name": customer.gateway.name}, {"other": [1]}]):
        reply = compat.ask("/v1/auth/cert/login", who=customer.gateway, method=method, body=body)
        assert reply.status == 200, f"{method} {body}: {reply}"
    for body, status in [({"name": "another"}, 400), (b"[]", 400), (b"{", 400), (b'{"a":1,"a":2}', 400),
                         (b"x" * 70000, 413)]:
        assert is_error(compat.ask("/v1/auth/cert/login", who=customer.gateway, method="POST", body=body), status)


def test_without_opt_in_a_tenant_is_as_one_without_a_grant(compat):
    customer, other = compat.vault.customer(), compat.customer()
    token = compat.token(customer.gateway)
    answers = [compat.read(customer, token).json, compat.read(other, token, who=customer.gateway).json,
               compat.ask("/v1/nobody/kv/openai-prod", who=customer.gateway, token=token).json]
    assert answers == [{"errors": ["permission denied", "no grant covers this key"]}] * 3
    lists = [compat.ask(f"/v1/{name}/kv?list=true", who=customer.gateway, token=token).json
             for name in (customer.name, other.name, "nobody")]
    assert lists == answers
    compat.opt_in(customer.name)
    assert compat.read(customer, token).status == 200
    compat.opt_in(customer.name, enabled=False)
    assert compat.read(customer, token).json == answers[0]
    assert compat.vault.types(customer.name)[-2:] == ["compat.set", "lease.refused"]


def test_a_tenant_opts_in_itself_and_nobody_else(compat):
    customer, other = compat.vault.customer(), compat.vault.customer()
    who = compat.vault.certify("tenant", customer.name)
    assert compat.vault.api("GET", f"/v1/tenants/{customer.name}/compat", who=who)["enabled"] is False
    body = {"enabled": True, "binding": "source_ip"}
    assert compat.vault.api("POST", f"/v1/tenants/{customer.name}/compat", body, who)["binding"] == "source_ip"
    assert compat.vault.call("POST", f"/v1/tenants/{other.name}/compat", body, who).status == 404
    assert compat.vault.call("POST", f"/v1/tenants/{customer.name}/compat", body, customer.gateway).status == 403
    for wrong in ({}, {"enabled": 1}, {"enabled": True, "binding": "iris"}, {"enabled": True, "more": 1}):
        assert compat.vault.call("POST", f"/v1/tenants/{customer.name}/compat", wrong, who).status == 400


def test_by_default_a_token_counts_only_with_the_certificate_of_its_login(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)
    assert compat.read(customer, token).status == 200
    assert is_error(compat.read(customer, token, who=None), 403, "permission denied")
    other = compat.vault.add_gateway(customer.path)
    assert is_error(compat.read(customer, token, who=other), 403, "permission denied")
    for binding in ("source_ip", "cert_if_presented"):
        compat.opt_in(customer.name, binding)
        assert compat.read(customer, token, who=None).status == 200
        assert is_error(compat.read(customer, token, who=other), 403, "permission denied")


def test_a_token_bound_to_its_address_counts_from_there_alone(compat):
    customer = compat.customer("source_ip")
    token = compat.token(customer.gateway)
    assert compat.read(customer, token, who=None).status == 200
    elsewhere = compat.ask(f"/v1/{customer.name}/kv/{customer.key}", source="127.0.0.2", token=token)
    assert is_error(elsewhere, 403, "permission denied")
    compat.opt_in(customer.name, "cert_if_presented")
    assert compat.ask(f"/v1/{customer.name}/kv/{customer.key}", source="127.0.0.2", token=token).status == 200


def test_unknown_tokens_and_none_are_refused(compat):
    customer = compat.customer("none")
    for token in (None, "", "srt_" + "0" * 64, "x", "s." + "a" * 4000):
        assert is_error(compat.read(customer, token), 403, "permission denied")
    assert is_error(compat.ask("/v1/auth/token/lookup-self"), 403, "permission denied")


def test_approles_log_in_from_their_range_and_are_bound_as_they_say(compat):
    customer = compat.customer("none")
    near, far = compat.approle(customer.gateway, binding="none", cidr="127.0.0.1"), compat.approle(
        customer.gateway, binding="none", cidr="10.0.0.0/8")
    token = compat.approle_login(near).json["auth"]["client_token"]
    assert compat.read(customer, token, who=None).status == 200
    assert is_error(compat.ask(f"/v1/{customer.name}/kv/{customer.key}", source="127.0.0.2", token=token), 403)
    for role in (far, {**near, "secret_id": "guess"}, {**near, "role_id": "0" * 32}, {**near, "role_id": None}):
        assert is_error(compat.approle_login(role), 400)
    bound = compat.approle(customer.gateway)
    assert is_error(compat.approle_login(bound), 400, "this role logs in with its gateway's certificate")
    token = compat.approle_login(bound, who=customer.gateway).json["auth"]["client_token"]
    assert is_error(compat.read(customer, token, who=None), 403)
    assert compat.read(customer, token).status == 200
    compat.opt_in(customer.name, "cert")  # which a role cannot undo
    assert is_error(compat.read(customer, compat.approle_login(near).json["auth"]["client_token"], who=None), 403)


def test_a_token_can_be_issued_for_a_range_of_addresses(compat):
    customer = compat.customer("source_ip")
    issued = compat.issued(customer.gateway, "127.0.0.2/32", days=1)
    path = f"/v1/{customer.name}/kv/{customer.key}"
    assert compat.ask(path, source="127.0.0.2", token=issued["token"]).status == 200
    assert is_error(compat.ask(path, token=issued["token"]), 403)
    listed = compat.vault.api("GET", f"/v1/gateways/{customer.gateway.name}/compat")["tokens"]
    assert [(t["accessor"], t["cidr"]) for t in listed] == [(issued["accessor"], "127.0.0.2")]
    for body in ({}, {"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}, {"cidr": "10.0.0.1/8"}, {"cidr": "127.0.0.1", "days": 0}):
        assert compat.vault.call("POST", f"/v1/gateways/{customer.gateway.name}/tokens", body).status == 400, body
    compat.vault.api("DELETE", f"/v1/gateways/{customer.gateway.name}/tokens/{issued['accessor']}")
    assert is_error(compat.ask(path, source="127.0.0.2", token=issued["token"]), 403)


def test_tokens_die_with_what_they_stand_for_and_take_their_leases_along(compat):
    def read(customer, token):
        return compat.read(customer, token, who=None, path=f"/v1/strongroom/creds/{customer.key}")

    def live(lease):
        return lease[:32] in [held["id"] for held in compat.vault.api("GET", "/v1/leases")["leases"]]

    for ending in ("revoke-self", "certificate", "gateway", "role"):
        customer = compat.customer("none")
        role = compat.approle(customer.gateway, binding="none")
        token = (compat.approle_login(role).json["auth"]["client_token"] if ending == "role"
                 else compat.token(customer.gateway))
        lease = read(customer, token).json["lease_id"]
        assert live(lease)
        if ending == "revoke-self":
            done = compat.ask("/v1/auth/token/revoke-self", token=token, method="POST", body=b"")
            assert (done.status, done.body) == (204, b"")
            assert compat.vault.types("vault")[-1] == "token.revoked"
        elif ending == "certificate":
            compat.vault.api("POST", "/v1/certificates/revoke", {"spki": spki(customer.gateway)})
        elif ending == "gateway":
            compat.vault.api("DELETE", f"/v1/gateways/{customer.gateway.name}")
        else:
            compat.vault.api("DELETE", f"/v1/gateways/{customer.gateway.name}/approles/{role['role_id']}")
        assert is_error(read(customer, token), 403, "permission denied"), ending
        assert not live(lease), ending
        if ending in ("gateway", "role"):
            assert is_error(compat.approle_login(role), 400)


def test_renewing_a_token_takes_the_certificate_of_its_login(compat):
    customer = compat.customer("none")
    token = compat.token(customer.gateway)

    def renew(who, **body):
        return compat.ask("/v1/auth/token/renew-self", who=who, token=token, method="POST", body=body)
    assert is_error(renew(None), 403, "renewing takes the certificate of the login")
    assert renew(customer.gateway, increment=60).json["auth"]["lease_duration"] in (59, 60)
    assert renew(customer.gateway, increment="1h").json["auth"]["lease_duration"] in (1799, 1800)
    assert is_error(renew(customer.gateway, increment="soon"), 400)


def test_documents_of_policy_and_their_limits_count_here_too(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)
    compat.vault.api("POST", f"/v1/policies/{customer.name}", {"document": "[allow some]\nrate = 1/minute\n"})
    assert compat.read(customer, token).status == 200
    limited = compat.read(customer, token)
    assert is_error(limited, 429)
    assert int(limited.headers["retry-after"]) > 0


# --- no tenant becomes another ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(compat):
    """Two tenants and one gateway that may read the keys of both."""
    a, b = compat.customer("none"), compat.customer("none")
    gateway = compat.vault.add_gateway(a.path, b.path)
    return a, b, compat.token(gateway)


def test_the_tenant_that_is_read_is_the_one_whose_name_was_spelled_whole(compat, two):
    a, b, token = two
    key = a.key
    spelled = [None, "", "/", a.name, f"/{a.name}/", f"{a.name}//", b.name, f"{a.name}/{b.name}", a.name[:-1],
               f"{a.name}x", a.name.upper(), "..", f"{a.name}%2f", "secret"]
    paths = ["", f"{a.name}/", f"/{a.name}//", f"{b.name}/", f"{a.name}/{b.name}/", f"{a.name}%2f{b.name}/",
             f"{a.name}/../{b.name}/", "./", "secret/", "data/", "%00/", f"{a.name}%00/"]
    served = 0
    for header, path in itertools.product(spelled, paths):
        reply = compat.ask(f"/v1/{path}secret/data/{key}", token=token, namespace=header)
        names = {header.strip("/") if header else "", path.strip("/")} - {""}
        if reply.status == 200:
            served += 1
            assert names in ({a.name}, {b.name}), (header, path)
            owner = a if names == {a.name} else b
            assert reply.json["data"]["data"]["key"] == owner.value, (header, path)
        else:
            assert reply.status in (400, 403, 404), (header, path, str(reply))
            assert a.value not in reply.text and b.value not in reply.text
    assert served >= 12


def test_a_header_that_is_sent_twice_is_refused(compat, two):
    a, b, token = two
    path = f"/v1/secret/data/{a.key}"
    for head in (("X-Vault-Namespace", b.name), ("x-vault-namespace", a.name), ("X-Vault-Token", token)):
        assert is_error(compat.ask(path, head, token=token, namespace=a.name), 400, "a header was sent twice")


def test_a_tenant_whose_name_is_a_word_of_the_paths_cannot_opt_in(compat):
    for name in ("auth", "sys", "secret", "kv", "strongroom", "data", "metadata", "creds"):
        compat.vault.api("POST", "/v1/tenants", {"name": name})
        reply = compat.vault.call("POST", f"/v1/tenants/{name}/compat", {"enabled": True})
        assert reply.status == 409, f"{reply}"


# --- what clients insist on ------------------------------------------------------------------------


ENVELOPE = {"request_id": str, "lease_id": str, "renewable": bool, "lease_duration": int}
NULLABLE = ("data", "auth", "wrap_info", "warnings")
AUTH = {"client_token": str, "accessor": str, "policies": list, "token_policies": list, "identity_policies": list,
        "metadata": dict, "lease_duration": int, "renewable": bool, "entity_id": str, "token_type": str, "orphan": bool,
        "num_uses": int}
LOOKUP = {"id": str, "accessor": str, "ttl": int, "creation_ttl": int, "creation_time": int, "explicit_max_ttl": int,
          "expire_time": str, "issue_time": str, "type": str, "renewable": bool, "policies": list, "path": str,
          "identity_policies": list, "meta": dict, "display_name": str, "entity_id": str, "num_uses": int,
          "orphan": bool, "namespace_path": str}
KV2 = {"created_time": str, "custom_metadata": dict, "deletion_time": str, "destroyed": bool, "version": int}
METADATA = {"cas_required": bool, "created_time": str, "updated_time": str, "current_version": int,
            "oldest_version": int, "max_versions": int, "delete_version_after": str, "custom_metadata": dict,
            "versions": dict}
MOUNT = {"path": str, "type": str, "options": dict, "description": str, "accessor": str, "config": dict, "local": bool,
         "seal_wrap": bool, "uuid": str}
HEALTH = {"initialized": bool, "sealed": bool, "standby": bool, "performance_standby": bool, "version": str,
          "replication_performance_mode": str, "replication_dr_mode": str, "server_time_utc": int,
          "cluster_name": str, "cluster_id": str}
SEAL = {"type": str, "initialized": bool, "sealed": bool, "t": int, "n": int, "progress": int, "nonce": str,
        "version": str, "build_date": str, "migration": bool, "recovery_seal": bool, "storage_type": str}


def has(part, fields):
    wrong = {name: part.get(name, "absent") for name, kind in fields.items() if type(part.get(name)) is not kind}
    assert not wrong, f"{wrong} in {part}"
    return True


def test_every_reply_has_what_strict_decoders_require(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)

    def get(path, method="GET", body=None):
        reply = compat.read(customer, token, path=path, method=method, body=body)
        assert reply.status == 200, f"{path} {reply}"
        assert has(reply.json, ENVELOPE) and all(name in reply.json for name in NULLABLE)
        return reply.json
    login = get("/v1/auth/cert/login", "PUT")
    assert has(login["auth"], AUTH) and login["data"] is None
    assert login["auth"]["token_type"] == "service" and 600 <= login["auth"]["lease_duration"] <= 3600
    assert all(isinstance(value, str) for value in login["auth"]["metadata"].values())
    lookup = get("/v1/auth/token/lookup-self")
    assert has(lookup["data"], LOOKUP) and lookup["data"]["id"] == token and lookup["data"]["type"] == "service"
    assert has(get("/v1/auth/token/renew-self", "PUT", b"{}")["auth"], AUTH)
    read = get(f"/v1/secret/data/{customer.key}")
    assert has(read["data"]["metadata"], KV2)
    assert all(isinstance(value, str) for value in read["data"]["data"].values())
    assert has(get(f"/v1/secret/metadata/{customer.key}")["data"], METADATA)
    mount = get(f"/v1/sys/internal/ui/mounts/secret/{customer.key}")
    assert has(mount["data"], MOUNT) and mount["data"]["options"] == {"version": "2"}
    assert get("/v1/sys/internal/ui/mounts/kv/x")["data"]["options"] == {"version": "1"}
    assert get(f"/v1/sys/internal/ui/mounts/{customer.name}/secret/x")["data"]["path"] == f"{customer.name}/secret/"
    for path, fields in (("/v1/sys/health", HEALTH), ("/v1/sys/seal-status", SEAL)):
        reply = get(path)
        assert has(reply, fields) and has(reply["data"], fields)
    assert get("/v1/sys/leader")["ha_enabled"] is False


def test_what_clients_send_along_is_tolerated_or_refused_but_never_ignored_where_it_matters(compat):
    customer = compat.customer()
    token = compat.token(customer.gateway)
    harmless = [("X-Vault-Request", "true"), ("X-Vault-Index", "x"), ("X-Vault-No-Request-Forwarding", "true"),
                ("X-Vault-MFA", "a:b"), ("User-Agent", "Vault Agent/1.15")]
    path = f"/v1/secret/data/{customer.key}"
    assert compat.ask(path, *harmless, token=token, namespace=customer.name, who=customer.gateway).status == 200
    bearer = compat.ask(path, ("Authorization", f"Bearer {token}"), namespace=customer.name, who=customer.gateway)
    assert bearer.status == 200
    wrapped = compat.ask(path, ("X-Vault-Wrap-TTL", "60"), token=token, namespace=customer.name, who=customer.gateway)
    assert is_error(wrapped, 400, "response wrapping is not supported")
    assert is_error(compat.read(customer, token, path=path, method="DELETE"), 405)
    assert is_error(compat.read(customer, token, path=path, method="POST", body={"data": {}}), 405)
    assert is_error(compat.read(customer, token, path="/v1/sys/mounts"), 404)
    assert is_error(compat.read(customer, token, path="/v1/status"), 404)
    assert compat.read(customer, token, path=f"//v1//secret/data/{customer.key}/").status == 200


def test_a_client_that_sends_a_body_with_get_and_knows_only_kv1_is_served(compat):
    customer = compat.customer("source_ip")
    token = compat.issued(customer.gateway, "127.0.0.1")["token"]
    reply = compat.ask(f"/v1/kv/{customer.key}", token=token, namespace=customer.name, method="GET", body=b"{}")
    assert (reply.status, reply.json["data"]["bearer"]) == (200, f"Bearer {customer.value}")


def test_health_is_for_everybody_and_has_the_code_that_is_asked_for(compat):
    for options, status in [((), 200), (("?activecode=299",), 299), (("?activecode=9",), 200)]:
        assert compat.ask("/v1/sys/health" + "".join(options)).status == status
    head = compat.ask("/v1/sys/health", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_tls_12_is_spoken_here_and_only_here(compat):
    context = {"ca": compat.vault.ca, "env": compat.vault.environment(), "tls": "1.2"}
    assert web.curl(compat.url + "/v1/sys/health", **context).status == 200
    with pytest.raises(Unreachable):
        web.curl(compat.vault.url + "/v1/status", who=compat.vault.operator, **context)


def test_the_face_is_closed_unless_it_is_configured(vault):
    """Two sockets listen then: the local one, and the one for TLS."""
    listening = [line.split() for line in open(f"/proc/{vault.pid('server')}/net/tcp") if " 0A " in line]
    inodes = {os.readlink(f"/proc/{vault.pid('server')}/fd/{fd}") for fd in os.listdir(
        f"/proc/{vault.pid('server')}/fd")}
    assert sum(f"socket:[{fields[9]}]" in inodes for fields in listening) == 1


# --- locked, and started again ---------------------------------------------------------------------


def test_a_locked_vault_is_sealed_and_tokens_of_logins_are_gone_afterwards():
    compat = Compat()
    try:
        customer = compat.customer("source_ip")
        login, issued = compat.token(customer.gateway), compat.issued(customer.gateway, "127.0.0.1")["token"]
        compat.vault.lock()
        assert is_error(compat.read(customer, login), 503, "Vault is sealed")
        assert is_error(compat.ask("/v1/auth/cert/login", who=customer.gateway, method="POST"), 503)
        health = compat.ask("/v1/sys/health")
        assert (health.status, health.json["sealed"], health.json["initialized"]) == (503, True, True)
        assert compat.ask("/v1/sys/health?sealedcode=204").status == 204
        assert compat.ask("/v1/sys/seal-status").json["sealed"] is True
        compat.vault.unlock()
        assert is_error(compat.read(customer, login), 403, "permission denied")
        assert compat.read(customer, issued).status == 200
        compat.vault.kill("server")
        await_that("the server is back", compat.vault.reachable)
        await_that("the face is back", compat.reachable)
        assert compat.read(customer, issued).status == 200
        compat.vault.stop()
        with socket.create_server(("127.0.0.1", compat.port)):  # somebody else's
            compat.vault.start()
            await_that("the listener could not be opened", lambda: "cannot be opened yet" in compat.vault.log())
            with pytest.raises(OSError):  # the main one is not opened either
                socket.create_connection(("127.0.0.1", compat.vault.port)).close()
        await_that("both are open", lambda: _listens(compat.vault.port) and _listens(compat.port))
        assert compat.ask("/v1/sys/health?sealedcode=200").status == 200
    finally:
        compat.close()


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


# --- the command line ------------------------------------------------------------------------------


def test_the_command_line_opens_the_face_for_a_tenant_and_hands_out_logins(compat, tmp_path):
    vault, customer = compat.vault, compat.vault.customer()
    assert vault.cli_json("compat", "show", customer.name)["enabled"] is False
    assert vault.cli_json("compat", "enable", customer.name, "--binding", "source_ip")["binding"] == "source_ip"
    out = vault.files / unique("role")
    vault.cli("gateway", "approle", customer.gateway.name, "--binding", "source_ip", "--cidr", "127.0.0.0/8", "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600
    role = json.loads(out.read_text())
    vault.cli("gateway", "approle", customer.gateway.name, "--out", out, expect=5)
    token = compat.approle_login(role).json["auth"]["client_token"]
    issued = json.loads(vault.cli("gateway", "token", customer.gateway.name, "--cidr", "127.0.0.1", "--days", "3").out)
    for bearer in (token, issued["token"]):
        assert compat.read(customer, bearer, who=None).status == 200
    listed = vault.cli_json("gateway", "logins", customer.gateway.name)
    assert [r["role_id"] for r in listed["approles"]] == [role["role_id"]]
    for name in (role["role_id"], issued["accessor"]):
        assert name in vault.cli("gateway", "logins", customer.gateway.name).out
        vault.cli("gateway", "forget", customer.gateway.name, name, "--yes")
    for bearer in (token, issued["token"]):
        assert is_error(compat.read(customer, bearer, who=None), 403)
    assert vault.cli("compat", "disable", customer.name).code == 0
