"""The shipped program and the hardware key: what a person is told, with which exit code, and what interrupts."""

import fcntl
import os
import signal
import subprocess
import threading
import time

import pytest
import terminal
from harness import AUTHENTICATOR, BIN, CONFLICT, PIN, SLOW, Vault

import stock  # its folder is on the path since harness

KEY = "hardware key: "
FOREIGN = "This key does not belong to this vault (or was reset)."
UNTOUCHED = "Nobody touched the key in time."
IN_USE = "Another program is using the key."
UNABLE = "The key cannot do what a vault asks of it: it is too old, or U2F only."
TOO_LONG = "The key finds the question too long."
BLOCKED = ("The PIN of this key is blocked for good. Use another key or the recovery code. "
           "A reset would erase the key's secrets.")


@pytest.fixture(scope="module")
def empty():
    """A daemon without a vault, which no test here makes."""
    vault = Vault()
    vault.start()
    vault.plug_in()
    yield vault
    vault.close()


@pytest.fixture
def key(empty):
    yield empty.authenticator
    assert empty.authenticator.control("touch now\ndeviate\nreplug") == "ok"
    while empty.authenticator.memory["pin_retries"] < 8:
        init(empty, "--pin-stdin", stdin=PIN.encode() + b"\n", deviations=["answer=make:0x27"], expect=AUTHENTICATOR)
        empty.authenticator.control("deviate")


def init(vault, *options, deviations=(), device=None, **more):
    """An attempt to make a vault, which fails at the key."""
    vault.authenticator.control(f"deviate {' '.join(deviations)}")
    return vault.cli("--socket", vault.socket, "--url", vault.url, "--device", device or vault.authenticator.path,
                     "init", "--operator", "alice", "--yes", *options, **more)


# --- each status of a key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("deviation, sentence, code", [
    # on the PIN
    ("answer=token:0x31", "Wrong PIN. (8 tries left)", AUTHENTICATOR),
    ("answer=make:0x33", "The key refused the PIN proof; try once more.", AUTHENTICATOR),
    ("answer=token:0x34", "Three wrong PINs. Unplug the key, plug it in again, then try.", AUTHENTICATOR),
    ("answer=token:0x32", BLOCKED, AUTHENTICATOR),
    ("answer=token:0x35", "This key has no PIN. Set one first, with its maker's tool or: fido2-token -S DEVICE",
     AUTHENTICATOR),
    ("answer=make:0x36", "This key wants its PIN.", AUTHENTICATOR),
    ("answer=token:0x37", "The PIN must be changed first, with the key maker's tool or: fido2-token -C DEVICE",
     AUTHENTICATOR),
    ("new-pin-required", "The PIN must be changed first, with the key maker's tool or: fido2-token -C DEVICE",
     AUTHENTICATOR),
    # on the credential
    ("answer=get:0x2e", FOREIGN, AUTHENTICATOR),
    ("answer=get:0x22", FOREIGN, AUTHENTICATOR),
    ("answer=make:0x19", "This key is already enrolled.", CONFLICT),
    # on the touch
    ("answer=make:0x3a", UNTOUCHED, AUTHENTICATOR),
    ("answer=get:0x2f", UNTOUCHED, AUTHENTICATOR),
    ("answer=make:0x05", UNTOUCHED, AUTHENTICATOR),
    ("answer=make:0x27", "Refused on the key.", AUTHENTICATOR),
    ("answer=get:0x27", "Refused on the key.", AUTHENTICATOR),
    ("answer=make:0x2d", "Cancelled.", AUTHENTICATOR),
    ("answer=get:0x3b", "The key answers this only when it is touched.", AUTHENTICATOR),
    # on what the key is
    ("answer=make:0x16", "This key cannot store secrets (no hmac-secret).", AUTHENTICATOR),
    ("no-hmac", "This key cannot store secrets (no hmac-secret).", AUTHENTICATOR),
    ("answer=make:0x26", "The key has no ES256.", AUTHENTICATOR),
    ("answer=make:0x2b", UNABLE, AUTHENTICATOR),
    ("answer=get:0x2c", UNABLE, AUTHENTICATOR),
    ("answer=make:0x28", "No room for more credentials on this key.", AUTHENTICATOR),
    ("answer=make:0x15", TOO_LONG, AUTHENTICATOR),
    ("answer=make:0x39", TOO_LONG, AUTHENTICATOR),
    ("answer=get:0x03", TOO_LONG, AUTHENTICATOR),
    # on its use by others
    ("answer=make:0x06", IN_USE, AUTHENTICATOR),
    ("answer=make:0x30", IN_USE, AUTHENTICATOR),
    ("answer=get:0x24", IN_USE, AUTHENTICATOR),
    # on the answer
    ("bad-signature", "The answer does not come from the enrolled key or lacks verification.", AUTHENTICATOR),
    ("short-secret", "The key did not deliver the secret.", AUTHENTICATOR),
    ("answer=make:0x7f", "The key gave an answer that makes no sense. (127)", AUTHENTICATOR),
    ("answer=info:0x7f", "No FIDO2 security key answers there.", AUTHENTICATOR),
])
def test_each_status_of_a_key_has_its_sentence_and_exit_code(empty, key, deviation, sentence, code):
    done = init(empty, "--pin-stdin", stdin=PIN.encode() + b"\n", deviations=[deviation], expect=code)
    assert done.err.splitlines()[-1] == f"strongroom: {KEY}{sentence}"
    assert empty.state == "empty"


def test_a_refused_pin_proof_is_asked_for_again_once(empty, key):
    done = init(empty, answers=[("pin", PIN), ("pin", PIN)], deviations=["answer=make:0x33"], expect=AUTHENTICATOR)
    assert done.err.count("The key refused the PIN proof; try once more.") == 2


def test_wrong_pins_are_told_with_the_tries_left_until_the_key_wants_to_be_replugged(empty, key):
    done = init(empty, answers=[("8 tries left", "000000"), ("7 tries left", "000000"), ("6 tries left", "000000")],
                expect=AUTHENTICATOR)
    assert done.err.count("Wrong PIN.") == 2
    assert done.err.endswith("Three wrong PINs. Unplug the key, plug it in again, then try.\n")


def test_a_bad_finger_is_told_and_the_pin_asked_for(empty, key, tmp_path):
    reader = stock.Process(tmp_path, "--pin", PIN, "--finger", "bad", "--deviation", "answer=make:0x27")
    try:
        done = init(empty, answers=[("pin", PIN)], device=reader.path, expect=AUTHENTICATOR)
    finally:
        reader.stop()
    said = done.err.splitlines()
    assert said.index("Verify yourself on your key") < said.index("Finger not recognised.")
    assert said[-1] == f"strongroom: {KEY}Refused on the key."


# --- interruptions -------------------------------------------------------------------------------------------


def when_it_blinks(key, act):
    """For on_prompt: acts on the program once the key waits for the touch."""
    def watch(process):
        while key.line() != "waiting for touch":
            pass
        act(process)

    return lambda process: threading.Thread(target=watch, args=(process,), daemon=True).start()


def interrupted(vault, act):
    vault.authenticator.control("touch never")
    vault.authenticator.forget()
    began = time.monotonic()
    done = init(vault, answers=[("pin", PIN)], on_prompt=when_it_blinks(vault.authenticator, act), expect=None)
    assert time.monotonic() - began < 10 * SLOW
    return done


def usable(vault):
    """The next attempt gets to the second touch, which is refused."""
    vault.authenticator.control("touch now")
    done = init(vault, answers=[("pin", PIN)], deviations=["answer=get:0x27"], expect=AUTHENTICATOR)
    return done.err.endswith(f"{KEY}Refused on the key.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_the_key_blinks_ends_cleanly_and_the_next_attempt_works(empty, key, number):
    done = interrupted(empty, lambda process: os.killpg(process.pid, number))
    assert done.code == AUTHENTICATOR
    assert done.err.endswith("strongroom: cancelled; nothing was changed\n")
    assert usable(empty)


def test_an_interrupt_at_the_pin_prompt_ends_cleanly(empty, key):
    done = init(empty, answers=[("pin", "\x03")], expect=AUTHENTICATOR)
    assert done.err.endswith("strongroom: cancelled; nothing was changed\n")
    assert usable(empty)


def test_a_window_that_changes_its_size_disturbs_nothing_and_a_late_touch_counts(empty, key):
    def resize_and_touch(process):
        for _ in range(3):
            os.killpg(process.pid, signal.SIGWINCH)
        key.control("touch now\ndeviate answer=get:0x27")

    done = interrupted(empty, resize_and_touch)
    assert done.err.count("Touch your key") == 2, "the first one was done"
    assert done.err.endswith(f"{KEY}Refused on the key.\n")


def test_a_refusal_on_the_key_is_told_and_the_next_attempt_works(empty, key):
    done = interrupted(empty, lambda process: key.control("touch refuse"))
    assert (done.code, done.err.splitlines()[-1]) == (AUTHENTICATOR, f"strongroom: {KEY}Refused on the key.")
    assert usable(empty)


def test_a_key_that_is_pulled_out_while_it_blinks_is_told_and_the_next_attempt_works(empty, key):
    done = interrupted(empty, lambda process: key.stop())
    assert (done.code, done.err.splitlines()[-1]) == (AUTHENTICATOR, f"strongroom: {KEY}The key was unplugged.")
    empty.plug_in()
    assert usable(empty)


def test_a_key_that_another_program_uses_is_waited_for_and_the_user_may_give_up(empty, key):
    """The message comes after about a second; the end without an interrupt is tested with the module."""
    other = os.open(key.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)
    process = subprocess.Popen(
        [BIN / "strongroom", "--socket", empty.socket, "--url", empty.url, "--device", key.path, "init", "--operator",
         "alice", "--yes"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=empty.environment(), preexec_fn=terminal.die_with_parent)
    try:
        began = time.monotonic()
        assert process.stderr.readline() == "Another program is using the key; waiting for it.\n"
        assert time.monotonic() - began < 5 * SLOW
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20 * SLOW)[1] == "strongroom: cancelled; nothing was changed\n"
        assert process.returncode == AUTHENTICATOR
    finally:
        os.close(other)
        process.kill()
        process.wait()
    assert usable(empty)
