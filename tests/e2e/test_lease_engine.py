"""Leases over their life: asked for again after a lost answer, revoked at once, over without a trace of writing."""

import json
import random
import threading

import pytest
from harness import SLOW, await_that, unique
from test_sealed_delivery import Ask, claimed, signed_bytes
from nacl.signing import VerifyKey


def again(customer, key, **body):
    return customer.vault.curl("/v1/leases", "-H", f"Idempotency-Key: {key}", who=customer.gateway,
                               body={"key": customer.path, **body})


def renewed(customer, lease):
    return customer.vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status


def live(vault):
    return vault.api("GET", "/v1/leases")["leases"]


def count(vault, log, kind):
    return vault.types(log).count(kind)


# --- asking again ----------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_lost_answer_is_asked_for_again_and_is_one_lease(vault, customer):
    first = again(customer, "attempt-1").json
    assert "repeated" not in first
    reply = again(customer, "attempt-1", purpose="the answer was lost")
    assert reply.status == 201
    assert reply.json["repeated"] is True
    same = ("lease", "value", "expires", "issued", "max_expires", "key", "version", "class", "engagement_id")
    assert [reply.json[name] for name in same] == [first[name] for name in same]
    assert again(customer, "attempt-2").json["lease"] != first["lease"]
    assert [lease["id"] for lease in live(vault)].count(first["lease"][:32]) == 1
    assert count(vault, customer.name, "lease.issued") == 2
    assert count(vault, customer.name, "lease.repeated") == 1


def test_a_killed_server_still_knows_what_it_answered(own):
    customer = own.customer()
    first = again(customer, "attempt-1").json
    for _ in range(2):
        own.kill("server")
        await_that("the server is back", lambda: own.reachable() and own.state == "unlocked")
        reply = again(customer, "attempt-1")
        assert (reply.status, reply.json["lease"], reply.json["value"]) == (201, first["lease"], customer.value)
    assert again(customer, "attempt-1", ttl_s=60).status == 409
    assert renewed(customer, first) == 200
    assert count(own, customer.name, "lease.issued") == 1


def test_a_sealed_answer_is_sealed_again_to_whatever_key_is_asked_for(vault, customer):
    first, second = Ask(), Ask()
    one = again(customer, "sealed", **first.body).json
    two = again(customer, "sealed", **second.body).json
    assert one["lease"] == two["lease"]
    assert "value" not in two
    assert second.open(two) == customer.value
    signer = VerifyKey(bytes.fromhex(vault.api("GET", "/v1/keys", who=customer.gateway)["delivery_key"]))
    signer.verify(signed_bytes(claimed(customer.gateway, second, two)), bytes.fromhex(two["signature"]))
    clear = again(customer, "sealed").json
    assert (clear["lease"], clear["value"]) == (one["lease"], customer.value)


def test_an_idempotency_key_is_1_to_64_printable_ascii_characters(vault, customer):
    def ask(header):
        return vault.curl("/v1/leases", "-H", header, who=customer.gateway, body={"key": customer.path})
    for fine in ("x", "x" * 64, "order 7/\"a\" ~!"):
        assert ask(f"Idempotency-Key: {fine}").status == 201
    for wrong in ("Idempotency-Key;", *(f"Idempotency-Key: {key}" for key in ("x" * 65, "caf\u00e9", "tab\there"))):
        reply = ask(wrong)
        assert reply.status == 400
        assert "Idempotency-Key" in reply.json["detail"]


def test_an_idempotency_key_is_for_one_request(vault, customer):
    lease = again(customer, "once").json
    reply = again(customer, "once", ttl_s=30)
    assert (reply.status, reply.json["title"]) == (409, "conflict")
    vault.api("POST", f"/v1/leases/{lease['lease']}/release", {}, customer.gateway)
    reply = again(customer, "once")
    assert reply.status == 409
    assert "released" in reply.json["detail"]


# --- revoking --------------------------------------------------------------------------------------


def test_leases_are_revoked_from_the_command_line(vault, customer):
    lease, other = customer.leased(), customer.leased()
    listed = next(each for each in live(vault) if each["id"] == lease["lease"][:32])
    assert listed["class"] == "static"
    assert listed["engagement_id"] == lease["engagement_id"]
    assert "1 lease is revoked" in vault.cli("lease", "revoke", listed["id"], "--yes").err
    assert (renewed(customer, lease), renewed(customer, other)) == (404, 200)
    assert vault.cli_json("lease", "revoke", "--key", customer.path, "--yes") == {"revoked": 1}
    assert renewed(customer, other) == 404
    for option, name in (("--gateway", customer.gateway.name), ("--tenant", customer.name)):
        lease = customer.leased()
        assert vault.cli_json("lease", "revoke", option, name, "--yes") == {"revoked": 1}
        assert renewed(customer, lease) == 404
    customer.leased()
    assert vault.cli_json("lease", "revoke", "--all", "--yes")["revoked"] >= 1
    assert live(vault) == []
    revoked = [record for _, record in vault.records(customer.name) if record["type"] == "lease.revoked"]
    assert [record["scope"] for record in revoked] == ["lease", "key", "gateway", "tenant", "all"]
    assert [record["count"] for record in revoked] == [1] * 5
    shown = vault.cli("--json", "audit", "show", customer.name, "--lease", listed["id"]).out
    assert [json.loads(line)["type"] for line in shown.splitlines()] == ["lease.issued", "lease.revoked"]
    vault.cli("audit", "verify", customer.name)


def test_revoking_asks_first_and_wants_to_know_what(vault, customer):
    lease = customer.leased()
    vault.cli("lease", "revoke", "--all", expect=2, answers=["no"])
    vault.cli("lease", "revoke", "--yes", expect=2)
    vault.cli("lease", "revoke", lease["lease"], "--all", "--yes", expect=2)
    vault.cli("lease", "revoke", "nonsense", "--yes", expect=2)
    assert renewed(customer, lease) == 200


def test_a_tenant_revokes_its_own(vault, customer):
    tenant, lease, other = vault.certify("tenant", customer.name), customer.leased(), vault.customer()
    foreign = other.leased()

    def revoke(body):
        return vault.call("POST", "/v1/leases/revoke", body, tenant).status
    assert revoke({"lease": foreign["lease"][:32]}) == 404
    assert revoke({"tenant": other.name}) == 404
    assert revoke({"all": True}) == 403
    assert renewed(other, foreign) == 200
    assert revoke({"lease": lease["lease"][:32]}) == 200
    assert renewed(customer, lease) == 404


def test_a_revocation_that_a_crash_cut_off_is_done_or_was_not_begun(own):
    customers = [own.customer() for _ in range(3)]
    name, rounds = unique("wide"), 6 if SLOW == 1 else 2
    wide = own.add_gateway(*(customer.path for customer in customers), name=name)
    for number in range(rounds):
        leases = [customer.lease(who=wide).json for customer in customers]
        answers = []

        def revoke():
            try:
                answers.append(own.client(own.operator)("POST", "/v1/leases/revoke", {"gateway": name}).status)
            except OSError:
                pass  # the server died under it
        before = [count(own, customer.name, "lease.revoked") for customer in customers]
        asking = threading.Thread(target=revoke)
        asking.start()
        threading.Event().wait(random.Random(number).uniform(0.004, 0.03))  # some time within the request
        own.kill("server")
        asking.join()
        await_that("the server is back", lambda: own.reachable() and own.state == "unlocked")
        own.drop_connections()
        after = [count(own, customer.name, "lease.revoked") for customer in customers]
        over = [own.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, wide).status == 404 for lease in leases]
        done = after[0] > before[0]
        assert after == [seen + done for seen in before]
        assert over == [done] * len(leases)
        assert done or not answers, "it was answered"


# --- the list --------------------------------------------------------------------------------------


def test_a_list_that_ends_after_a_thousand_leases_says_so(own):
    customer = own.customer()
    client = own.client(customer.gateway)

    def lease(count):
        for _ in range(count):
            assert client("POST", "/v1/leases", {"key": customer.path}).status == 201

    lease(1000)
    listed = own.api("GET", "/v1/leases")
    assert (len(listed["leases"]), listed["more"]) == (1000, False)
    assert "There are more" not in own.cli("lease", "list").err
    lease(1)
    listed = own.api("GET", "/v1/leases")
    assert (len(listed["leases"]), listed["more"]) == (1000, True)
    assert "There are more" in own.cli("lease", "list").err
    customer.give_all_back()
    assert own.api("GET", "/v1/leases") == {"leases": [], "more": False}
    client.close()


# --- expiry ----------------------------------------------------------------------------------------


def test_a_lease_expires_without_a_record_or_a_request(vault, customer):
    lease = customer.leased(ttl_s=3)  # time enough for two looks
    size = len(vault.records(customer.name))
    assert any(each["id"] == lease["lease"][:32] for each in live(vault))
    await_that("the lease is over", lambda: not any(each["id"] == lease["lease"][:32] for each in live(vault)))
    assert len(vault.records(customer.name)) == size
    assert renewed(customer, lease) == 404
