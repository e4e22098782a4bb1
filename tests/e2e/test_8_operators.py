"""Step 8: several operators, a quorum, recovery cards; who shares the root key changes while the vault works."""

import re
import shutil
import threading
import time

import pytest
from harness import AUTHENTICATOR, CONFLICT, DENIED, LOCKED, OK, PIN, USAGE, Authenticator, await_that
from keyring import Keyring, keyring_of
from operators import Meanwhile, Person, first, pending, settled, team

CARD = re.compile(r"(?:\b[A-Z2-7]{4}\s+){13}[A-Z2-7]{4}\b")
SLOT = re.compile(r"slot\s+([0-9a-f]{32})")


def cards_of(text):
    """[(slot, code)] of the recovery cards that were printed."""
    return list(zip(SLOT.findall(text), (" ".join(code.split()) for code in CARD.findall(text))))


def refused_unlock(person, expect):
    return person.cli("unlock", expect=expect)


# Quorum


@pytest.mark.sanitize
def test_two_of_three_operators_open_the_vault_from_different_machines(new_vault):
    vault, alice, bob, carol = team(new_vault)
    customer = vault.customer()
    vault.lock()
    done = alice.cli("unlock")
    assert "1 of 2 shares" in done.err
    assert vault.state == "locked"
    assert "1 of 2 shares" in vault.cli("status").err
    done = carol.cli("unlock")
    assert "unlocked" in done.err
    assert customer.leased()["value"] == customer.value
    assert [r["slot_id"] for _, r in vault.records("vault") if r["type"] == "unlock.share"] != []
    bob.close()


def test_unlock_waits_for_the_others_and_tells_when_the_vault_is_open(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="3/3")
    vault.lock()
    waiting = Meanwhile(alice.cli, "unlock", "--wait")
    await_that("a share is there", lambda: vault.local("GET", "/v1/status").json["quorum"]["have"] == 1)
    bob.cli("unlock")
    carol.cli("unlock")
    done = waiting.result()
    assert "1 of 3 shares" in done.err and "The vault is unlocked." in done.err


def test_one_operator_twice_is_not_two(new_vault):
    vault, alice, bob, carol = team(new_vault)
    vault.lock()
    alice.cli("unlock")
    done = alice.cli("unlock")
    assert "1 of 2 shares" in done.err
    assert vault.state == "locked"


def test_lock_forgets_the_shares_that_were_given(new_vault):
    vault, alice, bob, carol = team(new_vault)
    vault.lock()
    alice.cli("unlock")
    bob.cli("lock", answers=())
    assert vault.local("GET", "/v1/status").json["quorum"]["have"] == 0
    assert "1 of 2" in bob.cli("unlock").err


def test_a_quorum_needs_as_many_operators(new_vault):
    vault = new_vault(opened=False)
    vault.start()
    vault.plug_in()
    for quorum, names in (("2", 1), ("2/3", 2), ("0", 1), ("3/2", 2), ("x", 1)):
        done = vault.cli("--socket", vault.socket, "init", "--quorum", quorum, "--yes",
                         *("--operator", "alice", "--operator", "bob")[:2 * names], expect=USAGE)
        assert "quorum" in done.err
    assert vault.state == "empty"


def test_an_interrupted_ceremony_leaves_no_vault(new_vault):
    vault = new_vault(opened=False)
    vault.start()
    vault.plug_in()
    done = vault.cli("--socket", vault.socket, "--device", vault.authenticator.path, "--device",
                     vault.authenticator.path, "init", "--operator", "alice", "--operator", "bob", "--yes",
                     answers=[("pin", PIN)] * 2, expect=None)
    assert done.code in (AUTHENTICATOR, CONFLICT) and "already enrolled" in done.err
    assert vault.state == "empty"
    vault.init()


# Rolling


def test_a_slot_rolls_at_every_unlock_so_that_an_earlier_secret_opens_nothing(own):
    def slot():
        return next(s for s in keyring_of(own).slots if s.kind == 1)

    seen = {slot().salt}
    for generation in (2, 3, 4):
        own.lock()
        own.unlock()
        now = slot()
        assert now.generation == generation
        assert now.salt not in seen
        seen.add(now.salt)


def test_a_recorded_unlock_message_cannot_be_replayed(own):
    own.lock()
    sent = []
    slots = own.local("GET", "/v1/slots").json["slots"]
    slot = next(s["id"] for s in slots if s["kind"] == "fido2")
    session = own.local("POST", "/v1/unlock/session", {"slot": slot}).json
    sent.append({"session": session["session"], "slot": slot, "auth_data": "00", "signature": "00",
                 "sealed_secret": "00" * 176})
    assert own.local("POST", "/v1/unlock", sent[0]).status in (400, 403)
    own.unlock()
    own.lock()
    assert own.local("POST", "/v1/unlock", sent[0]).status == 409


# Operators come and go


@pytest.mark.sanitize
def test_an_operator_adds_another_on_one_machine(own):
    alice, bob = first(own), Person(own, "bob")
    epoch = own.api("GET", "/v1/status")["epoch"]
    own.cli("--device", bob.key.path, "--device", alice.key.path, "operator", "add", "bob",
            answers=[("pin", PIN), ("pin", PIN)])
    assert own.api("GET", "/v1/status")["epoch"] == epoch + 1
    listed = own.cli_json("operator", "list")
    assert [o["operator"] for o in listed["operators"]] == ["alice", "bob"] and listed["quorum"] == 1
    bob.certified()
    own.lock()
    bob.cli("unlock")
    assert own.state == "unlocked"
    types = own.types("vault")
    at = types.index("operator.enrolled", types.index("operation.approved"))
    assert types.index("operation.proposed") < types.index("operation.approved") < at
    assert own.await_record("vault", type="rekey.done", what="root")


def test_a_new_operator_enrols_on_their_machine_and_is_approved_on_another(own):
    alice, bob = first(own), Person(own, "bob").certified()
    joining = Meanwhile(bob.cli, "operator", "add", "bob")
    operation = pending(own)
    shown = own.cli("operation", "list").out
    assert operation in shown and "operator.add" in shown
    alice.cli("operation", "approve", operation, "--yes")
    assert "added" in joining.result().err
    own.lock()
    bob.cli("unlock")
    assert own.state == "unlocked"


def test_a_key_that_is_enrolled_cannot_be_enrolled_again(own):
    done = own.cli("--device", own.authenticator.path, "operator", "add", "alice2", answers=[("pin", PIN)],
                   expect=None)
    assert done.code in (AUTHENTICATOR, CONFLICT) and "enrolled" in done.err


def test_a_spare_key_of_an_operator_opens_but_is_no_second_person(new_vault):
    vault, alice, bob, carol = team(new_vault)
    spare = Authenticator(vault.base / "spare")
    adding = Meanwhile(vault.cli, "--device", spare.path, "--device", alice.key.path, "operator", "add", "alice",
                       answers=[("pin", PIN), ("pin", PIN)])
    bob.cli("operation", "approve", pending(vault), "--yes")
    adding.result()
    vault.lock()
    alice.cli("unlock")
    done = vault.cli("--device", spare.path, "unlock", answers=[("pin", PIN)])
    assert "1 of 2" in done.err and vault.state == "locked"
    bob.cli("unlock")
    assert vault.state == "unlocked"
    spare.stop()


def test_a_removed_operator_opens_nothing_not_even_with_an_old_copy_of_the_keyring(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="1/3")
    customer = vault.customer()
    old_copy = vault.base / "old-keyring"
    shutil.copy(next(p for p in vault.data.rglob("keyring") if p.is_file()), old_copy)
    alice.cli("operator", "remove", "bob", "--yes")
    settled(vault)
    assert bob.cli("status", answers=(), expect=None).code == DENIED  # the certificate went too
    later = vault.put_key(customer.name, "later")
    vault.lock()
    slots = vault.local("GET", "/v1/slots").json["slots"]
    assert "bob" not in [s["label"] for s in slots]
    now, then = keyring_of(vault), Keyring(old_copy)
    assert now.info.epoch > then.info.epoch and now.info.root_check != then.info.root_check
    assert {c.id for c in then.cells if c.type == 2} != {c.id for c in now.cells if c.type == 2}
    alice.cli("unlock")
    gateway = vault.add_gateway(f"{customer.name}/later")
    assert vault.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/later"}).json["value"] == later


def test_the_last_operators_that_the_quorum_needs_cannot_be_removed(new_vault):
    vault, alice, bob = team(new_vault, names=("alice", "bob"), quorum="2/2")
    removing = Meanwhile(alice.cli, "operator", "remove", "bob", "--yes", expect=CONFLICT)
    done = bob.cli("operation", "approve", pending(vault), "--yes", expect=CONFLICT)
    assert "quorum" in done.err
    assert "quorum" in removing.result().err


def test_the_quorum_is_raised_and_lowered(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="1/3")
    alice.cli("quorum", "set", "2")
    vault.lock()
    assert "1 of 2" in alice.cli("unlock").err
    bob.cli("unlock")
    lowering = Meanwhile(alice.cli, "quorum", "set", "1")
    carol.cli("operation", "approve", pending(vault), "--yes")
    lowering.result()
    vault.lock()
    carol.cli("unlock")
    assert vault.state == "unlocked"


# Approvals


def test_nothing_happens_without_a_touch_and_a_proposal_can_be_withdrawn(own):
    admin = own.certify("admin", "adam")
    made = own.api("POST", "/v1/operations", {"operation": "rekey.root"}, admin)
    assert made["state"] == "pending" and (made["have"], made["need"]) == (0, 1)
    time_of_epoch = own.api("GET", "/v1/status")["epoch"]
    own.cli("operation", "withdraw", made["id"])
    assert own.call("GET", f"/v1/operations/{made['id']}").status == 404
    assert own.api("GET", "/v1/status")["epoch"] == time_of_epoch
    assert own.await_record("vault", type="operation.withdrawn")["proposal"] == made["text"]


def test_an_admin_proposes_and_an_operator_approves_a_grant(new_vault):
    vault = new_vault(grant_step_up="yes")
    vault.api("POST", "/v1/tenants", {"name": "acme"})
    vault.api("POST", "/v1/tenants/acme/engagements", {"name": "migration"})
    value = vault.put_key("acme")
    gateway = vault.add_gateway(name="edge")
    assert vault.call("POST", "/v1/gateways/edge/grants", {"key": "acme/*"}).status == 403
    assert vault.call("POST", "/v1/gateways", {"name": "other", "csr": "x", "grants": [{"key": "acme/*"}]}).status == 403
    admin = vault.certify("admin", "adam")
    made = vault.api("POST", "/v1/operations", {"operation": "grant.add", "gateway": "edge", "key": "acme/*",
                                               "max_ttl_s": 60}, admin)
    assert vault.curl("/v1/leases", who=gateway, body={"key": "acme/openai-prod"}).status == 403
    first(vault).cli("operation", "approve", made["id"], "--yes")
    reply = vault.curl("/v1/leases", who=gateway, body={"key": "acme/openai-prod"})
    assert (reply.json["value"], reply.json["ttl_s"]) == (value, 60)
    record = vault.await_record("acme", type="grant.added")
    approved = vault.await_record("acme", type="operation.approved")
    assert record["operation"] == approved["operation"] and "key=acme" not in approved["text"]


def test_gateway_add_with_grants_asks_for_one_touch_a_grant(new_vault):
    vault = new_vault(grant_step_up="yes")
    customer_name = "acme"
    vault.api("POST", "/v1/tenants", {"name": customer_name})
    vault.api("POST", f"/v1/tenants/{customer_name}/engagements", {"name": "migration"})
    vault.put_key(customer_name)
    vault.cli("certificate", "request", "--name", "edge", "--out-key", "edge.key", "--out-csr", "edge.csr")
    before = vault.authenticator.touches
    vault.cli("--device", vault.authenticator.path, "gateway", "add", "edge", "--csr", "edge.csr", "--out", "edge.pem",
              "--grant", "acme/openai-prod=90", answers=[("pin", PIN)])
    assert vault.authenticator.touches - before == 1
    assert vault.cli_json("gateway", "list")["gateways"][0]["grants"] == [{"key": "acme/openai-prod", "max_ttl_s": 90}]


def test_a_hold_takes_two_people_when_there_are_two(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="1/3")
    customer = vault.customer()
    vault.api("POST", f"/v1/tenants/{customer.name}/engagements/migration/end", {})
    holding = Meanwhile(alice.cli, "engagement", "hold", f"{customer.name}/migration")
    bob.cli("operation", "approve", pending(vault), "--yes")
    holding.result()
    held = vault.cli_json("engagement", "list", customer.name)["engagements"][0]
    assert (held["state"], held["due"]) == ("held", None)
    assert vault.api("GET", "/v1/status")["next_purge"] is None
    lifting = Meanwhile(bob.cli, "engagement", "lift", f"{customer.name}/migration")
    carol.cli("operation", "approve", pending(vault), "--yes")
    lifting.result()
    lifted = vault.cli_json("engagement", "list", customer.name)["engagements"][0]
    assert lifted["state"] == "ended" and lifted["due"]
    purging = Meanwhile(alice.cli, "engagement", "purge", f"{customer.name}/migration", "--yes")
    bob.cli("operation", "approve", pending(vault), "--yes")
    purging.result()
    vault.await_record(customer.name, type="purge.done")


def test_a_held_engagement_outlives_its_date_even_locked(new_vault):
    vault = new_vault()
    customer = vault.customer()
    vault.api("POST", f"/v1/tenants/{customer.name}/engagements/migration/end", {})
    first(vault).cli("engagement", "hold", f"{customer.name}/migration")
    vault.restart("+30d")
    assert vault.local("GET", "/v1/status").json["next_purge"] is None
    vault.unlock()
    state = vault.cli_json("engagement", "list", customer.name)["engagements"][0]["state"]
    assert state == "held"


def test_an_approval_by_an_operator_who_is_no_more_is_refused(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="1/3")
    made = vault.api("POST", "/v1/operations", {"operation": "rekey.root"})
    alice.cli("operator", "remove", "carol", "--yes")
    settled(vault)
    assert carol.cli("operation", "approve", made["id"], "--yes", answers=(), expect=None).code == DENIED


# Recovery cards


def test_cards_are_worth_one_share_each_and_their_use_demands_new_ones(new_vault):
    vault, alice, bob, carol = team(new_vault)
    cards = cards_of(vault.cards[0])
    assert len(cards) == 2 and len(set(cards)) == 2
    vault.lock()
    slot, code = cards[0]
    done = alice.cli("unlock", "--recovery", "--slot", slot, answers=[("recovery card", code)])
    assert "1 of 2" in done.err
    done = bob.cli("unlock")
    assert "card renew" in done.err and vault.state == "unlocked"
    alarm = vault.await_record("vault", type="card.used")
    assert (alarm["outcome"], alarm["slot_id"]) == ("failed", slot)
    assert "card renew" in vault.cli("status").err
    renewing = Meanwhile(alice.cli_json, "card", "renew", "--yes")
    carol.cli("operation", "approve", pending(vault), "--yes")
    new = renewing.result()["cards"]
    assert len(new) == 2 and not {c["slot"] for c in new} & {s for s, _ in cards}
    assert vault.api("GET", "/v1/status")["cards_used"] == 0
    vault.lock()
    alice.cli("unlock", "--recovery", "--slot", cards[1][0], answers=(), expect=None)
    for card in new:
        alice.cli("unlock", "--recovery", "--slot", card["slot"], answers=[("recovery card", card["code"])])
    assert vault.state == "unlocked"


def test_a_vault_whose_hardware_keys_are_lost_comes_back_by_its_card(own):
    (slot, code), = cards_of(own.cards[0])
    own.authenticator.stop()
    own.lock()
    own.cli("unlock", "--recovery", answers=[("recovery card", code)])
    new = Authenticator(own.base / "new-key")
    own.cli("--device", new.path, "operator", "add", "alice", "--recovery",
            answers=[("pin", PIN), ("recovery card", code)])
    approved = own.await_record("vault", type="operation.approved")
    assert approved["recovery"] is True and "signature" not in approved
    own.lock()
    own.cli("--device", new.path, "unlock", answers=[("pin", PIN)])
    assert own.state == "unlocked"
    done = own.cli("rekey", "--recovery", answers=[("recovery card", code)], expect=None)
    assert done.code != OK and "hardware key must" in done.err
    new.stop()


# Rotations


@pytest.mark.sanitize
def test_leases_flow_during_every_rotation_and_none_fails(own):
    customers = [own.customer() for _ in range(3)]
    leases = [customer.leased() for customer in customers]
    going, failures, count = threading.Event(), [], [0]

    def lease(customer):
        client = own.client(customer.gateway)
        while not going.is_set():
            reply = client("POST", "/v1/leases", {"key": customer.path})
            count[0] += 1
            if reply.status != 201 or reply.json["value"] != customer.value:
                failures.append(str(reply))

    threads = [threading.Thread(target=lease, args=(customer,)) for customer in customers]
    for thread in threads:
        thread.start()
    alice = first(own)
    try:
        alice.cli("rekey")
        alice.cli("rekey", "tenant", customers[0].name)
        alice.cli("rekey", "database")
        alice.cli("rekey")
    finally:
        going.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:3]
    assert count[0] > 10
    for customer, lease in zip(customers, leases):
        reply = own.curl(f"/v1/leases/{lease['lease']}/renew", who=customer.gateway, body={"ttl_s": 60})
        assert reply.status == 200, "a token from before the rotations still works"
    own.lock()
    own.unlock()
    for customer in customers:
        assert customer.leased()["value"] == customer.value
    done = {record.get("what") for _, record in own.records("vault") if record["type"] == "rekey.done"}
    assert done == {"root", "database"}
    assert own.await_record(customers[0].name, type="rekey.done", what="tenant")
    for log in ("vault", customers[0].name):
        own.cli("audit", "verify", log, "--step-ups")


@pytest.mark.parametrize("victim", ["keeper", "server"])
def test_a_rotation_that_was_cut_off_goes_on_after_the_next_start(own, victim):
    customers = [own.customer() for _ in range(2)]
    epoch = own.api("GET", "/v1/status")["epoch"]
    alice = first(own)
    alice.cli("rekey", "--no-wait")
    alice.cli("rekey", "database", "--no-wait")
    own.kill(victim)
    own.come_back()
    if own.state == "locked":
        own.unlock()
    settled(own)
    assert own.api("GET", "/v1/status")["epoch"] >= epoch
    for customer in customers:
        assert customer.leased()["value"] == customer.value
    own.lock()
    own.unlock()
    own.cli("audit", "verify", "vault")


# Locking by itself


def test_a_vault_locks_itself_when_it_was_open_for_long_enough(new_vault):
    vault = new_vault(unlocked_max_s=5)  # time enough to read the log after the unlock
    vault.await_state("locked")
    vault.unlock()
    assert vault.await_record("vault", type="vault.locked")["actor"] == "system"


def test_an_idle_vault_locks_itself_and_a_busy_one_does_not(new_vault):
    vault = new_vault(idle_lock_s=4)
    customer = vault.customer()
    until = time.monotonic() + 7
    while time.monotonic() < until:
        customer.leased()
    assert vault.state == "unlocked"
    vault.await_state("locked")


def test_any_operator_locks_at_once_without_a_touch(new_vault):
    vault, alice, bob, carol = team(new_vault)
    carol.key.stop()
    carol.cli("lock", answers=())
    assert vault.state == "locked"
    assert vault.cli("status", "--exit-code", expect=LOCKED)
