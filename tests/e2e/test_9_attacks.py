"""Step 9: people in the middle, lies, replays, kills, full disks and wrong clocks: what the vault makes of them."""

import contextlib
import glob
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import terminal
from harness import AUTHENTICATOR, BIN, CONFLICT, DENIED, LOCKED, NOT_FOUND, OK, PIN, SLOW, UNVERIFIED, USAGE, await_that
from keyring import CELL_SIZE, CELLS_AT, DATA_KEY, TOMBSTONE, derive, keyring_of, u32
from middle import local_middle, tls_middle, vault_certificate
from nacl.public import PrivateKey, SealedBox
from operators import Meanwhile, Person, first, pending, settled, team
from test_crash import everything_is_recorded
from trail import Load


# In the middle


def test_a_middle_man_with_a_valid_certificate_gets_nothing_opened_and_nothing_approved(own):
    middle, url = tls_middle(own, own.certify("operator", "mallory"), vault_certificate(own))
    alice = first(own)
    with middle:
        epoch, touches = own.api("GET", "/v1/status")["epoch"], own.authenticator.touches
        assert alice.cli("--url", url, "status", answers=()).code == OK, "the certificate is believed"
        done = alice.cli("--url", url, "rekey", expect=UNVERIFIED)
        assert "the key was not asked" in done.err and own.authenticator.touches == touches
        assert middle.sent("/session") and not middle.sent("/approve")
        assert own.api("GET", "/v1/status")["epoch"] == epoch
        assert [o["have"] for o in own.api("GET", "/v1/operations")["operations"]] == [0]
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
    wanted, other = (own.api("POST", "/v1/operations", {"operation": name})
                     for name in ("rekey.database", "rekey.root"))

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


def opens(vault, secret):
    """Whether the secret of a touch opens the first operator's slot of today's keyring file to the root key."""
    ring = keyring_of(vault)
    try:
        root = next(slot for slot in ring.slots if slot.kind == 1).root(ring.info.vault, secret)
    except Exception:  # whatever a wrong key makes of it
        return False
    return derive(root, "root-check", [ring.info.vault, u32(ring.info.epoch)], 32) == ring.info.root_check


def test_at_worst_a_lie_about_the_keeper_key_yields_secrets_that_two_unlocks_make_worthless(own):
    """The limit of the protocol: the touch is refused, but who has a copy of the keyring file too can use what was
    sealed to them. Refused or not, the next two touches roll the slot beyond it."""
    own.lock()
    mine = PrivateKey.generate()
    middle, path = local_middle(own, lambda _, target, answer: target.endswith("/session") and answer.update(
        keeper_key=bytes(mine.public_key).hex()))
    with middle:
        first(own).cli("--socket", path, "unlock", expect=DENIED)
    sealed = bytes.fromhex(middle.sent("/v1/unlock")[0]["sealed_secret"])
    learned = SealedBox(mine).decrypt(sealed)[32:]
    now, following = learned[:32], learned[32:]
    assert opens(own, now) and not opens(own, following) and own.state == "locked"
    own.unlock()
    assert not opens(own, now) and opens(own, following)
    own.lock()
    own.unlock()
    assert not opens(own, now) and not opens(own, following)


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
        time.sleep(3)  # the age is noted every second, and nothing tells
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


@pytest.mark.parametrize("what", ["garbage", "an old keyring", "a symbolic link", "a hard link", "a fifo",
                                  "a directory"])
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


# Many at once


def test_two_operators_unlock_at_the_same_moment(new_vault):
    vault, alice, bob, carol = team(new_vault)
    for one, other in ((alice, bob), (bob, carol), (alice, carol)):
        vault.lock()
        both = [Meanwhile(person.cli, "unlock", expect=None) for person in (one, other)]
        done = [each.result() for each in both]
        assert [each.code for each in done] == [OK, OK], [str(each) for each in done]
        assert vault.state == "unlocked"


def test_two_operators_approve_at_the_same_moment_and_it_happens_once(new_vault):
    vault, alice, bob, carol = team(new_vault)
    epoch = vault.api("GET", "/v1/status")["epoch"]
    for number in (1, 2, 3):
        made = vault.api("POST", "/v1/operations", {"operation": "rekey.root"})
        both = [Meanwhile(person.cli, "operation", "approve", made["id"], "--yes") for person in (alice, bob)]
        for each in both:
            each.result()
        settled(vault)
        assert vault.api("GET", "/v1/status")["epoch"] == epoch + number


def test_the_same_thing_proposed_twice_at_once_is_done_once_or_one_after_the_other(new_vault):
    vault, alice, bob, carol = team(new_vault, quorum="1/3")
    both = [Meanwhile(person.cli, "rekey", "database", expect=None) for person in (alice, bob)]
    done = [each.result() for each in both]
    assert sorted(each.code for each in done) in ([OK, CONFLICT], [OK, OK]), [str(each) for each in done]
    settled(vault)
    finished = [r for _, r in vault.records("vault") if r["type"] == "rekey.done" and r["what"] == "database"]
    assert len(finished) == [each.code for each in done].count(OK)


def test_approval_and_withdrawal_at_once_leave_one_of_the_two(own):
    alice, seen = first(own), set()
    for _ in range(4):
        made = own.api("POST", "/v1/operations", {"operation": "rekey.root"})
        touches = own.authenticator.touches
        approving = Meanwhile(alice.cli, "operation", "approve", made["id"], "--yes", expect=None)
        if seen:  # the first one meets an approval that hardly began, the others one that is well under way
            await_that("the key was touched", lambda: own.authenticator.touches > touches)
        withdrawn = own.local("DELETE", f"/v1/operations/{made['id']}").status
        done = approving.result()
        assert (done.code == OK) != (withdrawn == 200), (done.code, withdrawn)
        seen.add(withdrawn)
        settled(own)
    assert seen


def test_no_more_proposals_than_places_and_what_was_refused_was_never_proposed(own):
    replies = [own.call("POST", "/v1/operations", {"operation": "rekey.root"}) for _ in range(40)]
    made = [reply.json["id"] for reply in replies if reply.status == 201]
    assert len(made) == 32 and {reply.status for reply in replies} == {201, 429}
    assert own.types("vault").count("operation.proposed") == 32
    own.cli("operation", "withdraw", made[0])
    first(own).cli("rekey")


def test_twenty_sessions_push_out_only_the_oldest(own):
    own.lock()
    slot = next(s["id"] for s in own.local("GET", "/v1/slots").json["slots"] if s["kind"] == "fido2")
    for _ in range(20):
        assert own.local("POST", "/v1/unlock/session", {"slot": slot}).status == 200
    own.unlock()
    made = own.api("POST", "/v1/operations", {"operation": "rekey.root"})
    for _ in range(20):
        assert own.local("POST", f"/v1/operations/{made['id']}/session", {"slot": slot}).status == 200
    first(own).cli("operation", "approve", made["id"], "--yes")


# Who may


VERBS = [("POST", "/v1/operators/session", {}, "oa"), ("POST", "/v1/operators", {}, "oa"),
         ("POST", "/v1/operations", {"operation": "rekey.root"}, "oa"), ("GET", "/v1/operations", None, "oau"),
         ("GET", "/v1/operations/{id}", None, "oau"), ("POST", "/v1/operations/{id}/session", {}, "o"),
         ("POST", "/v1/operations/{id}/approve", {}, "o"), ("GET", "/v1/slots", None, "o"),
         ("POST", "/v1/lock", {}, "o"), ("DELETE", "/v1/operations/{id}", None, "oa")]


def test_every_new_verb_is_refused_to_every_role_that_it_is_not_for(own):
    customer = own.customer()
    who = {"a": own.certify("admin", "adam"), "u": own.certify("auditor", "audrey"),
           "t": own.certify("tenant", customer.name), "g": customer.gateway}
    made = own.api("POST", "/v1/operations", {"operation": "rekey.database"})
    for method, path, body, roles in VERBS:
        for role, identity in who.items():
            reply = own.call(method, path.format(id=made["id"]), body, identity)
            assert (reply.status == 403) == (role not in roles), f"{role} {method} {path}: {reply}"
        assert own.curl(path.format(id=made["id"]), method=method, body=body).status == 401
    assert own.state == "unlocked"


COMMANDS = [("operator", "list"), ("operator", "add"), ("operator", "remove"), ("quorum", "set"), ("card", "renew"),
            ("operation", "list"), ("operation", "approve"), ("operation", "withdraw"), ("rekey",),
            ("rekey", "tenant"), ("rekey", "database"), ("engagement", "hold"), ("engagement", "lift"),
            ("engagement", "purge")]


def test_every_new_command_explains_itself_and_refuses_nonsense_before_it_asks_for_a_key(own):
    touches = own.authenticator.touches
    for command in COMMANDS:
        assert "usage" in own.cli(*command, "--help").out.lower(), command
        assert own.cli(*command, "--no-such-option", expect=None).code == USAGE, command
        assert own.cli(*command, "a", "b", "c", expect=None).code == USAGE, command
    for wrong in (("operator", "add"), ("operator", "add", "a b"), ("operator", "remove", "../x", "--yes"),
                  ("operator", "remove", "alice", "--slot", "zz", "--yes"), ("quorum", "set", "0"),
                  ("quorum", "set", "x"), ("quorum", "set", "-1"), ("card", "renew", "--cards", "9", "--yes"),
                  ("operation", "approve", "x"), ("operation", "withdraw", "5"), ("engagement", "hold", "acme"),
                  ("rekey", "tenant", "A B")):
        assert own.cli(*wrong, expect=None).code == USAGE, wrong
    for absent in (("operation", "approve", "5" * 32), ("operation", "withdraw", "5" * 32),
                   ("rekey", "tenant", "nobody"), ("engagement", "hold", "nobody/nothing")):
        assert own.cli(*absent, expect=None).code == NOT_FOUND, absent
    assert own.authenticator.touches == touches
    assert own.cli_json("operation", "list") == {"operations": []}
    done = first(own).cli_json("rekey", "database")
    assert {"id", "operation", "state", "text", "proposer", "have", "need"} <= set(done) and done["state"] == "done"
    own.lock()
    for locked in (("operation", "list"), ("rekey",), ("quorum", "set", "1")):
        assert own.cli(*locked, expect=None).code == LOCKED, locked


# Interrupted


def interrupted(person, *arguments, when, answers=(("pin", PIN),)):
    """Runs a command and sends it a SIGINT as soon as when() is true; how it ended."""
    vault = person.vault
    command = [str(word) for word in (
        BIN / "strongroom", *(["--profile", person.profile] if person.profile else []), *arguments)]
    running = Meanwhile(terminal.run, command, list(answers), b"", vault.environment(), 60, None, vault.files)
    await_that("the moment to interrupt has come", when)
    os.kill(await_that("the program runs", lambda: next(pids_of(command), None)), signal.SIGINT)
    return running.result()


def pids_of(command):
    wanted = b"".join(word.encode() + b"\0" for word in command)
    for entry in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if Path(entry).read_bytes() == wanted:
                yield int(entry.split("/")[2])


def test_ctrl_c_while_waiting_for_others_breaks_nothing(new_vault):
    vault, alice, bob, carol = team(new_vault)

    def waits():
        """It has said what it waits for, and looked once whether that is there."""
        return any(method == "GET" and "/operations/" in target for method, target, *_ in middle.said)

    device = ("--device", alice.key.path)
    middle, path = local_middle(vault)
    with middle:
        done = interrupted(alice, "--socket", path, *device, "rekey", when=waits)
    assert done.code != OK and pending(vault) in done.text, done
    bob.cli("operation", "approve", pending(vault), "--yes")
    settled(vault)
    vault.lock()
    done = interrupted(alice, *device, "unlock", "--wait",
                       when=lambda: vault.local("GET", "/v1/status").json["quorum"]["have"] == 1)
    assert done.code != OK
    bob.cli("unlock")
    assert vault.state == "unlocked"


def test_ctrl_c_before_an_approval_is_answered_ends_the_program_and_not_the_operation(new_vault):
    vault, alice, bob, carol = team(new_vault)
    asked, ended = threading.Event(), threading.Event()

    def hold(method, target, answer):
        if target.endswith("/approve"):
            asked.set()
            ended.wait(60)

    middle, path = local_middle(vault, hold)
    with middle:
        done = interrupted(alice, "--socket", path, "--device", alice.key.path, "rekey", when=asked.is_set)
        ended.set()
    assert done.code == -signal.SIGINT, done
    bob.cli("operation", "approve", pending(vault), "--yes")
    settled(vault)


def test_ctrl_c_at_the_touch_says_so_and_the_next_attempt_works(own):
    alice, bob = first(own), Person(own, "bob")
    made = own.api("POST", "/v1/operations", {"operation": "rekey.root"})

    def at_the_touch(person, *arguments, before=0):
        person.key.forget()
        person.key.control("touch never")
        done = interrupted(person, "--device", person.key.path, *arguments,
                           when=lambda: person.key.line() == "waiting for touch")
        person.key.control("touch now")
        assert done.code == AUTHENTICATOR and "cancelled; nothing was changed" in done.err, done
        return done

    at_the_touch(alice, "operation", "approve", made["id"], "--yes")
    at_the_touch(bob, "operator", "add", "bob")
    named = at_the_touch(alice, "rekey", "database")
    assert "operation approve" in named.err, "what waits now is named"
    alice.cli("operation", "approve", made["id"], "--yes")
    settled(own)
    own.cli("--device", bob.key.path, "--device", alice.key.path, "operator", "add", "bob",
            answers=[("pin", PIN), ("pin", PIN)])
    own.lock()
    at_the_touch(alice, "unlock")
    own.unlock()


def test_ctrl_c_between_two_operators_of_init_leaves_no_vault(new_vault):
    vault = new_vault(opened=False)
    vault.start()
    alice = Person(vault, "alice", vault.plug_in())
    bob = Person(vault, "bob")
    bob.key.control("touch never")
    words = ("--socket", vault.socket, "--url", vault.url, "--device", alice.key.path, "--device", bob.key.path,
             "init", "--operator", "alice", "--operator", "bob", "--quorum", "2/2", "--yes")
    done = interrupted(alice, *words, when=lambda: bob.key.line() == "waiting for touch", answers=[("pin", PIN)] * 2)
    assert done.code == AUTHENTICATOR and "cancelled; nothing was changed" in done.err, done
    assert vault.state == "empty"
    bob.key.control("touch now")
    vault.cli(*words, answers=[("pin", PIN)] * 2)
    assert vault.state == "unlocked"


# Killed


VICTIMS = ("keeper", "server", "supervisor")
ROUNDS = 20


def test_kills_at_random_moments_of_every_operation_lose_nothing(new_vault):
    """Keeper, server and supervisor in turn, while operators come and go, keys rotate and leases flow."""
    luck = random.Random(9)
    vault, alice, bob = team(new_vault, names=("alice", "bob"), quorum="1/2")
    customers = [vault.customer() for _ in range(3)]
    carol = Person(vault, "carol")

    def operator_list():
        return {s["label"] for s in vault.local("GET", "/v1/slots").json["slots"] if s["kind"] == "fido2"}

    def change_carol():
        if "carol" in operator_list():
            return ("--device", alice.key.path, "operator", "remove", "carol", "--yes")
        return ("--device", carol.key.path, "--device", alice.key.path, "operator", "add", "carol")

    device = ("--device", alice.key.path)
    moves = [change_carol, lambda: (*device, "rekey"), lambda: (*device, "rekey", "database"),
             lambda: (*device, "rekey", "tenant", customers[0].name),
             lambda: (*device, "card", "renew", "--yes"), lambda: (*device, "rekey", "database"), change_carol]

    def unlock_all():
        for person in (alice, bob):
            if vault.state != "unlocked":
                person.cli("unlock")

    with Load(vault, customers) as load:
        for number in range(ROUNDS):
            command = moves[number % len(moves)]()
            pins = [("pin", PIN)] * (2 if command[0] == command[2] == "--device" else 1)
            running = Meanwhile(vault.cli, *command, answers=pins, expect=None)
            time.sleep(luck.uniform(0.03, 0.45))
            victim = VICTIMS[luck.randrange(3)]
            vault.kill(victim)
            vault.come_back()
            if victim == "server":
                await_that("the server is back", lambda: vault.reachable() and vault.state in ("unlocked", "locked"))
            unlock_all()
            running.result()
            settled(vault)
            vault.drop_connections()
    everything_is_recorded(vault, load)
    vault.lock()
    labels = operator_list()
    unlock_all()
    for customer in customers:
        assert customer.leased()["value"] == customer.value
    if "carol" in labels:
        vault.lock()
        vault.cli("--device", carol.key.path, "unlock", answers=[("pin", PIN)])
        assert vault.state == "unlocked"
    known = set()
    for _, record in vault.records("vault"):
        if record["type"] == "operator.enrolled":
            known.add(record["operator"])
        elif record["type"] == "operator.removed":
            known.discard(record["operator"])
    assert known == labels, "the trail says who the operators are"
    carol.close()


def test_kills_while_the_quorum_is_raised_leave_the_old_one_or_the_new_one(new_vault):
    luck = random.Random(10)
    vault, alice, bob = team(new_vault, names=("alice", "bob"), quorum="1/2")
    customer = vault.customer()

    def needed():
        return vault.local("GET", "/v1/status").json["quorum"]["need"]

    def unlock():
        for person in (alice, bob):
            if vault.state != "unlocked":
                person.cli("unlock", expect=None)
        assert vault.state == "unlocked"

    raised = 0
    for number in range(8):
        raising = Meanwhile(alice.cli, "quorum", "set", "2", expect=None)
        time.sleep(luck.uniform(0.1, 0.6))
        vault.kill("keeper" if number % 2 else "supervisor")
        vault.come_back()
        raising.result()
        unlock()
        settled(vault)
        assert customer.leased()["value"] == customer.value
        assert needed() in (1, 2)
        if needed() == 2:
            raised += 1
            lowering = Meanwhile(alice.cli, "quorum", "set", "1")
            bob.cli("operation", "approve", pending(vault), "--yes")
            lowering.result()
            settled(vault)
        assert needed() == 1
        vault.drop_connections()
    assert vault.types("vault").count("quorum.changed") == 2 * raised


# Full


@pytest.fixture
def on_small_disk(new_vault):
    """(An open vault whose data_dir is a file system of 96 MB of its own, the path of that)."""
    vault = new_vault(opened=False, disk_reserve_mib=1)
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "none", vault.data]
    if os.geteuid() != 0 or subprocess.run(mount).returncode:
        pytest.skip("no right to mount")
    owner = vault.run.stat()
    os.chown(vault.data, owner.st_uid, owner.st_gid)
    vault.data.chmod(0o700)
    vault.start()
    vault.plug_in()
    vault.init()
    yield vault
    vault.stop()
    subprocess.run(["umount", vault.data], check=True)


def fill(vault):
    filler = vault.data / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass
    return filler


def open_again(vault):
    """What an operator does after the disk was full: a vault whose commit failed says to lock it and unlock it."""
    await_that("the server is there", vault.reachable)
    status = vault.local("GET", "/v1/status").json
    if status["state"] == "broken":
        assert "lock and unlock" in status["reason"]
        vault.local("POST", "/v1/lock", {})
    if vault.state == "locked":
        vault.unlock()
    assert vault.state == "unlocked"


@pytest.mark.parametrize("what", [(), ("database",)])
def test_a_full_disk_during_a_rotation_loses_nothing_and_it_goes_on_when_there_is_room(on_small_disk, what):
    vault = on_small_disk
    customer, alice = vault.customer(), first(vault)
    epoch = vault.api("GET", "/v1/status")["epoch"]
    alice.cli("rekey", *what, "--no-wait")
    filler = fill(vault)
    time.sleep(3)  # nothing tells when a disk was found full: long enough for several attempts
    filler.unlink()
    await_that("the vault is there", vault.reachable)
    open_again(vault)
    settled(vault)
    assert customer.leased()["value"] == customer.value
    if not what:
        assert vault.api("GET", "/v1/status")["epoch"] == epoch + 1
    vault.lock()
    vault.unlock()
    assert customer.leased()["value"] == customer.value
    vault.cli("audit", "verify", "vault")


def test_a_rotation_that_is_asked_for_on_a_full_disk_is_refused_or_done_later(on_small_disk):
    vault = on_small_disk
    customer, alice = vault.customer(), first(vault)
    epoch = vault.api("GET", "/v1/status")["epoch"]
    filler = fill(vault)
    done = alice.cli("rekey", "--no-wait", expect=None)
    assert done.code == OK or done.err, done
    filler.unlink()
    open_again(vault)
    if done.code == OK:
        vault.lock()  # it is tried again after a minute, and after an unlock at once
        vault.unlock()
    settled(vault)
    if done.code == OK:
        assert vault.api("GET", "/v1/status")["epoch"] == epoch + 1
    alice.cli("rekey")
    assert customer.leased()["value"] == customer.value
    vault.cli("audit", "verify", "vault")


@pytest.mark.skipif(SLOW > 1, reason="faketime and sanitizers both want to be loaded first")
def test_a_full_disk_does_not_keep_the_keys_of_an_engagement_that_is_due(on_small_disk):
    vault = on_small_disk
    customer, stays = vault.customer(), vault.customer()
    tenant = bytes.fromhex(vault.api("GET", f"/v1/tenants/{customer.name}")["id"])
    vault.api("POST", f"/v1/tenants/{customer.name}/engagements/{customer.engagement}/end", {})
    vault.stop()
    doomed = [cell for cell in keyring_of(vault).of(DATA_KEY) if cell.parent == tenant]
    filler = fill(vault)
    vault.start("+7d")
    await_that("the keys are destroyed", lambda: vault.local("GET", "/v1/status").json["next_purge"] is None)
    left = keyring_of(vault)
    assert len(doomed) == 1 and len(left.of(DATA_KEY)) == 1 and doomed[0].sealed not in left.data
    vault.unlock(expect=None)
    filler.unlink()
    open_again(vault)
    vault.await_record(customer.name, type="purge.done")
    assert stays.leased()["value"] == stays.value
    vault.cli("audit", "verify", customer.name)


# Clocks


@pytest.mark.parametrize("offset", ["-30d", "+30d"])
def test_a_clock_that_is_moved_changes_no_approval_no_session_and_no_hold(own, offset):
    """Over the local socket: to a clock that was set back the certificates are of the future."""
    customer = own.customer()
    own.api("POST", f"/v1/tenants/{customer.name}/engagements/migration/end", {})
    alice = first(own)
    path = f"{customer.name}/migration"
    alice.cli("engagement", "hold", path)
    before = own.local("GET", "/v1/status").json["time"]
    own.restart(offset)
    local = ("--socket", own.socket)
    alice.cli(*local, "unlock")
    status = own.local("GET", "/v1/status").json
    assert status["time"] >= before and status["next_purge"] is None and len(keyring_of(own).of(DATA_KEY)) == 1
    made = own.local("POST", "/v1/operations", {"operation": "rekey.root"}).json
    assert 590 <= made["expires_s"] <= 600
    alice.cli(*local, "operation", "approve", made["id"], "--yes")
    await_that("the root has rotated", lambda: own.local("GET", "/v1/status").json["rekey"] is None)
    made = own.local("POST", "/v1/operations",
                     {"operation": "hold.lift", "tenant": customer.name, "engagement": "migration"}).json
    alice.cli(*local, "operation", "approve", made["id"], "--yes")
    status = own.local("GET", "/v1/status").json
    assert status["next_purge"] > status["time"] and len(keyring_of(own).of(DATA_KEY)) == 1
    own.restart()
    own.unlock()
    own.cli("audit", "verify", customer.name)


# Many tenants


TENANTS = 150  # so that it stays fast; ten thousand work the same way


def test_leases_flow_while_the_root_of_many_tenants_rotates(own):
    sealed = own.seal("sk-test-of-many")
    for number in range(TENANTS):
        own.api("POST", "/v1/tenants", {"name": f"t{number}"})
        own.api("POST", f"/v1/tenants/t{number}/engagements", {"name": "m"})
        own.api("POST", f"/v1/tenants/t{number}/keys/k", {"provider": "generic", "sealed_key": sealed})
    gateway = own.add_gateway("t0/k", f"t{TENANTS - 1}/k")
    done, failures, count = threading.Event(), [], [0]

    def lease(path):
        client = own.client(gateway)
        while not done.is_set():
            reply = client("POST", "/v1/leases", {"key": path, "ttl_s": 60})
            count[0] += 1
            if reply.status != 201 or reply.json["value"] != "sk-test-of-many":
                failures.append(str(reply))
        client.close()

    threads = [threading.Thread(target=lease, args=(path,)) for path in ("t0/k", f"t{TENANTS - 1}/k")]
    for thread in threads:
        thread.start()
    try:
        for what in ((), ("database",), ("tenant", "t0")):
            first(own).cli("rekey", *what)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures and count[0] > 10, failures[:3]
