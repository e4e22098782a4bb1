"""Several keys plugged in, and none named: which one it is, by asking silently, by touch, and by permission."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import terminal
from fido_device import HASH, NEXT, PATIENCE, PIN, SALT, TOOL, Answer, refused
from harness import BIN, OK, SLOW, Authenticator, Vault
from harness import PIN as VAULT_PIN
from plugged import Plugged

import stock  # its folder is on the path since harness

pytestmark = pytest.mark.skipif(SLOW > 1, reason="sanitizers and umockdev both want to be loaded first")

CHOOSE = "Several keys are plugged in. Touch the one to use:"
ENVIRONMENT = dict(os.environ, FIDO_TOOL_PIN=PIN)


class Key(stock.Process):
    def __init__(self, directory, name, *options):
        (directory / name).mkdir()
        super().__init__(directory / name, "--pin", PIN, *options)
        self.name = name
        self.credential = None

    def enrol(self):
        made = Answer(0, subprocess.run([TOOL, "enrol", self.path, HASH], capture_output=True, text=True, check=True,
                                        env=ENVIRONMENT).stdout)
        self.credential = made["id"], made["public"]
        return self

    def has(self, id, public):
        return subprocess.run([TOOL, "has", self.path, id, public], capture_output=True, text=True).stdout \
            == "opened yes\nhas yes\n"

    def blinks(self):
        while self.line() != "waiting for touch":
            pass


@pytest.fixture
def keys(tmp_path):
    """Makes keys: keys("red", "blue"), or with options keys(("red", "--touch", "never"))."""
    made = []

    def make(*descriptions):
        for description in descriptions:
            words = (description,) if isinstance(description, str) else description
            made.append(Key(tmp_path, *words))
        return made[-len(descriptions):]

    yield make
    for key in made:
        key.stop()


@pytest.fixture
def plug(tmp_path):
    def plug(*keys, **options):
        return Plugged(tmp_path, *keys, **options)
    return plug


def tool(plugged, *words, **options):
    done = subprocess.run(plugged.command(TOOL, *words, **options), capture_output=True, text=True, timeout=PATIENCE,
                          env=ENVIRONMENT)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    answer = Answer(done.returncode, done.stdout)
    answer.said = [line[4:] for line in done.stdout.splitlines() if line.startswith("say ")]
    return answer


class Running:
    """The tool, so that something can happen meanwhile."""

    def __init__(self, plugged, *words):
        self._process = subprocess.Popen(plugged.command(TOOL, *words), stdout=subprocess.PIPE, text=True,
                                         env=ENVIRONMENT, start_new_session=True,
                                         preexec_fn=terminal.die_with_parent)

    def interrupt(self):
        os.killpg(self._process.pid, signal.SIGINT)

    def finish(self):
        output = self._process.communicate(timeout=PATIENCE)[0]
        return Answer(1 if "\nstatus " in f"\n{output}" else 0, output)


NEVER = ("--touch", "never")


# --- none, one, several ---------------------------------------------------------------------------------------


def test_without_a_key_there_is_none(plug):
    assert refused(tool(plug(), "open", "-"), "not-found", "No security key is plugged in.")


def test_a_mouse_is_no_key(plug):
    assert refused(tool(plug(mouse=True), "open", "-"), "not-found", "No security key is plugged in.")


def test_the_only_key_is_used_without_a_word(keys, plug):
    red, = keys("red")
    answer = tool(plug(red, mouse=True), "unlock", "-", HASH, SALT, NEXT)
    assert answer.code == 0
    assert answer.said == ["Touch your key", "Touch your key"]


def test_several_keys_are_listed_with_their_names(keys, plug):
    plugged = plug(*keys("red", "blue", "green"), mouse=True)
    assert tool(plugged, "list") == {"/dev/hidraw1": "Maker Key red", "/dev/hidraw2": "Maker Key blue",
                                     "/dev/hidraw3": "Maker Key green"}


@pytest.mark.skipif(os.getuid() != 0, reason="root alone may become somebody else")
def test_a_key_that_one_may_not_open_is_told(keys, plug):
    red, = keys("red")
    os.chmod(red.path, 0o600)
    nobody = pwd.getpwnam("nobody")
    become = (f'chmod -R a+rX,a+w "$UMOCKDEV_DIR"; set -- setpriv --reuid={nobody.pw_uid} --regid={nobody.pw_gid} '
              '--clear-groups "$@"; ')
    # The tree may lie where only root can go.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        copy = Path(shutil.copy(TOOL, directory))
        done = subprocess.run(plug(red).command(copy, "open", "-", become=become), capture_output=True, text=True)
    answer = Answer(done.returncode, done.stdout)
    assert answer.get("status") == "denied", done
    assert answer["why"].startswith("A key is plugged in but you may not open it")


# --- found silently -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ["red", "green"])
def test_among_several_keys_the_right_one_is_found_without_touch_and_pin(keys, plug, right):
    made = keys("red", "blue", "green")
    key = next(key for key in made if key.name == right).enrol()
    for other in made:
        other.control("touch never")
    plugged = plug(*made)
    answer = tool(plugged, "find", "-", "aa" * 62, "bb" * 64, *key.credential)
    assert (answer.code, answer["found"], answer.said) == (0, "1", [plugged.using(key)])
    assert "asked" not in answer


def test_keys_of_other_vaults_are_told_apart_from_none(keys, plug):
    made = keys("red", "blue")
    answer = tool(plug(*made), "find", "-", "aa" * 62, "bb" * 64)
    assert refused(answer, "not-found", "None of the keys plugged in belongs to this vault.")


def test_a_key_that_invents_credentials_does_not_hide_the_right_one(keys, plug):
    liar, = keys(("liar", "--deviation", "invent"))
    red, = keys("red")
    red.enrol()
    plugged = plug(liar, red)
    answer = tool(plugged, "find", "-", *red.credential)
    assert (answer["found"], answer.said) == ("0", [plugged.using(red)])


def test_a_key_that_is_not_silent_is_asked_with_its_pin_when_no_other_fits(keys, plug):
    red, blue = keys("red", "blue")
    blue.enrol().control("deviate always-uv")
    plugged = plug(red, blue)
    answer = tool(plugged, "find", "-", "aa" * 62, "bb" * 64, *blue.credential)
    assert (answer["found"], answer["asked"]) == ("1", "8")
    assert answer.said == [plugged.using(blue), "Touch your key if it blinks"]


def test_a_key_that_cannot_be_used_is_told_and_does_not_spoil_the_others(keys, plug):
    red, = keys("red")
    old, = keys(("old", "--u2f-only"))
    red.enrol()
    plugged = plug(old, red)
    answer = tool(plugged, "find", "-", *red.credential)
    assert answer["found"] == "0"
    assert answer.said == [f"{plugged.text(old)}: No FIDO2 security key answers there."]


# --- chosen by touch ---------------------------------------------------------------------------------------------


def test_if_several_keys_fit_the_one_that_is_touched_is_taken(keys, plug):
    red, blue, green = keys("red", "blue", "green")
    plugged = plug(red, blue, green)
    for key in (red, green):
        key.enrol().control("touch never")
    running = Running(plugged, "find", "-", *red.credential, *green.credential)
    red.blinks()
    green.blinks()
    green.control("touch now")
    answer = running.finish()
    assert answer["found"] == "1"


def test_for_an_enrolment_the_key_that_is_touched_is_taken(keys, plug):
    red, blue = keys(("red", *NEVER), ("blue", *NEVER))
    plugged = plug(red, blue)
    running = Running(plugged, "enrol", "-", HASH)
    for key in (red, blue):
        key.blinks()
    blue.control("touch now")
    answer = running.finish()
    assert answer.code == 0
    assert blue.has(answer["id"], answer["public"]) and not red.has(answer["id"], answer["public"])


def test_a_key_that_is_busy_after_losing_the_choice_is_usable_again(keys, plug):
    red, blue = keys(("red", *NEVER, "--deviation", "busy-after-cancel=3"), ("blue", *NEVER))
    running = Running(plug(red, blue), "enrol", "-", HASH)
    for key in (red, blue):
        key.blinks()
    blue.control("touch now")
    assert running.finish().code == 0
    red.control("touch now")
    assert tool(plug(red), "unlock", "-", HASH, SALT, NEXT).code == 0


@pytest.mark.parametrize("loss", ["touch refuse", "unplugged"])
def test_a_key_that_drops_out_leaves_the_choice_to_the_others(keys, plug, loss):
    red, blue, green = keys(("red", *NEVER), ("blue", *NEVER), ("green", *NEVER))
    running = Running(plug(red, blue, green), "enrol", "-", HASH)
    for key in (red, blue, green):
        key.blinks()
    if loss == "unplugged":
        red.stop()
    else:
        red.control(loss)
    green.control("touch now")
    answer = running.finish()
    assert answer.code == 0 and green.has(answer["id"], answer["public"])


def test_nobody_touching_any_key_is_told(keys, plug):
    red, blue = keys(*((name, *NEVER, "--touch-timeout", "0.5") for name in ("red", "blue")))
    assert refused(tool(plug(red, blue), "open", "-"), "limit", "Nobody touched the key in time.")


def test_an_interrupt_ends_the_choice_and_the_keys_stay_usable(keys, plug):
    red, blue = keys(("red", *NEVER), ("blue", *NEVER))
    plugged = plug(red, blue)
    running = Running(plugged, "open", "-")
    for key in (red, blue):
        key.blinks()
    running.interrupt()
    assert refused(running.finish(), "denied", "Cancelled.")
    for key in (red, blue):
        key.control("touch now")
    assert tool(plugged, "open", "-")["opened"] == "yes"


# --- the shipped program -------------------------------------------------------------------------------------------


@pytest.fixture
def vault():
    vault = Vault()
    vault.start()
    yield vault
    vault.close()


@pytest.fixture
def pair(tmp_path):
    """Two keys for the shipped program."""
    made = []
    for name in ("red", "blue"):
        made.append(Authenticator(tmp_path / name))
        made[-1].name = name
    yield made
    for key in made:
        key.stop()


def strongroom(vault, plugged, *words, answers, on_prompt=None):
    done = terminal.run(plugged.command(BIN / "strongroom", *words), answers, b"", vault.environment(),
                        on_prompt=on_prompt)
    assert done.code == OK, f"{done}\n{vault.log()[-2000:]}"
    return done


def test_a_vault_is_made_with_the_key_that_is_touched_and_opened_by_the_key_that_fits(vault, pair, plug):
    red, blue = pair
    plugged = plug(red, blue)
    red.control("touch never")
    done = strongroom(vault, plugged, "--socket", vault.socket, "--url", vault.url, "init", "--operator", "alice",
                      "--yes", answers=[("pin", VAULT_PIN)])
    said = done.err.splitlines()
    at = said.index(CHOOSE)
    assert said[at + 1:at + 3] == [plugged.text(key) for key in pair]
    assert (red.touches, blue.touches) == (0, 3), "chosen, enrolled, asked"
    vault.lock()
    strongroom(vault, plugged, "unlock", answers=[("pin", VAULT_PIN)])
    assert vault.state == "unlocked"
    assert red.touches == 0
