"""Step 3: tenants, engagements, provider keys and gateways."""

import json
from pathlib import Path

import pytest
from harness import CONFLICT, NOT_FOUND, USAGE, Identity, make_request, new_provider_key, openssl, unique


@pytest.mark.sanitize
def test_an_operator_sets_up_a_customer_with_the_cli(vault):
    name, gateway, value = unique("acme"), unique("litellm"), new_provider_key()
    vault.cli("tenant", "create", name, "--region", "eu")
    vault.cli("engagement", "start", f"{name}/migration")
    done = vault.cli("key", "put", f"{name}/openai-prod", "--provider", "openai", stdin=value.encode() + b"\n")
    assert value not in done.text
    key, csr = make_request(vault.files, gateway)
    certificate = vault.files / f"{gateway}.pem"
    vault.cli("gateway", "add", gateway, "--csr", csr, "--grant", f"{name}/openai-prod=120", "--out", certificate)
    reply = vault.curl("/v1/leases", who=Identity(gateway, key, certificate), body={"key": f"{name}/openai-prod"})
    assert reply.status == 201
    assert reply.json["value"] == value
    assert reply.json["ttl_s"] == 120
    assert [record["type"] for _, record in vault.records(name)] == [
        "tenant.created", "engagement.started", "key.put", "grant.added", "lease.issued"]


def test_a_key_can_be_typed_at_a_prompt_that_does_not_show_it(vault):
    name, value = unique("acme"), new_provider_key()
    vault.cli("tenant", "create", name)
    vault.cli("engagement", "start", f"{name}/migration")
    done = vault.cli("key", "put", f"{name}/openai-prod", "--provider", "openai", stdin=None,
                     answers=[("key", value), ("once more", value)])
    assert done.echoed == [False, False]
    assert value not in done.text
    gateway = vault.add_gateway(f"{name}/*")
    assert vault.curl("/v1/leases", who=gateway, body={"key": f"{name}/openai-prod"}).json["value"] == value


def test_a_key_on_the_command_line_is_a_usage_error(vault, customer):
    """Whoever may list processes can read arguments: there is no way to pass a key there."""
    value = new_provider_key()
    for extra in ([value], ["--key", value], ["--value", value]):
        done = vault.cli("key", "put", f"{customer.name}/other", "--provider", "openai", *extra, expect=USAGE)
        assert value not in done.text, "an error message repeats the key"
    assert [key["name"] for key in vault.api("GET", f"/v1/tenants/{customer.name}/keys")["keys"]] == [customer.key]


def test_a_key_is_in_no_arguments_and_no_environment_while_the_cli_runs(vault, customer):
    value, looked = new_provider_key(), []

    def look(process):
        for name in ("cmdline", "environ"):
            try:
                looked.append(Path(f"/proc/{process.pid}/{name}").read_bytes())
            except PermissionError:
                pass  # only root may look at all

    vault.cli("key", "rotate", customer.path, stdin=None, answers=[("key", value), ("once more", value)],
              on_prompt=look)
    assert looked and all(value.encode() not in content for content in looked)
    assert customer.leased()["value"] == value


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 9000], ids=["nothing", "an empty line", "9000 bytes"])
def test_what_cannot_be_a_key_is_refused(vault, customer, content):
    done = vault.cli("key", "put", f"{customer.name}/other", "--provider", "openai", stdin=content, expect=None)
    assert done.code != 0
    assert vault.call("GET", f"/v1/tenants/{customer.name}/keys/other").status == 404


def test_lists_show_no_more_of_a_key_than_its_last_four_characters(vault, customer):
    shown = vault.cli("key", "list", customer.name).out + vault.cli("--json", "key", "list", customer.name).out
    shown += json.dumps(vault.api("GET", f"/v1/tenants/{customer.name}/keys/{customer.key}"))
    assert customer.key in shown
    assert customer.value[-4:] in shown
    assert customer.value[-5:] not in shown
    assert customer.value[:12] not in shown


def test_the_server_cannot_read_what_the_cli_sends(vault, customer):
    """A new key travels sealed to the keeper: a delivery for another vault's keeper does not open."""
    from nacl.public import PrivateKey, SealedBox
    import base64
    wrong = base64.b64encode(SealedBox(PrivateKey.generate().public_key).encrypt(b"sk-test")).decode()
    reply = vault.call("POST", f"/v1/tenants/{customer.name}/keys/other", {"provider": "openai", "sealed_key": wrong})
    assert reply.status in (400, 403), reply
    assert vault.call("GET", f"/v1/tenants/{customer.name}/keys/other").status == 404


@pytest.mark.parametrize("command, code", [
    (["tenant", "create", "{tenant}"], CONFLICT),
    (["engagement", "start", "{tenant}/migration"], CONFLICT),
    (["key", "put", "{tenant}/openai-prod", "--provider", "openai"], CONFLICT),
    (["engagement", "start", "nobody-here/migration"], NOT_FOUND),
    (["engagement", "end", "{tenant}/nothing", "--yes"], NOT_FOUND),
    (["key", "put", "nobody-here/key", "--provider", "openai"], NOT_FOUND),
    (["key", "rotate", "{tenant}/nothing"], NOT_FOUND),
    (["key", "revoke", "{tenant}/nothing", "--yes"], NOT_FOUND),
    (["key", "list", "nobody-here"], NOT_FOUND),
    (["audit", "show", "nobody-here"], NOT_FOUND),
    (["tenant", "create", "Not A Name"], USAGE),
    (["key", "put", "no-slash", "--provider", "openai"], USAGE),
    (["key", "put", "{tenant}/other", "--provider", "no-such-provider"], USAGE),
], ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_what_exists_is_a_conflict_and_what_does_not_is_not_found(vault, customer, command, code):
    done = vault.cli(*(word.format(tenant=customer.name) for word in command), stdin=b"sk-test-1234567890", expect=code)
    assert done.err.strip()


@pytest.mark.parametrize("name", ["", "-x", "UPPER", "a b", "a/b", "ä", "x" * 64, ".x", None, 7, ["x"]])
def test_names_are_what_the_documentation_says(vault, name):
    reply = vault.call("POST", "/v1/tenants", {"name": name})
    assert (reply.status, reply.json["title"]) == (400, "bad-input")


def test_the_longest_name_is_fine(vault):
    name = unique("n" * 50).ljust(63, "x")
    assert vault.api("POST", "/v1/tenants", {"name": name})["name"] == name


def test_a_tenant_of_another_region_is_refused(vault):
    reply = vault.call("POST", "/v1/tenants", {"name": unique("acme"), "region": "us"})
    assert (reply.status, reply.json["title"]) == (421, "wrong-region")


def test_lists_come_in_pages(vault):
    names = sorted(unique("page") for _ in range(103))
    for name in names:
        vault.api("POST", "/v1/tenants", {"name": name})
    found, after, pages = [], "page", 0
    while after is not None:
        page = vault.api("GET", f"/v1/tenants?after={after}")
        found += [tenant["name"] for tenant in page["tenants"]]
        assert len(page["tenants"]) <= 100
        after, pages = page["next"], pages + 1
    assert [name for name in found if name.startswith("page-")] == names
    assert pages >= 2


# --- gateways --------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_gateway_may_lease_what_it_is_granted_and_do_nothing_else(vault, customer):
    vault.put_key(customer.name, "other")
    assert customer.lease().status == 201
    reply = vault.curl("/v1/leases", who=customer.gateway, body={"key": f"{customer.name}/other"})
    assert (reply.status, reply.json["title"]) == (403, "denied")
    for method, path in [("GET", "/v1/tenants"), ("POST", "/v1/tenants"), ("GET", "/v1/gateways"),
                         ("GET", f"/v1/tenants/{customer.name}"), ("GET", f"/v1/tenants/{customer.name}/keys"),
                         ("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke"),
                         ("GET", "/v1/leases"), ("GET", "/v1/records"), ("POST", "/v1/certificates")]:
        reply = vault.call(method, path, {} if method == "POST" else None, customer.gateway)
        assert (reply.status, reply.json["title"]) == (403, "denied"), f"{method} {path}"
    for log in (customer.name, "vault"):  # it may see how the tree of all logs grows, and no log besides
        assert vault.call("GET", f"/v1/logs/{log}", who=customer.gateway).status == 404
    assert vault.call("GET", "/v1/logs/tree", who=customer.gateway).status == 200


def test_patterns_grant_what_they_say(vault, customer):
    for key in ("openai-dev", "anthropic"):
        vault.put_key(customer.name, key)
    gateway = vault.add_gateway(f"{customer.name}/openai-*")

    def status(key):
        return vault.call("POST", "/v1/leases", {"key": f"{customer.name}/{key}"}, gateway).status

    assert [status(key) for key in ("openai-prod", "openai-dev", "anthropic")] == [201, 201, 403]
    vault.api("POST", f"/v1/gateways/{gateway.name}/grants", {"key": f"{customer.name}/*"})
    assert status("anthropic") == 201


def test_a_grant_taken_back_ends_leasing_at_once(vault, customer):
    vault.cli("gateway", "ungrant", customer.gateway.name, customer.path)
    reply = customer.lease()
    assert (reply.status, reply.json["title"]) == (403, "denied")
    vault.cli("gateway", "grant", customer.gateway.name, customer.path)
    assert customer.lease().status == 201


def test_a_removed_gateway_is_nobody(vault, customer):
    lease = customer.leased()
    vault.cli("gateway", "remove", customer.gateway.name, "--yes")
    reply = customer.lease()
    assert (reply.status, reply.json["title"]) == (401, "no-identity")
    assert vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status == 401
    assert customer.gateway.name not in vault.cli("gateway", "list").out


def test_a_grant_for_a_tenant_that_does_not_exist_is_refused(vault):
    _, csr = make_request(vault.files, unique("gateway"))
    reply = vault.call("POST", "/v1/gateways", {"name": unique("gateway"), "csr": csr.read_text(),
                                                "grants": [{"key": "nobody-here/*"}]})
    assert reply.status == 404, reply


def test_a_gateways_certificate_says_what_the_vault_decided_not_what_the_request_asked_for(vault, customer):
    vault_id = vault.api("GET", "/v1/status")["vault"]
    name = unique("gateway")
    key, csr = make_request(vault.files, name, extra=[
        "-addext", f"subjectAltName=URI:strongroom://{vault_id}/operator/alice",
        "-addext", "basicConstraints=CA:TRUE"])
    certificate = vault.files / f"{name}.pem"
    vault.cli("gateway", "add", name, "--csr", csr, "--grant", customer.path, "--out", certificate)
    text = openssl("x509", "-in", certificate, "-noout", "-text")
    assert f"URI:strongroom://{vault_id}/gateway/{name}" in text
    assert "operator" not in text and "CA:TRUE" not in text
    assert vault.call("GET", "/v1/tenants", who=Identity(name, key, certificate)).status == 403


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_only_p256_keys_are_certified(vault, kind):
    name = unique("gateway")
    _, csr = make_request(vault.files, name, kind)
    reply = vault.call("POST", "/v1/gateways", {"name": name, "csr": csr.read_text(), "grants": []})
    assert (reply.status, reply.json["title"]) == (400, "bad-input")


def test_a_request_signed_by_another_key_is_refused(vault):
    """Whoever asks for a certificate must hold the key it is for."""
    name = unique("gateway")
    _, csr = make_request(vault.files, name)
    der = vault.files / f"{name}.der"
    openssl("req", "-in", csr, "-outform", "DER", "-out", der)
    content = bytearray(der.read_bytes())
    content[-1] ^= 1
    der.write_bytes(content)
    text = openssl("req", "-in", der, "-inform", "DER", "-outform", "PEM")
    for request in (text, "not a request", ""):
        reply = vault.call("POST", "/v1/gateways", {"name": name, "csr": request, "grants": []})
        assert (reply.status, reply.json["title"]) == (400, "bad-input")


def test_a_private_key_is_certified_once(vault, customer):
    csr = vault.files / f"{customer.gateway.name}.csr"
    reply = vault.call("POST", "/v1/gateways", {"name": unique("gateway"), "csr": csr.read_text(), "grants": []})
    assert (reply.status, reply.json["title"]) == (409, "conflict")
