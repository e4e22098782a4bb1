"""The fido module against an authenticator: what it believes, what it refuses and what it says."""

import fcntl
import os
import pwd
import secrets
import signal
import subprocess
import time
import tty
from contextlib import contextmanager, suppress

import pytest
from fido_device import (HASH, NEXT, PATIENCE, PIN, SALT, TOOL, WRONG_ANSWER, Answer, enrolled, key, refused, start,
                         tool, waiting_tool)
from harness import SLOW


def flip(hexadecimal, at):
    changed = bytearray.fromhex(hexadecimal)
    changed[at] ^= 1
    return changed.hex()


# --- enrolment and assertion ----------------------------------------------------------------------


def test_the_same_salts_give_the_same_secrets_each_time(key, enrolled):
    first = tool("assert", key.path, *enrolled, HASH, SALT, NEXT)
    second = tool("assert", key.path, *enrolled, "cd" * 32, SALT, NEXT)
    assert first.code == second.code == 0
    assert len(bytes.fromhex(first["secrets"])) == 64
    assert first["secrets"] == second["secrets"]
    assert first["signature"] != second["signature"]


def test_each_half_belongs_to_its_salt(key, enrolled):
    now = tool("assert", key.path, *enrolled, HASH, SALT, NEXT)["secrets"]
    later = tool("assert", key.path, *enrolled, HASH, NEXT, "03" * 32)["secrets"]
    assert now[:64] != now[64:]
    assert later[:64] == now[64:]


def test_the_secrets_survive_a_restart_of_the_key(start):
    key = start()
    made = tool("enrol", key.path, HASH)
    first = tool("assert", key.path, made["id"], made["public"], HASH, SALT, NEXT)
    key.stop()
    again = start()
    assert tool("assert", again.path, made["id"], made["public"], HASH, SALT, NEXT)["secrets"] == first["secrets"]


@pytest.mark.parametrize("protocols", ["1", "2", "1,2"])
def test_every_pin_protocol_works(start, protocols):
    key = start("--pin-protocols", protocols)
    answer = tool("unlock", key.path, HASH, SALT, NEXT)
    assert answer.code == 0 and len(answer["secrets"]) == 128


def test_enrolling_and_asserting_on_one_device_asks_for_the_pin_once_and_says_touch_twice(key):
    answer = tool("unlock", key.path, HASH, SALT, NEXT)
    assert answer.code == 0
    assert answer.names.count("asked") == 1
    assert answer.names.count("say") == 2
    assert answer["say"] == "Touch your key"


def test_two_enrolments_make_different_credentials(key):
    first, second = tool("enrol", key.path, HASH), tool("enrol", key.path, HASH)
    assert first["id"] != second["id"] and first["public"] != second["public"]
    assert first["aaguid"] == second["aaguid"]


def test_the_user_was_present_and_verified(key, enrolled):
    data = bytes.fromhex(tool("assert", key.path, *enrolled, HASH, SALT, NEXT)["auth"])
    assert data[32] == 0x85  # present, verified, extensions
    assert data[:32] == bytes.fromhex("fa8f53b651f03a2060980b45b9d7c15c3bc907ca21c0cb6d97ad25d992afe1c4")


def test_nothing_is_left_behind_on_the_key(key, enrolled):
    assert '"residents": []' in open(key.state).read()


# --- the checker ----------------------------------------------------------------------------------


@pytest.fixture
def assertion(key, enrolled):
    answer = tool("assert", key.path, *enrolled, HASH, SALT, NEXT)
    return [enrolled[1], HASH, answer["auth"], answer["signature"]]


def test_a_true_assertion_verifies_without_the_key(key, assertion):
    key.stop()
    assert tool("verify", *assertion)["good"] == "yes"


@pytest.mark.parametrize("part", [0, 1, 2, 3], ids=["public key", "client data hash", "authenticator data", "signature"])
def test_an_assertion_with_any_byte_changed_is_refused(assertion, part):
    size = len(assertion[part]) // 2
    for at in range(0, size, 1 if size < 80 else 7):
        changed = list(assertion)
        changed[part] = flip(changed[part], at)
        answer = tool("verify", *changed)
        assert (answer.code, answer["status"]) == (1, "denied"), at


def test_an_assertion_of_another_key_is_refused(start, assertion):
    other = tool("enrol", start(name="other").path, HASH)
    assert refused(tool("verify", other["public"], *assertion[1:]), "denied", "assertion is not signed by this key")


def test_a_key_with_an_unexpected_public_key_is_not_believed(start, key, enrolled):
    other = tool("enrol", start(name="other").path, HASH)
    answer = tool("assert", key.path, enrolled[0], other["public"], HASH, SALT, NEXT)
    assert refused(answer, "denied", WRONG_ANSWER)
    assert "secrets" not in answer


# --- PIN ------------------------------------------------------------------------------------------


def test_a_wrong_pin_is_told_with_the_tries_left(key, enrolled):
    for left in (7, 6):
        answer = tool("assert", key.path, *enrolled, HASH, SALT, NEXT, pin="9999")
        assert refused(answer, "denied", "Wrong PIN.")
        assert answer["tries"] == str(left)
    assert tool("assert", key.path, *enrolled, HASH, SALT, NEXT).code == 0


def test_a_wrong_pin_is_asked_for_again_and_never_sent_twice(key, enrolled):
    answer = tool("assert", key.path, *enrolled, HASH, SALT, NEXT, "again", pin="9999")
    assert answer.names.count("asked") == 2
    assert answer["asked"] == "7"
    assert answer["tries"] == "6"


def test_three_wrong_pins_need_the_key_to_be_plugged_in_again(key, enrolled):
    for _ in range(2):
        tool("assert", key.path, *enrolled, HASH, SALT, NEXT, pin="9999")
    why = "Three wrong PINs. Unplug the key, plug it in again, then try."
    for pin in ("9999", PIN):  # then even the right one is not looked at
        assert refused(tool("assert", key.path, *enrolled, HASH, SALT, NEXT, pin=pin), "denied", why)
    assert key.control("replug") == "ok"
    assert tool("assert", key.path, *enrolled, HASH, SALT, NEXT).code == 0


def test_a_blocked_pin_is_not_even_asked_for(key, enrolled):
    for attempt in range(8):
        if attempt % 2 == 0:
            key.control("replug")
        answer = tool("assert", key.path, *enrolled, HASH, SALT, NEXT, pin="9999")
    blocked = ("The PIN of this key is blocked for good. Use another key or the recovery code. "
               "A reset would erase the key's secrets.")
    assert refused(answer, "denied", blocked)
    answer = tool("assert", key.path, *enrolled, HASH, SALT, NEXT)
    assert refused(answer, "denied", blocked)
    assert "asked" not in answer


@pytest.mark.parametrize("pin", ["", "123", "1" * 64])
def test_a_pin_of_impossible_length_costs_no_try(key, pin):
    assert refused(tool("enrol", key.path, HASH, pin=pin), "bad-input", "A PIN has 4 to 63 bytes.")
    assert tool("enrol", key.path, HASH)["asked"] == "8"


def test_a_key_without_a_pin_is_refused_with_a_way_out(start):
    answer = tool("open", start(pin=None).path)
    assert (answer.code, answer["status"]) == (1, "conflict")
    assert answer["why"].startswith("This key has no PIN. Set one first")
    assert "fido2-token -S" in answer["why"]


# --- touch ----------------------------------------------------------------------------------------


def test_a_refusal_on_the_key_is_told_and_the_key_stays_usable(key, enrolled):
    key.control("touch refuse")
    assert refused(tool("assert", key.path, *enrolled, HASH, SALT, NEXT), "denied", "Refused on the key.")
    assert refused(tool("enrol", key.path, HASH), "denied", "Refused on the key.")
    key.control("touch now")
    assert tool("assert", key.path, *enrolled, HASH, SALT, NEXT).code == 0


def test_a_touch_that_never_comes_is_told(start):
    key = start("--touch-timeout", "1")
    made = tool("enrol", key.path, HASH)
    key.control("touch never")
    answer = tool("assert", key.path, made["id"], made["public"], HASH, SALT, NEXT)
    assert refused(answer, "limit", "Nobody touched the key in time.")


@pytest.mark.parametrize("command", ["enrol", "assert"])
def test_an_interrupt_cancels_and_leaves_the_key_usable(key, enrolled, command):
    arguments = {"enrol": ["enrol", key.path, HASH], "assert": ["assert", key.path, *enrolled, HASH, SALT, NEXT]}[command]
    key.control("touch never")
    process = waiting_tool(key, *arguments)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=PATIENCE)[0]
    assert refused(Answer(process.returncode, output), "denied", "Cancelled.")
    assert time.monotonic() - began < 5 * SLOW
    key.control("touch now")
    assert tool("assert", key.path, *enrolled, HASH, SALT, NEXT).code == 0


def test_after_a_cancel_the_same_device_object_goes_on(key, enrolled):
    key.control("touch never")
    process = waiting_tool(key, "assert", key.path, *enrolled, HASH, SALT, NEXT, "again")
    key.control("touch never")
    process.send_signal(signal.SIGINT)
    while key.line() != "waiting for touch":  # the second attempt
        pass
    key.control("touch now")
    answer = Answer(0, process.communicate(timeout=PATIENCE)[0])
    assert process.returncode == 0
    assert answer["why"] == "Cancelled." and len(answer["secrets"]) == 128
    assert answer.names.count("asked") == 1  # the PIN was right


def test_a_stray_signal_does_not_end_the_wait(key, enrolled):
    key.control("touch never")
    process = waiting_tool(key, "assert", key.path, *enrolled, HASH, SALT, NEXT)
    for number in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT):
        process.send_signal(number)
    key.control("touch now")
    answer = Answer(0, process.communicate(timeout=PATIENCE)[0])
    assert process.returncode == 0 and len(answer["secrets"]) == 128


def test_a_key_pulled_out_while_it_waits_is_told(key, enrolled):
    key.control("touch never")
    process = waiting_tool(key, "assert", key.path, *enrolled, HASH, SALT, NEXT)
    key.stop()
    output = process.communicate(timeout=PATIENCE)[0]
    assert refused(Answer(process.returncode, output), "not-found", "The key was unplugged.")


# --- which key ------------------------------------------------------------------------------------


def test_a_credential_of_another_key_is_not_found(start, enrolled):
    other = start(name="other")
    answer = tool("assert", other.path, *enrolled, HASH, SALT, NEXT)
    assert refused(answer, "not-found", "This key does not belong to this vault (or was reset).")


def test_asking_whether_a_key_has_a_credential_needs_no_touch_and_no_pin(start, key, enrolled):
    other = start("--touch", "never", name="other")
    key.control("touch never")
    for path, found in ((key.path, "yes"), (other.path, "no")):
        answer = tool("has", path, *enrolled)
        assert (answer.code, answer["has"]) == (0, found)
        assert "asked" not in answer and "say" not in answer


def test_a_key_that_claims_a_credential_with_another_public_key_is_not_believed(start, key, enrolled):
    other = tool("enrol", start(name="other").path, HASH)
    assert tool("has", key.path, enrolled[0], other["public"])["has"] == "unknown"


def test_an_empty_or_unknown_id_is_on_no_key(key, enrolled):
    assert tool("has", key.path, "", enrolled[1])["has"] == "no"
    assert tool("has", key.path, secrets.token_hex(62), enrolled[1])["has"] == "no"
    assert tool("assert", key.path, "", enrolled[1], HASH, SALT, NEXT)["status"] == "bad-input"


@pytest.mark.parametrize("bad", [["ab" * 31, SALT, NEXT], [HASH, "01" * 31, NEXT], [HASH, SALT, "01" * 33]])
def test_hashes_and_salts_have_thirty_two_bytes(key, enrolled, bad):
    assert tool("assert", key.path, *enrolled, *bad)["status"] == "bad-input"


# --- devices that cannot be opened ----------------------------------------------------------------


def test_a_path_without_anything_is_not_found(tmp_path):
    assert refused(tool("open", tmp_path / "nothing"), "not-found", "There is no security key at this path.")


def test_a_regular_file_or_a_directory_is_no_device(tmp_path):
    (tmp_path / "file").write_bytes(bytes(64))
    for path in (tmp_path / "file", tmp_path):
        assert refused(tool("open", path), "not-found", "This path is not a device.")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_another_kind_of_device_is_no_key(path):
    assert refused(tool("open", path), "not-found", "This path is not a security key.")


def test_a_terminal_where_nobody_answers_is_no_key():
    master, slave = os.openpty()
    try:
        began = time.monotonic()
        answer = tool("open", os.ttyname(slave))
        assert refused(answer, "io", "No FIDO2 security key answers there.")
        assert time.monotonic() - began < 15 * SLOW
    finally:
        os.close(master)
        os.close(slave)


def test_waiting_for_an_answer_that_never_comes_can_be_interrupted():
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen([TOOL, "open", os.ttyname(slave)], stdout=subprocess.PIPE, text=True)
    try:
        assert os.read(master, 65)
        began = time.monotonic()
        while process.poll() is None:  # one that comes just before the wait does not end it
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        assert time.monotonic() - began < 3 * SLOW
        assert refused(Answer(1, process.stdout.read()), "denied", "Cancelled.")
    finally:
        process.kill()
        process.communicate()
        os.close(master)
        os.close(slave)


WAITING = "Another program is using the key; waiting for it."


@contextmanager
def held(key):
    """Another program uses the key."""
    other = os.open(key.path, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield
    finally:
        os.close(other)


def test_a_key_that_another_program_keeps_is_waited_for_in_bounded_time_and_the_user_is_told(key):
    began = time.monotonic()
    with held(key):
        answer = tool("open", key.path)
    assert refused(answer, "conflict", "Another program is using the key.")
    assert answer["say"] == WAITING
    assert time.monotonic() - began < 15 * SLOW
    assert tool("open", key.path).code == 0


def test_the_user_who_is_told_of_another_program_may_give_up_or_see_it_end(key):
    for give_up in (True, False):
        with held(key):
            process = subprocess.Popen([TOOL, "open", key.path], stdout=subprocess.PIPE, text=True)
            assert process.stdout.readline() == f"say {WAITING}\n"
            if give_up:
                process.send_signal(signal.SIGINT)
                answer = Answer(1, process.communicate(timeout=PATIENCE)[0])
                assert refused(answer, "denied", "Cancelled.")
        if not give_up:
            assert process.communicate(timeout=PATIENCE)[0] == "opened yes\n"


@pytest.mark.skipif(os.getuid() != 0, reason="root alone may become somebody else")
def test_a_key_without_permission_is_told(key):
    nobody = pwd.getpwnam("nobody")
    os.chmod(key.path, 0o600)

    def become_nobody():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)

    # The tree may lie where only root can go: then the loader, which anybody may run, gets it as a file.
    with open(TOOL, "rb") as program:
        done = subprocess.run([f"/proc/self/fd/{program.fileno()}", "open", key.path], capture_output=True, text=True,
                              pass_fds=[program.fileno()], preexec_fn=become_nobody, cwd="/")
    answer = Answer(done.returncode, done.stdout)
    assert (answer.code, answer["status"]) == (1, "denied")
    assert answer["why"].startswith("You may not open this device")


def test_without_a_path_and_without_a_key_there_is_none():
    if os.path.isdir("/sys/class/hidraw") and os.listdir("/sys/class/hidraw"):
        pytest.skip("this machine has devices of its own")
    assert refused(tool("open", "-"), "not-found", "No security key is plugged in.")


def test_wire_logging_cannot_be_turned_on_from_outside(key):
    done = subprocess.run([TOOL, "enrol", key.path, HASH], capture_output=True, text=True,
                          env=dict(os.environ, FIDO_TOOL_PIN=PIN, FIDO_DEBUG="1"))
    assert done.returncode == 0 and done.stderr == ""
