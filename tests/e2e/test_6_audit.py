"""Step 6: everything is a record: chained, MACed, gapless, and verified by two programs."""

import hashlib
import json

import pytest
from harness import NOT_FOUND, UNVERIFIED, await_that, new_provider_key, verify_bundle


@pytest.fixture(scope="module")
def story(vault):
    """A customer with one of everything in its log: (customer, what must be in the log, secrets)."""
    customer = vault.customer()
    expected = ["tenant.created", "engagement.started", "key.put", "grant.added"]
    secrets = [customer.value, new_provider_key()]
    lease = customer.leased(ttl_s=60)
    vault.api("POST", f"/v1/leases/{lease['lease']}/renew", {"ttl_s": 90}, customer.gateway)
    vault.api("POST", f"/v1/leases/{lease['lease']}/release", {}, customer.gateway)
    expected += ["lease.issued", "lease.renewed", "lease.released"]
    secrets.append(lease["lease"][32:])
    vault.rotate_key(customer.name, value=secrets[1], grace_s=0)
    vault.await_record(customer.name, type="key.destroyed")
    expected += ["key.rotated", "key.destroyed"]
    customer.leased()
    vault.put_key(customer.name, "second")
    expected += ["lease.issued", "key.put"]
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/second/revoke", {})
    vault.api("POST", f"/v1/tenants/{customer.name}/engagements/{customer.engagement}/end", {})
    expected += ["key.destroyed", "key.revoked", "engagement.ended"]
    return customer, expected, secrets


@pytest.mark.sanitize
def test_every_step_is_a_record_of_the_tenants_log(vault, story):
    customer, expected, _ = story
    assert [t for t in vault.types(customer.name) if t != "lease.refused"] == expected


def test_what_concerns_no_tenant_is_in_the_vaults_log(vault, story):
    types = set(vault.types("vault"))
    assert {"vault.created", "certificate.issued", "gateway.added"} <= types


@pytest.mark.sanitize
def test_the_chain_is_gapless(vault, story):
    customer, _, _ = story
    previous, time = None, ""
    for number, (line, record) in enumerate(vault.records(customer.name)):
        assert record["seq"] == number
        assert record["time"] >= time
        if previous is not None:
            assert record["prev"] == hashlib.sha256(b"\0" + previous.encode()).hexdigest()
        previous, time = line, record["time"]


def test_every_record_of_a_request_names_who_asked(vault, story):
    customer, _, _ = story
    for _, record in vault.records(customer.name):
        assert record["actor"], record
        if record["actor"] != "system" and record["type"] not in ("key.destroyed",):
            assert len(record["request_id"]) == 32, record


def test_the_keeper_confirms_the_mac_of_every_record(vault, story):
    customer, _, _ = story
    size = len(vault.records(customer.name))
    assert vault.api("POST", f"/v1/logs/{customer.name}/check", {"from": 0, "to": size}) == {
        "checked": size, "bad": None}


def test_no_record_holds_a_secret(vault, story):
    customer, _, secrets = story
    for log in (customer.name, "vault"):
        text = "\n".join(line for line, _ in vault.records(log))
        for secret in secrets:
            assert secret not in text
        assert "BEGIN" not in text, "a certificate or key in PEM"


def test_audit_show_prints_the_trail(vault, story):
    customer, expected, _ = story
    shown = vault.cli("audit", "show", customer.name).out
    for type_name in set(expected):
        assert type_name in shown
    lines = vault.cli("--json", "audit", "show", customer.name, "--from", "0").out
    for type_name in set(expected):
        assert type_name in lines


@pytest.mark.sanitize
def test_audit_verify_accepts_both_logs(vault, story):
    customer, _, _ = story
    assert customer.name in vault.cli("audit", "verify", customer.name).out
    vault.cli("audit", "verify", "vault")
    vault.cli("audit", "verify", "nobody-here", expect=NOT_FOUND)


def test_the_separate_verifier_agrees_on_an_export(vault, story):
    customer, _, _ = story
    bundle = vault.export(customer.name)
    key = vault.api("GET", f"/v1/logs/{customer.name}")["public_key"]
    code, said = verify_bundle(bundle, "--public-key", key)
    assert code == 0, said
    records = sum(line.startswith(b'{"v":') for line in lines_of(bundle))
    assert f"{records} records" in said
    vault.cli("audit", "verify", "--bundle", bundle, "--public-key", key)


def test_the_vaults_own_log_is_exported_and_verified_too(vault, story):
    code, said = verify_bundle(vault.export("vault"))
    assert code == 0, said


def lines_of(bundle):
    return bundle.read_bytes().splitlines()


def changed_word(lines, at):
    lines[at] = lines[at].replace(b'"outcome":"ok"', b'"outcome":"failed"', 1)


def changed_time(lines, at):
    lines[at] = lines[at].replace(b'"time":"20', b'"time":"19', 1)


def changed_actor(lines, at):
    assert b"operator:" in lines[at] or b"gateway:" in lines[at]
    lines[at] = lines[at].replace(b"operator:", b"operat0r:").replace(b"gateway:", b"gatewax:")


def removed(lines, at):
    del lines[at]


def repeated(lines, at):
    lines.insert(at, lines[at])


def swapped(lines, at):
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


@pytest.mark.parametrize("damage", [changed_word, changed_time, changed_actor, removed, repeated, swapped])
def test_a_tampered_export_is_refused_by_both_and_the_record_is_named(vault, story, damage):
    customer, _, _ = story
    bundle = vault.export(customer.name)
    lines = lines_of(bundle)
    damage(lines, 1 + 3)  # record 3: the first lease
    bundle.write_bytes(b"\n".join(lines) + b"\n")
    code, said = verify_bundle(bundle)
    assert code == 1, said
    assert any(f"record {number}" in said for number in (3, 4)), said
    key = vault.api("GET", f"/v1/logs/{customer.name}")["public_key"]
    done = vault.cli("audit", "verify", "--bundle", bundle, "--public-key", key, expect=UNVERIFIED)
    named = said.split("record ")[1].split(":")[0]
    assert f"record {named}" in done.text, f"the two verifiers name different records: {said} and {done}"


def test_an_export_that_was_cut_short_is_refused(vault, story):
    customer, _, _ = story
    bundle = vault.export(customer.name)
    lines = lines_of(bundle)
    del lines[max(at for at, line in enumerate(lines) if line.startswith(b'{"v":1,'))]
    bundle.write_bytes(b"\n".join(lines) + b"\n")
    assert verify_bundle(bundle)[0] == 1
    vault.cli("audit", "verify", "--bundle", bundle, expect=UNVERIFIED)


def test_an_export_signed_by_another_vault_is_refused(vault, story, new_vault):
    customer, _, _ = story
    other = new_vault()
    key = other.api("GET", "/v1/logs/vault")["public_key"]
    bundle = vault.export(customer.name)
    assert verify_bundle(bundle, "--public-key", key)[0] == 1
    vault.cli("audit", "verify", "--bundle", bundle, "--public-key", key, expect=UNVERIFIED)


def test_the_cli_remembers_the_last_checkpoint_and_refuses_a_smaller_log(vault, story):
    customer, _, _ = story
    vault.cli("audit", "verify", customer.name)
    log = vault.api("GET", f"/v1/logs/{customer.name}")["log"]
    path = vault.profile / "profile.json"
    before = path.read_text()
    profile = json.loads(before)
    profile["checkpoints"][log]["size"] += 1000
    try:
        path.write_text(json.dumps(profile))
        vault.cli("audit", "verify", customer.name, expect=UNVERIFIED)
    finally:
        path.write_text(before)
    vault.cli("audit", "verify", customer.name)


def test_a_log_of_more_than_one_page_is_read_whole(vault):
    customer = vault.customer()
    client = vault.client(customer.gateway)
    for _ in range(520):
        assert client("POST", "/v1/leases", {"key": customer.path}).status == 201
    client.close()
    reply = vault.call("GET", f"/v1/logs/{customer.name}/records?from=0&limit=500")
    assert reply.headers["content-type"].split(";")[0] == "application/x-ndjson"
    assert len(reply.text.splitlines()) == 500
    assert int(reply.headers["strongroom-log-size"]) == 524
    assert len(vault.records(customer.name)) == 524
    vault.cli("audit", "verify", customer.name)
    code, said = verify_bundle(vault.export(customer.name))
    assert code == 0, said
    customer.give_all_back()


@pytest.mark.parametrize("query, status", [
    ("from=0&limit=1", 200), ("from=99999", 200), ("from=x", 400), ("from=-1", 400), ("limit=x", 400)])
def test_record_queries_are_checked(vault, story, query, status):
    customer, _, _ = story
    reply = vault.call("GET", f"/v1/logs/{customer.name}/records?{query}")
    assert reply.status == status, reply


def test_the_trail_survives_a_restart_and_grows_on(own):
    customer = own.customer()
    customer.leased()
    before = [line for line, _ in own.records(customer.name)]
    own.restart()
    own.unlock()
    customer.leased()
    after = [line for line, _ in own.records(customer.name)]
    assert after[:len(before)] == before and len(after) > len(before)
    own.cli("audit", "verify", customer.name)
    own.cli("audit", "verify", "vault")
    await_that("the restart is a record", lambda: own.types("vault").count("server.started") >= 1)
