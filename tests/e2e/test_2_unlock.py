"""Step 2: unlock with PIN and one touch; lock at once; what a restart and a crash mean."""

import os
import signal
import time

import pytest
from harness import AUTHENTICATOR, DENIED, LOCKED, OK, PIN, SLOW, USAGE, Authenticator, await_that, recovery_card, recovery_code


@pytest.mark.sanitize
def test_a_restart_locks_and_the_hardware_key_opens_again_with_one_touch(own):
    customer = own.customer()
    own.restart()
    assert own.state == "locked"
    before = own.authenticator.touches
    done = own.unlock()
    assert own.authenticator.touches - before == 1
    assert done.echoed == [False], "the PIN was shown while it was typed"
    assert own.state == "unlocked"
    assert customer.leased()["value"] == customer.value


@pytest.mark.sanitize
def test_lock_works_at_once_and_needs_no_hardware_key(own):
    customer = own.customer()
    own.authenticator.stop()
    own.lock()
    assert own.state == "locked"
    reply = customer.lease()
    assert (reply.status, reply.json["title"]) == (503, "locked")
    own.lock()  # again: nothing to do, and no error
    own.cli("tenant", "list", expect=LOCKED)


def test_the_local_socket_may_lock_when_the_network_is_lost(own):
    assert own.local("POST", "/v1/lock", {}).status == 200
    assert own.state == "locked"


def test_status_tells_locked_unlocked_and_broken_apart(own):
    assert own.cli_json("status")["state"] == "unlocked"
    own.lock()
    assert own.cli_json("status")["state"] == "locked"
    assert "locked" in own.cli("status").out
    own.stop()
    keyring = next(path for path in own.data.rglob("keyring") if path.is_file())
    with open(keyring, "r+b") as file:
        file.write(os.urandom(2 * 4096))  # both superblocks
    own.start()
    status = own.cli_json("--socket", own.socket, "status")
    assert status["state"] == "broken"
    assert status["reason"]
    assert "broken" in own.cli("--socket", own.socket, "status").out


def test_a_broken_vault_answers_503_and_stays_as_it_is(own):
    customer = own.customer()
    own.stop()
    keyring = next(path for path in own.data.rglob("keyring") if path.is_file())
    content = keyring.read_bytes()
    keyring.write_bytes(bytes(2 * 4096) + content[2 * 4096:])
    own.start()
    reply = customer.lease()
    assert (reply.status, reply.json["title"]) == (503, "locked")
    assert "broken" in reply.json["detail"]
    assert keyring.read_bytes()[2 * 4096:] == content[2 * 4096:]


def test_unlocking_an_open_vault_is_a_conflict(own):
    slot = own.api("GET", "/v1/slots")["slots"][0]["id"]
    reply = own.call("POST", "/v1/unlock/session", {"slot": slot})
    assert (reply.status, reply.json["title"]) == (409, "conflict")


@pytest.mark.parametrize("trouble", ["wrong pin", "refused touch", "another key"])
def test_a_hardware_key_that_does_not_agree_leaves_the_vault_locked(own, trouble):
    own.lock()
    pin, device = PIN, own.authenticator
    if trouble == "wrong pin":
        pin = "000000"
    elif trouble == "refused touch":
        device.control("touch refuse")
    else:
        device = Authenticator(own.base / "another")
    try:
        own.cli("--device", device.path, "unlock", "--pin-stdin", stdin=pin.encode() + b"\n", expect=AUTHENTICATOR)
    finally:
        if device is not own.authenticator:
            device.stop()
    assert own.state == "locked"
    own.authenticator.control("touch now")
    own.unlock()
    assert own.state == "unlocked"


def test_a_wrong_pin_costs_one_try_of_the_hardware_key(own):
    own.lock()
    before = own.authenticator.memory["pin_retries"]
    own.cli("--device", own.authenticator.path, "unlock", "--pin-stdin", stdin=b"000000\n", expect=AUTHENTICATOR)
    assert own.authenticator.memory["pin_retries"] == before - 1


def test_a_slip_in_the_pin_can_be_corrected(own):
    own.lock()
    own.cli("--device", own.authenticator.path, "unlock", answers=[("pin", "000000"), ("7 tries left", PIN)])
    assert own.state == "unlocked"


def test_a_forged_assertion_is_refused_and_recorded(own):
    slot = next(s for s in own.api("GET", "/v1/slots")["slots"] if s["kind"] == "fido2")
    own.lock()
    session = own.api("POST", "/v1/unlock/session", {"slot": slot["id"]})
    forged = {"session": session["session"], "slot": slot["id"], "auth_data": "00" * 37, "signature": "30" * 70,
              "sealed_secret": "00" * 144}
    reply = own.call("POST", "/v1/unlock", forged)
    assert reply.status in (400, 403), reply
    again = own.call("POST", "/v1/unlock", forged)
    assert again.status in (403, 409), "a session serves one attempt"
    assert own.state == "locked"
    own.unlock()
    assert "vault.unlock_failed" in own.types("vault")


def test_a_sealed_secret_without_the_assertion_does_not_open_a_hardware_slot(own):
    slot = next(s for s in own.api("GET", "/v1/slots")["slots"] if s["kind"] == "fido2")
    own.lock()
    session = own.api("POST", "/v1/unlock/session", {"slot": slot["id"]})
    reply = own.call("POST", "/v1/unlock", {"session": session["session"], "slot": slot["id"],
                                            "sealed_secret": "00" * 144})
    assert reply.status in (400, 403), reply
    assert own.state == "locked"


def test_the_recovery_card_opens_the_vault_without_a_hardware_key(own):
    own.authenticator.stop()
    own.lock()
    own.cli("unlock", "--recovery", answers=[("recovery card", recovery_code(own.cards[0]))])
    assert own.state == "unlocked"


def test_the_code_of_another_card_does_not_open_the_vault(own):
    own.lock()
    done = own.cli("unlock", "--recovery", answers=[("recovery card", recovery_card(os.urandom(32)))], expect=None)
    assert done.code not in (OK, USAGE), done
    assert own.state == "locked"
    own.unlock()
    assert "vault.unlock_failed" in own.types("vault")


def test_a_slip_in_the_recovery_code_is_found_before_the_vault_hears_of_it(own):
    own.lock()
    code = recovery_code(own.cards[0])
    slip = code[:-1] + ("A" if code[-1] != "A" else "B")
    own.cli("unlock", "--recovery", answers=[("recovery card", slip), ("recovery card", code.lower())])
    assert own.state == "unlocked"
    assert "vault.unlock_failed" not in own.types("vault")


@pytest.mark.parametrize("role", ["admin", "auditor", "tenant", "gateway"])
def test_only_operators_unlock_and_lock(own, role):
    customer = own.customer()
    who = customer.gateway if role == "gateway" else own.certify(role, customer.name if role == "tenant" else "bob")
    reply = own.call("POST", "/v1/lock", {}, who)
    assert (reply.status, reply.json["title"]) == (403, "denied")
    slot = own.api("GET", "/v1/slots")["slots"][0]["id"]
    own.lock()
    reply = own.call("POST", "/v1/unlock/session", {"slot": slot}, who)
    assert (reply.status, reply.json["title"]) == (403, "denied")
    assert own.state == "locked"


@pytest.mark.sanitize
def test_a_killed_server_is_back_in_under_two_seconds_and_still_unlocked(own):
    customer = own.customer()
    lease = customer.leased()
    keeper = own.pid("keeper")
    started = time.monotonic()
    own.kill("server")
    await_that("the server is back", own.reachable)
    await_that("it is unlocked", lambda: own.state == "unlocked")
    took = time.monotonic() - started
    assert took < 2 * SLOW, f"{took:.2f} s"
    assert own.pid("keeper") == keeper
    assert customer.leased()["value"] == customer.value
    own.drop_connections()
    renewed = own.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway)
    assert renewed.status == 200, "a lease outlives the server that issued it"


def test_a_server_that_crashes_again_and_again_comes_back_each_time(own):
    customer = own.customer()
    for _ in range(3):
        own.kill("server", signal.SIGSEGV)
        await_that("the server is back and unlocked", lambda: own.reachable() and own.state == "unlocked")
        assert customer.leased()["value"] == customer.value


def test_a_killed_keeper_means_locked(own):
    customer = own.customer()
    own.kill("keeper")
    own.come_back()
    assert own.state == "locked"
    assert customer.lease().status == 503
    own.unlock()
    assert customer.leased()["value"] == customer.value


def test_an_upgrade_of_the_server_needs_no_unlock(own):
    customer = own.customer()
    before = own.processes()
    os.kill(before["supervisor"], signal.SIGHUP)
    await_that("there is another server", lambda: own.processes().get("server") not in (None, before["server"])
               and own.reachable())
    assert own.state == "unlocked"
    assert own.pid("keeper") == before["keeper"]
    own.drop_connections()
    assert customer.leased()["value"] == customer.value


def test_a_killed_supervisor_takes_both_with_it_and_the_next_start_is_locked(own):
    customer = own.customer()
    own.kill("supervisor")
    own.start()
    assert own.state == "locked"
    own.unlock()
    assert customer.leased()["value"] == customer.value


def test_unlock_and_lock_are_in_the_vaults_log(own):
    own.lock()
    own.unlock()
    types = own.types("vault")
    assert types[0] == "vault.created"
    assert "vault.locked" in types and "vault.unlocked" in types
    assert types.index("vault.locked") < len(types) - 1 - types[::-1].index("vault.unlocked")


def test_every_unlock_session_has_its_own_key_and_challenge(own):
    slots = own.api("GET", "/v1/slots")["slots"]
    assert {slot["kind"] for slot in slots} == {"fido2", "recovery"}
    hardware = next(slot for slot in slots if slot["kind"] == "fido2")
    assert hardware["label"] == "alice"
    own.lock()
    session = own.api("POST", "/v1/unlock/session", {"slot": hardware["id"]})
    assert all(len(session[name]) == 64 for name in ("nonce", "keeper_key", "salt", "salt_next"))
    other = own.api("POST", "/v1/unlock/session", {"slot": hardware["id"]})
    for name in ("session", "nonce", "keeper_key"):
        assert other[name] != session[name], name


@pytest.mark.skipif(SLOW > 1, reason="faketime and sanitizers both want to be loaded first")
def test_an_expired_or_lost_operator_certificate_is_replaced_over_the_local_socket(own):
    customer = own.customer()
    own.stop()
    own.start("+400d")
    own.cli("--device", own.authenticator.path, "unlock", expect=DENIED)  # the certificate has expired
    own.cli("--socket", own.socket, "--device", own.authenticator.path, "unlock", answers=[("pin", PIN)])
    own.cli("certificate", "request", "--name", "alice", "--out-key", own.files / "new.key",
            "--out-csr", own.files / "new.csr")
    own.cli("--socket", own.socket, "certificate", "issue", "--role", "operator", "--name", "alice",
            "--csr", own.files / "new.csr", "--out", own.files / "new.pem", "--ca-out", own.files / "new-ca.pem")
    profile = own.base / "new-profile"
    own.cli("profile", "create", "--url", own.url, "--ca", own.files / "new-ca.pem", "--certificate",
            own.files / "new.pem", "--key", own.files / "new.key", profile=profile)
    assert customer.name in own.cli("tenant", "list", profile=profile).out
    own.cli("lock", profile=profile)
    own.cli("--device", own.authenticator.path, "unlock", answers=[("pin", PIN)], profile=profile)
    assert own.state == "unlocked"


def test_the_local_socket_opens_nothing_without_the_hardware_key_or_the_card(own):
    own.lock()
    slot = next(s for s in own.local("GET", "/v1/slots").json["slots"] if s["kind"] == "fido2")
    session = own.local("POST", "/v1/unlock/session", {"slot": slot["id"]}).json
    reply = own.local("POST", "/v1/unlock", {"session": session["session"], "slot": slot["id"],
                                             "auth_data": "00" * 37, "signature": "00" * 70,
                                             "sealed_secret": "00" * 144})
    assert reply.status in (400, 403), reply
    assert own.state == "locked"
    assert own.local("POST", "/v1/certificates", {"role": "operator", "name": "eve", "csr": "x"}).status == 503


def test_the_last_operators_certificate_cannot_be_revoked(own):
    alice = next(c for c in own.api("GET", "/v1/certificates")["certificates"] if c["role"] == "operator")
    reply = own.call("POST", "/v1/certificates/revoke", {"spki": alice["spki"]})
    assert (reply.status, reply.json["title"]) == (409, "conflict")


@pytest.mark.skipif(SLOW > 1, reason="faketime and sanitizers both want to be loaded first")
def test_a_clock_that_jumped_stays_held_over_a_restart_until_it_is_confirmed(own):
    customer = own.customer()
    own.cli("engagement", "end", f"{customer.name}/{customer.engagement}", "--yes")
    own.stop()
    own.start("+0d x500000")  # five days and more a second
    await_that("the clock is held", lambda: own.local("GET", "/v1/status").json["clock_held"])
    own.stop()
    own.start("+30d")
    assert own.local("GET", "/v1/status").json["clock_held"]
    assert own.local("GET", "/v1/status").json["next_purge"] is not None
    own.unlock()
    own.restart("+30d")
    assert own.local("GET", "/v1/status").json["clock_held"]
    own.unlock()
    own.cli("clock", "confirm", "--yes")
    own.await_record(customer.name, type="purge.done")


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_a_damaged_server_certificate_is_mended_by_unlocking_over_the_local_socket(own, name):
    customer = own.customer()
    own.stop()
    (own.data / "tls" / name).write_bytes(b"garbage")
    own.start()
    assert own.local("GET", "/v1/status").json["state"] == "locked"
    own.cli("--socket", own.socket, "--device", own.authenticator.path, "unlock", answers=[("pin", PIN)])
    await_that("the listener is back", lambda: reaches(own))
    assert customer.leased()["value"] == customer.value


def reaches(vault):
    try:
        return vault.call("GET", "/v1/status").status == 200
    except OSError:
        return False
