"""Step 9: people in the middle, lies, replays, kills, full disks and wrong clocks: what the vault makes of them."""

import hashlib
import json
import os
import time

import pytest
from harness import AUTHENTICATOR, CONFLICT, DENIED, LOCKED, NOT_FOUND, OK, PIN, USAGE, Authenticator, await_that
from keyring import CELL_SIZE, CELLS_AT, DATA_KEY, TOMBSTONE, keyring_of
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


# Files


def keyring_file(vault, name="keyring"):
    return next(path for path in vault.data.rglob(name) if path.is_file())


def put_back(vault, copy):
    """Writes into the file that is there, so that owner and mode stay."""
    vault.stop()
    keyring_file(vault).write_bytes(copy)
    vault.start()


@pytest.mark.parametrize("meanwhile", ["a key", "a rotation", "a key, and a kill"])
def test_an_old_keyring_that_is_copied_back_is_refused_and_does_no_harm(own, meanwhile):
    customer = own.customer()
    own.lock()
    old = keyring_file(own).read_bytes()
    own.unlock()
    if "rotation" in meanwhile:
        first(own).cli("rekey")
    later = own.put_key(customer.name, "later")
    if "kill" in meanwhile:
        own.await_record("vault", type="server.started")
        time.sleep(1.5)  # the age is noted every second
        own.kill("supervisor")
        own.start()
    else:
        own.lock()
    new = keyring_file(own).read_bytes()
    put_back(own, old)
    for _ in range(3):
        done = own.unlock(expect=LOCKED)
        assert "the keyring is older than the database" in done.err
    put_back(own, new)
    own.unlock()
    gateway = own.add_gateway(f"{customer.name}/later")
    assert own.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/later"}).json["value"] == later
    assert customer.leased()["value"] == customer.value


def test_a_keyring_from_before_an_operators_removal_is_refused(new_vault):
    vault, alice, bob = team(new_vault, names=("alice", "bob"), quorum="1/2")
    vault.lock()
    old = keyring_file(vault).read_bytes()
    alice.cli("unlock")
    alice.cli("operator", "remove", "bob", "--yes")
    settled(vault)
    vault.lock()
    put_back(vault, old)
    assert "locked again" in bob.cli("unlock", expect=LOCKED).err, "the certificate is only checked when it is open"
    assert vault.state == "locked"


def forge_tombstone(ring, at):
    """The file with the cell in place `at` turned into a tombstone as the vault would write one while locked."""
    place = CELLS_AT + at * CELL_SIZE
    victim = ring.data[place:place + CELL_SIZE]
    newest = max(int.from_bytes(ring.data[p + 80:p + 88], "big") for p in range(CELLS_AT, len(ring.data), CELL_SIZE))
    dead = bytes([TOMBSTONE, DATA_KEY, 4]) + victim[3:72] + (time.time_ns() // 1000).to_bytes(8, "big")
    dead += (newest + 1).to_bytes(8, "big") + victim[80:88] + victim[224:240]
    dead += bytes(208 - len(dead))
    dead += hashlib.sha256(at.to_bytes(4, "big") + dead).digest()[:16] + bytes(32)
    return ring.data[:place] + dead + ring.data[place + CELL_SIZE:]


def test_a_forged_tombstone_raises_the_alarm_at_the_next_unlock(own):
    """Whoever writes the file can destroy a key, but not as if the vault had done it."""
    customers = [own.customer(), own.customer()]
    own.lock()
    own.stop()
    ring = keyring_of(own)
    at = next(i for i, cell in enumerate(ring.cells) if cell.type == DATA_KEY)
    keyring_file(own).write_bytes(forge_tombstone(ring, at))
    own.start()
    own.unlock()
    alarm = own.await_record("vault", type="tombstone.alarm")
    assert alarm["outcome"] == "failed" and ring.cells[at].id.hex() in json.dumps(alarm)
    assert sorted(customer.lease().status for customer in customers)[0] == 201
    first(own).cli("rekey")
    assert own.types("vault").count("tombstone.alarm") == 1


def test_a_cell_that_was_overwritten_keeps_the_vault_shut_until_the_file_is_mended(own):
    own.customer()
    own.lock()
    own.stop()
    ring, path = keyring_of(own), keyring_file(own)
    at = next(i for i, cell in enumerate(ring.cells) if cell.type == DATA_KEY)
    data = bytearray(ring.data)
    data[CELLS_AT + at * CELL_SIZE + 100] ^= 1
    path.write_bytes(data)
    own.start()
    assert own.unlock(expect=None).code != OK
    put_back(own, ring.data)
    own.unlock()


@pytest.mark.parametrize("what", ["garbage", "an old keyring", "a symbolic link", "a hard link", "a fifo", "a directory"])
def test_whatever_lies_in_the_place_of_the_next_keyring_is_never_believed(own, what):
    customer = own.customer()
    own.lock()
    own.stop()
    ring, victim = keyring_file(own), own.base / "victim"
    spare = ring.with_name("keyring.next")
    victim.write_bytes(b"precious" * 1000)
    victim.chmod(0o600)
    owner = ring.stat()
    os.chown(victim, owner.st_uid, owner.st_gid)
    spare.unlink(missing_ok=True)
    if what == "garbage":
        spare.write_bytes(os.urandom(50000))
    elif what == "an old keyring":
        spare.write_bytes(ring.read_bytes())
    elif what == "a symbolic link":
        spare.symlink_to(victim)
    elif what == "a hard link":
        os.link(victim, spare)
    elif what == "a fifo":
        os.mkfifo(spare, 0o600)
    else:
        spare.mkdir(0o700)
    if what != "a symbolic link":
        os.chown(spare, owner.st_uid, owner.st_gid)
        spare.chmod(0o700 if what == "a directory" else 0o600)
    own.start()
    assert victim.read_bytes() == b"precious" * 1000
    if what in ("garbage", "an old keyring"):
        own.unlock()
        first(own).cli("rekey")
    else:
        assert own.state == "broken"
        assert own.cli("--socket", own.socket, "unlock", expect=LOCKED)
        own.stop()
        spare.rmdir() if what == "a directory" else spare.unlink()
        own.start()
        own.unlock()
        first(own).cli("rekey")
    assert victim.read_bytes() == b"precious" * 1000
    assert customer.leased()["value"] == customer.value


def test_purges_that_fall_due_while_locked_in_a_rotation_are_carried_out_by_date(own):
    customers = [own.customer() for _ in range(4)]
    for customer in customers[:2]:
        own.api("POST", f"/v1/tenants/{customer.name}/engagements/migration/end", {})
    alice = first(own)
    alice.cli("rekey", "--no-wait")
    alice.cli("rekey", "tenant", customers[0].name, "--no-wait")
    own.lock()
    own.restart("+8d")
    await_that("the keys are gone", lambda: len(keyring_of(own).of(DATA_KEY)) == 2)
    assert own.state == "locked"
    own.unlock()
    settled(own)
    for customer in customers[:2]:
        own.await_record(customer.name, type="purge.done")
        own.await_record(customer.name, type="tenant.seed_destroyed")
    for customer in customers[2:]:
        assert customer.leased()["value"] == customer.value
    assert "tombstone.alarm" not in own.types("vault")
    for log in ("vault", customers[0].name):
        own.cli("audit", "verify", log)
