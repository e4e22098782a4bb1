"""Policy as code: documents checked and tried as files, set with or without a touch, explained and replayed."""

import re
from pathlib import Path

import pytest
from harness import OK, PIN, USAGE, unique, verify_bundle
from operators import first

ABSENT, OTHER, UNVERIFIED = 4, 1, 7

DOCUMENT = """\
# Chat in working hours, and nothing else.
[allow chat]
gateways = litellm-* nginx-1
keys = openai-*
models = gpt-5*
hours = mon-fri 08-20
[deny freeze]
keys = *
hours = sat-sun 00-24
"""

CASES = """\
[case on a monday]
gateway = litellm-1
key = openai-prod
model = gpt-5-mini
at = mon 12
expect = allow
rule = chat

[case on a sunday]
gateway = litellm-1
key = openai-prod
model = gpt-5-mini
at = sun 12
expect = deny
rule = freeze

[case without a model]
gateway = litellm-1
key = openai-prod
at = mon 12
expect = deny
"""


@pytest.fixture(scope="module")
def vault():
    """A vault where a wider policy takes a touch; its leases are of this module alone."""
    from harness import Vault

    vault = Vault.opened()
    yield vault
    vault.close()


def write(vault, text, name=None):
    path = vault.files / (name or unique("policy"))
    path.write_text(text)
    return path


def put(vault, owner, text, who=None):
    return vault.call("POST", f"/v1/policies/{owner}", {"document": text}, who)


# --- files ----------------------------------------------------------------------------------------


def test_a_document_is_checked_without_a_vault(vault):
    good = write(vault, DOCUMENT)
    assert "2 rules, 0 warnings" in vault.cli("policy", "check", good).text
    bad = write(vault, "[allow a]\n\nkey = x\n")
    assert f"{bad}:3: no rule has such a line" in vault.cli("policy", "check", bad, expect=USAGE).err
    odd = write(vault, "[allow a]\n[allow b]\nkeys = x\n")
    done = vault.cli("policy", "check", odd)
    assert f"{odd}:2: warning: this rule never decides: all of it is allowed before by a" in done.err
    of_vault = write(vault, "[allow a]\nkeys = acme/openai-*\n")
    vault.cli("policy", "check", of_vault, expect=USAGE)
    vault.cli("policy", "check", of_vault, "--vault")


def test_cases_say_what_a_document_must_decide(vault):
    document, cases = write(vault, DOCUMENT), write(vault, CASES)
    done = vault.cli("policy", "test", document, cases)
    assert "3 cases, 0 failed" in done.text and "ok      on a sunday: denied by freeze" in done.text
    wrong = write(vault, CASES.replace("rule = chat", "rule = other"))
    done = vault.cli("policy", "test", document, wrong, expect=OTHER)
    assert "FAILED  on a monday: allowed by chat" in done.text and "3 cases, 1 failed" in done.text
    broken = write(vault, "[case a]\nkey = x\n")
    assert f"{broken}:1: the case expects nothing" in vault.cli("policy", "test", document, broken, expect=USAGE).err


# --- in the vault -----------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_document_decides_from_the_moment_it_is_set_and_records_name_it(vault):
    customer = vault.customer()
    name = customer.gateway.name
    assert put(vault, customer.name, f"[allow one]\ngateways = {name}\nmodels = gpt-5*\nmax_ttl = 20s\n").json["change"] \
        == "narrows"
    shown = vault.api("GET", f"/v1/policies/{customer.name}")
    assert customer.lease(model="gpt-5-mini").json["ttl_s"] == 20
    refused = customer.lease(model="gpt-4")
    assert refused.status == 403 and "policy explain" in refused.json["detail"]
    assert customer.lease().status == 403
    records = [record for _, record in vault.records(customer.name) if record["type"].startswith("lease.")]
    assert [(r["type"], r.get("model"), r.get("rule")) for r in records] == [
        ("lease.issued", "gpt-5-mini", "one"), ("lease.refused", "gpt-4", None), ("lease.refused", None, None)]
    assert {r["policy"] for r in records} == {shown["sha256"]}
    assert vault.call("POST", f"/v1/policies/{customer.name}", {"document": "[allow"}).json["line"] == 1


def test_a_reached_rate_is_429_says_when_and_is_not_forgiven_by_a_restart(new_vault):
    vault = new_vault()
    customer = vault.customer()
    put(vault, customer.name, "[allow a]\nrate = 2/hour\n")
    assert [customer.lease().status for _ in range(3)] == [201, 201, 429]
    vault.restart()
    vault.unlock()
    reply = customer.lease()
    assert reply.status == 429 and 1 <= int(reply.headers["retry-after"]) <= 3660
    assert reply.json["detail"] == "the policy's rate of leases per hour is reached"


def test_what_widens_takes_a_touch_and_what_narrows_does_not(new_vault):
    vault = new_vault(grant_step_up="yes")
    vault.api("POST", "/v1/tenants", {"name": "acme"})
    narrow, wide, empty = (write(vault, text) for text in ("[allow a]\nkeys = x\n", "[allow a]\n", ""))
    before = vault.authenticator.touches
    done = vault.cli("policy", "set", "acme", narrow)
    assert "allows nothing more (it narrows)" in done.err and vault.authenticator.touches == before
    assert "nothing changes" in vault.cli("policy", "set", "acme", narrow).err
    assert put(vault, "acme", "[allow a]\n").status == 403
    done = vault.cli("--device", vault.authenticator.path, "policy", "set", "acme", wide, answers=[("pin", PIN)])
    assert "line 1 [allow a]: other requests" in done.err and vault.authenticator.touches == before + 1
    assert vault.cli("policy", "show", "acme").text == "[allow a]\n"
    assert vault.cli("policy", "show", "acme", "--version", "1").text == "[allow a]\nkeys = x\n"
    admin = vault.certify("admin", "adam")
    made = vault.api("POST", "/v1/operations", {"operation": "policy.set", "owner": "acme", "document": ""}, admin)
    approved = first(vault).cli("operation", "approve", made["id"], "--yes")
    assert "It removes the document" in approved.err
    assert "was removed with version 3" in vault.cli("policy", "show", "acme").err
    assert "nothing changes" in vault.cli("policy", "set", "acme", empty).err
    vault.cli("policy", "set", "vault", write(vault, "[deny all]\n"))
    listed = vault.cli("policy", "list", "acme").text.splitlines()
    assert [line.split()[0] for line in listed] == ["VERSION", "3", "2", "1"] and "operator:alice" in listed[1]
    said = vault.cli_json("audit", "verify", "--bundle", vault.export("acme"), "--step-ups")["step_ups"]
    assert [done["operation"] for done in said["done"]] == ["policy.set"] * 2 and said["plain_policies"] == 0
    assert verify_bundle(vault.export("acme", "again"), "--step-ups")[0] == 0


def test_a_proposal_shows_its_document_to_whoever_approves_it(new_vault):
    vault = new_vault(grant_step_up="yes")
    vault.api("POST", "/v1/tenants", {"name": "acme"})
    put(vault, "acme", "[deny all]\n")
    made = vault.api("POST", "/v1/operations", {"operation": "policy.set", "owner": "acme", "document": "[allow all]\n"})
    done = first(vault).cli("operation", "approve", made["id"], "--yes")
    assert "[allow all]" in done.err


def test_names_that_the_vault_does_not_have_are_warned_of(vault):
    customer = vault.customer()
    path = write(vault, f"[allow a]\ngateways = {customer.gateway.name} nobody-*\nkeys = openai-* claude\n")
    done = vault.cli("policy", "check", path, "--tenant", customer.name)
    assert f"{path}:2: warning: there is no gateway nobody-*" in done.err
    assert f"{path}:3: warning: there is no key claude" in done.err
    assert "1 rule, 2 warnings" in done.text
    assert "there is no key claude" in vault.cli("policy", "set", customer.name, path).err


# --- why, and what if ---------------------------------------------------------------------------------


def test_explain_says_condition_by_condition_why(vault):
    customer = vault.customer()
    put(vault, customer.name, "[allow chat]\nmodels = gpt-5*\n\n[deny mail]\npurposes = mail\n")
    refused = customer.lease(model="gpt-4").request_id
    text = vault.cli("policy", "explain", customer.name, refused).text
    assert "model = gpt-4" in text and "It is refused: no rule allows it." in text
    assert "   2    models = gpt-5*" in text and "fails: it is gpt-4" in text
    assert "   5    purposes = mail" in text and "fails: the request does not state it" in text
    lease = customer.lease(model="gpt-5", purpose="chat").json["lease"]
    text = vault.cli("policy", "explain", customer.name, lease).text
    assert "It is allowed by [allow chat]." in text and "holds: gpt-5" in text
    denied = customer.lease(model="gpt-5", purpose="mail").request_id
    put(vault, customer.name, "[deny everything]\n")  # the document of then is the one that is explained
    text = vault.cli("policy", "explain", customer.name, denied).text
    assert "It is denied by [deny mail]." in text and "version 1" in text
    unknown = vault.cli("policy", "explain", customer.name, "0" * 32, expect=ABSENT)
    assert "no record of a lease" in unknown.err


def test_explain_names_the_limit_that_was_reached(vault):
    customer = vault.customer()
    put(vault, customer.name, "[allow few]\nconcurrent = 1\n")
    assert customer.lease().status == 201
    refused = customer.lease()
    assert refused.status == 429 and "retry-after" not in refused.headers
    text = vault.cli("policy", "explain", customer.name, refused.request_id).text
    assert "matches, but its limit is reached: concurrent" in text


def test_replay_says_what_a_document_would_have_refused(vault):
    customer = vault.customer()
    vault.put_key(customer.name, "other")
    for model in ("gpt-5", "gpt-5-mini", "gpt-4"):
        assert customer.lease(model=model).status == 201
    put(vault, customer.name, "[allow a]\nkeys = other\n")
    assert customer.lease(model="gpt-5").status == 403
    path = write(vault, "[allow chat]\nmodels = gpt-5*\nrate = 2/minute\n")
    said = vault.cli_json("policy", "replay", customer.name, path)
    assert (said["issued"], said["refused_now"], said["refused"], said["allowed_now"]) == (3, 1, 1, 0)
    group = said["groups"][0]
    assert (group["reason"], group["leases"], group["gateway"]) == ("no rule allows it", 1, customer.gateway.name)
    text = vault.cli("policy", "replay", customer.name, write(vault, "[deny all]\n"), "--since", "1h").text
    assert "Of 3 leases that were issued, this document refuses 3." in text and "deny all" in text
    none = vault.cli("policy", "replay", customer.name, path, "--since", "2020-01-01", expect=OK).text
    assert "Of 3 leases" in none


# --- what the manual shows ------------------------------------------------------------------------------


def test_the_examples_of_the_manual_are_good_documents_and_pass_their_cases(vault):
    text = (Path(__file__).parents[2] / "docs/POLICY.md").read_text()
    blocks = re.findall(r"^```([a-z-]+)\n(.*?)^```$", text, re.M | re.S)
    assert [kind for kind, _ in blocks] == ["policy", "policy-vault", "cases"]
    tenants, vaults, cases = (write(vault, block) for _, block in blocks)
    assert ", 0 warnings" in vault.cli("policy", "check", tenants).text
    assert ", 0 warnings" in vault.cli("policy", "check", vaults, "--vault").text
    assert "3 cases, 0 failed" in vault.cli("policy", "test", tenants, cases).text
