"""Step 9: people in the middle, lies, replays, kills, full disks and wrong clocks: what the vault makes of them."""

import pytest
from harness import AUTHENTICATOR, CONFLICT, DENIED, LOCKED, NOT_FOUND, OK, PIN, USAGE, Authenticator, await_that
from middle import local_middle, tls_middle, vault_certificate
from operators import Meanwhile, Person, first, pending, settled, team


# In the middle


def test_a_middle_man_with_a_valid_certificate_gets_nothing_opened_and_nothing_approved(own):
    middle, url = tls_middle(own, own.certify("operator", "mallory"), vault_certificate(own))
    alice = first(own)
    with middle:
        epoch = own.api("GET", "/v1/status")["epoch"]
        assert alice.cli("--url", url, "status", answers=()).code == OK, "the certificate is believed"
        done = alice.cli("--url", url, "rekey", expect=None)
        assert done.code == DENIED, done
        assert middle.sent("/approve"), "the touch went through the middle"
        assert own.api("GET", "/v1/status")["epoch"] == epoch
        assert [o["have"] for o in own.api("GET", "/v1/operations")["operations"]] == [0]
        own.await_record("vault", type="request.refused", verb="operation.approve")
        assert "operation.approved" not in own.types("vault")
        own.lock()
        done = alice.cli("--url", url, "unlock", expect=None)
        assert done.code == DENIED, done
        assert middle.sent("/v1/unlock") and own.state == "locked"
    own.unlock()
    assert own.await_record("vault", type="vault.unlock_failed")["outcome"] == "denied"


LIES = {
    "another operation": ("/v1/operations", lambda a: a.update(text=a["text"].replace("rekey.root", "rekey.database"))),
    "another id": ("/v1/operations", lambda a: a.update(id="5" * 32)),
    "another keeper key": ("/session", lambda a: a.update(keeper_key="09" + "00" * 31)),
    "another nonce": ("/session", lambda a: a.update(nonce="55" * 32)),
    "another epoch": ("/session", lambda a: a.update(epoch=a["epoch"] + 1)),
    "another salt": ("/session", lambda a: a.update(salt="55" * 32)),
    "another next salt": ("/session", lambda a: a.update(salt_next="55" * 32)),
    "another vault": ("/session", lambda a: a.update(vault="55" * 16)),
    "another relying party": ("/session", lambda a: a.update(rp_id="example.org")),
    "another slot": ("/v1/slots", lambda a: [s.update(id="55" * 16) for s in a["slots"]]),
}


def test_whoever_lies_about_a_session_or_an_operation_gets_nothing_carried_out(own):
    alice = first(own)
    epoch = own.api("GET", "/v1/status")["epoch"]
    for what, (ending, change) in LIES.items():
        untouched = ending == "/v1/operations" or "party" in what or "slot" == what.split()[-1]
        touches = own.authenticator.touches
        middle, path = local_middle(own, lambda _, target, answer: target.endswith(ending) and change(answer))
        with middle:
            done = alice.cli("--socket", path, "rekey", "--no-wait", expect=None)
        assert done.code != OK, what
        assert (own.authenticator.touches == touches) == untouched, what
        assert own.api("GET", "/v1/status")["epoch"] == epoch and "operation.approved" not in own.types("vault"), what
        for operation in own.api("GET", "/v1/operations")["operations"]:
            own.api("DELETE", f"/v1/operations/{operation['id']}")
    alice.cli("rekey")
    assert own.api("GET", "/v1/status")["epoch"] == epoch + 1


def test_a_lie_about_the_salts_of_an_unlock_does_not_shut_an_operator_out(own):
    """The slot rolls to the secret of the next salt: if that could be chosen, it would never open again."""
    for salt in ("salt", "salt_next"):
        own.lock()
        middle, path = local_middle(
            own, lambda _, target, answer: target == "/v1/unlock/session" and answer.update({salt: "55" * 32}))
        with middle:
            first(own).cli("--socket", path, "unlock", expect=DENIED)
        assert own.state == "locked"
        own.unlock()
    own.lock()
    own.unlock()
    assert own.types("vault").count("vault.unlock_failed") == 2


def test_a_touch_for_one_operation_cannot_be_led_to_another_that_waits(own):
    wanted, other = (own.api("POST", "/v1/operations", {"operation": name}) for name in ("rekey.database", "rekey.root"))

    def lie(_, target, answer):
        if target.endswith(wanted["id"]):
            answer.clear()
            answer.update(other)

    touches = own.authenticator.touches
    middle, path = local_middle(own, lie)
    with middle:
        done = first(own).cli("--socket", path, "operation", "approve", wanted["id"], "--yes", answers=(), expect=None)
    assert done.code != OK and "another operation" in done.err
    assert own.authenticator.touches == touches
    done = first(own).cli("operation", "approve", wanted["id"], "--yes")
    assert wanted["text"] in done.err, "what is signed is shown, though nobody is asked"


def test_a_count_of_approvals_that_is_a_lie_deceives_only_who_reads_it(new_vault):
    vault, alice, bob, carol = team(new_vault)

    def lie(_, target, answer):
        if target.endswith("/approve"):
            answer.update(have=2, state="done")

    middle, path = local_middle(vault, lie)
    with middle:
        alice.cli("--socket", path, "rekey", "--no-wait")
    assert vault.api("GET", "/v1/operations")["operations"][0]["have"] == 1
    assert "rekey.begun" not in vault.types("vault")


# Replays


def test_a_recorded_unlock_and_a_recorded_approval_serve_nobody_again(own):
    alice = first(own)

    def replayed(path, message, session_path=None):
        """The recorded message as it was, and with the id of a new session; returns the statuses."""
        seen = [own.local("POST", path, message).status]
        if session_path:
            new = own.local("POST", session_path, {"slot": message["slot"]})
            seen.append(own.local("POST", path, {**message, "session": new.json["session"]}).status)
        return seen

    own.lock()
    middle, path = local_middle(own)
    with middle:
        alice.cli("--socket", path, "unlock")
        alice.cli("--socket", path, "rekey")
    unlock, = middle.sent("/v1/unlock")
    approval, = middle.sent("/approve")
    approved = next(target for method, target, *_ in middle.said if target.endswith("/approve"))
    epoch = own.api("GET", "/v1/status")["epoch"]

    assert replayed("/v1/unlock", unlock) == [409]
    assert replayed(approved, approval) == [409], "the operation is over"
    again = own.api("POST", "/v1/operations", {"operation": "rekey.root"})
    target = f"/v1/operations/{again['id']}"
    assert replayed(f"{target}/approve", approval, f"{target}/session") == [409, 403]
    own.lock()
    assert replayed("/v1/unlock", unlock, "/v1/unlock/session") == [409, 403]
    assert replayed(approved, approval) == [503]
    own.restart()
    assert replayed("/v1/unlock", unlock, "/v1/unlock/session") == [409, 403]
    assert own.state == "locked"
    own.unlock()
    assert replayed(approved, approval) == [404]
    assert own.api("GET", "/v1/status")["epoch"] == epoch
