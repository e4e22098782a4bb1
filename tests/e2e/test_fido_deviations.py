"""Keys that differ from the standard, or from what anybody expects: detected, told, or lived with, never trusted."""

import json
import signal

import pytest
from fido_device import HASH, NEXT, PATIENCE, PIN, SALT, WRONG_ANSWER, Answer, refused, tool, waiting_tool
import stock

NO_SECRET = "The key did not deliver the secret."
NO_KEY = "No FIDO2 security key answers there."
FOREIGN = "This key does not belong to this vault (or was reset)."


class Good:
    """A key with one credential, which any test may turn into another kind of key."""

    def __init__(self, process):
        self.process, self.path = process, process.path
        made = tool("enrol", self.path, HASH)
        self.credential = made["id"], made["public"]

    def deviate(self, *deviations):
        assert self.process.control("\n".join(["touch now", f"deviate {' '.join(deviations)}"])) == "ok"
        self.process.forget()

    def enrol(self, *exclude):
        return tool("enrol", self.path, HASH, *exclude)

    def ask(self, credential=None, pin=PIN):
        return tool("assert", self.path, *(credential or self.credential), HASH, SALT, NEXT, pin=pin)

    def has(self):
        return tool("has", self.path, *self.credential)["has"]

    def tries(self):
        with open(self.process.state) as file:
            return json.load(file)["pin_retries"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    process = stock.Process(tmp_path_factory.mktemp("key"), "--pin", PIN)
    yield Good(process)
    process.stop()


@pytest.fixture
def good(shared):
    yield shared
    shared.deviate()


@pytest.fixture
def fingers(tmp_path):
    """Starts a key with a finger reader."""
    running = []

    def start(finger, *options, pin=PIN):
        running.append(stock.Process(tmp_path, "--finger", finger, *(["--pin", pin] if pin else []), *options))
        return running[-1]

    yield start
    for process in running:
        process.stop()


# --- answers that must not be believed ------------------------------------------------------------


@pytest.mark.parametrize("deviation, why", [
    ("no-uv-flag", WRONG_ANSWER),
    ("no-up-flag", WRONG_ANSWER),
    ("other-rp", WRONG_ANSWER),
    ("bad-signature", WRONG_ANSWER),
    ("wrong-id", WRONG_ANSWER),
    ("no-secret", NO_SECRET),
    ("short-secret", NO_SECRET),
    ("other-secret", WRONG_ANSWER),
])
def test_an_answer_that_is_not_what_was_asked_for_gives_no_secret(good, deviation, why):
    good.deviate(deviation)
    answer = good.ask()
    assert refused(answer, "denied", why)
    assert "secrets" not in answer
    good.deviate()
    assert good.ask().code == 0


@pytest.mark.parametrize("deviation", ["no-uv-flag", "no-up-flag", "other-rp", "bad-signature", "forged-certificate"])
def test_an_enrolment_that_is_not_what_was_asked_for_is_refused(good, deviation):
    good.deviate(deviation)
    assert refused(good.enrol(), "denied", WRONG_ANSWER)


def test_an_old_key_that_ignores_verification_is_refused_in_both(good):
    good.deviate("ignore-uv")
    assert refused(good.enrol(), "denied", WRONG_ANSWER)
    answer = good.ask()
    assert refused(answer, "denied", WRONG_ANSWER)
    assert answer["say"] == "Verify yourself on your key" and "secrets" not in answer


@pytest.mark.parametrize("order", ["another-first", "another-last"])
def test_among_several_answers_the_one_of_the_credential_counts(good, order):
    secrets = good.ask()["secrets"]
    good.deviate(order)
    assert good.ask()["secrets"] == secrets


def test_an_answer_may_leave_out_the_id_that_was_asked_for(good):
    secrets = good.ask()["secrets"]
    good.deviate("no-id")
    assert good.ask()["secrets"] == secrets
    assert good.has() == "yes"


# --- enrolment of keys that differ ------------------------------------------------------------------


@pytest.mark.parametrize("deviation", [
    "no-protect", "ignore-protect", "own-protect=1", "own-protect=3", "certificate", "format-none", "terse",
    "strict-options", "always-uv", "no-id"])
def test_harmless_differences_enrol_and_open(good, deviation):
    good.deviate(deviation)
    made = good.enrol()
    assert made.code == 0, made
    answer = good.ask((made["id"], made["public"]))
    assert len(answer["secrets"]) == 128


def test_without_attestation_the_first_assertion_proves_the_key(good):
    good.deviate("format-none", "bad-signature")
    made = good.enrol()
    assert made.code == 0
    assert refused(good.ask((made["id"], made["public"])), "denied", WRONG_ANSWER)


@pytest.mark.parametrize("protection", ["own-protect=2", "own-protect=3"])
def test_a_key_is_enrolled_once(good, protection):
    good.deviate(protection)
    made = good.enrol(*good.credential)
    assert refused(made, "conflict", "This key is already enrolled.")
    assert "asked" not in made, "it was found out silently"


def test_a_key_that_hides_its_credential_is_enrolled_once_too(good):
    good.deviate("own-protect=3")
    hidden = good.enrol()
    assert tool("has", good.path, hidden["id"], hidden["public"])["has"] == "no"
    again = good.enrol(hidden["id"], hidden["public"])
    assert refused(again, "conflict", "This key is already enrolled.")
    assert again["asked"] == "8"


def test_more_credentials_than_a_key_takes_in_one_request_do_not_stop_an_enrolment(good):
    others = [f"{i:02x}" * 62 for i in range(12)]
    assert good.enrol(*(word for other in others for word in (other, "00" * 64))).code == 0
    assert refused(good.enrol(*(word for other in others for word in (other, "00" * 64)), *good.credential),
                   "conflict", "This key is already enrolled.")


# --- keys that cannot be asked silently ----------------------------------------------------------------


@pytest.mark.parametrize("deviation, has", [
    ("always-uv", "unknown"),
    ("not-silent=0x3b", "unknown"),
    ("not-silent=0x2b", "unknown"),
    ("invent", "unknown"),
    ("bad-signature", "unknown"),
    ("other-rp", "unknown"),
    ("wrong-id", "unknown"),
    ("another-first", "yes"),
    ("answer=probe:0x22", "no"),
    ("answer=probe:0x7f", "unknown"),
    ("answer=probe:silence", "unknown"),
])
def test_a_silent_answer_is_believed_only_with_a_good_signature(good, deviation, has):
    good.deviate(deviation)
    assert good.has() == has


def test_a_key_that_wants_a_touch_for_a_silent_question_is_not_waited_for_but_asked_with_its_pin(good):
    good.deviate("ignore-up")
    good.process.control("touch never")
    process = waiting_tool(good.process, "find", good.path, "aa" * 62, "bb" * 64, *good.credential, *good.credential)
    while good.process.line() != "waiting for touch":  # nobody touched for a silent question
        pass
    good.process.control("touch now")
    answer = Answer(0, process.communicate(timeout=PATIENCE)[0])
    assert (answer["found"], answer["asked"], answer["say"]) == ("1", "8", "Touch your key if it blinks")
    assert good.has() == "yes"


@pytest.mark.parametrize("deviation", ["always-uv", "not-silent=0x3b", "not-silent=0x2b", "invent"])
def test_such_a_key_is_believed_to_have_the_only_credential(good, deviation):
    good.deviate(deviation)
    answer = tool("find", good.path, *good.credential)
    assert answer["found"] == "0" and "asked" not in answer
    assert good.ask().code == 0


@pytest.mark.parametrize("deviation", ["always-uv", "not-silent=0x3b", "not-silent=0x2b", "invent"])
def test_among_several_credentials_such_a_key_is_asked_again_with_its_pin(good, deviation):
    good.deviate(deviation)
    answer = tool("find", good.path, "aa" * 62, "bb" * 64, *good.credential)
    assert answer["found"] == "1"
    assert answer.names.count("asked") == 1


def test_a_hidden_credential_is_found_with_the_pin(good):
    good.deviate("own-protect=3")
    hidden = good.enrol()
    answer = tool("find", good.path, "aa" * 62, "bb" * 64, hidden["id"], hidden["public"])
    assert (answer["found"], answer["asked"]) == ("1", "8")


def test_a_key_that_invents_credentials_is_found_out_when_the_pin_is_known(good):
    good.deviate("invent")
    answer = tool("find", good.path, "aa" * 62, "bb" * 64, "cc" * 62, "dd" * 64)
    assert refused(answer, "not-found", FOREIGN)
    assert refused(good.ask(("aa" * 62, "bb" * 64)), "not-found", FOREIGN)


# --- keys that cannot be used -----------------------------------------------------------------------------


@pytest.mark.parametrize("deviation, status, why", [
    ("no-hmac", "denied", "This key cannot store secrets (no hmac-secret)."),
    ("no-es256", "denied", "The key has no ES256."),
    ("new-pin-required", "conflict",
     "The PIN must be changed first, with the key maker's tool or: fido2-token -C DEVICE"),
    ("unordered", "io", NO_KEY),
    ("answer=info:0x01", "io", NO_KEY),
])
def test_a_key_that_a_vault_cannot_use_is_refused_when_it_is_opened(good, deviation, status, why):
    good.deviate(deviation)
    answer = tool("open", good.path)
    assert refused(answer, status, why)


def test_a_key_from_before_ctap2_is_not_used(tmp_path):
    process = stock.Process(tmp_path, "--u2f-only")
    assert refused(tool("open", process.path), "io", NO_KEY)
    process.stop()


# --- busy, and tries left ---------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", ["answer=make:0x06:3", "answer=info:0x06:3"])
def test_a_key_that_is_busy_for_a_moment_is_asked_again(good, busy):
    good.deviate(busy)
    made = good.enrol()
    assert made.code == 0 and made.names.count("asked") == 1


def test_a_key_that_is_busy_after_a_cancel_is_usable_again(good):
    good.deviate("busy-after-cancel=5")
    good.process.control("touch never")
    process = waiting_tool(good.process, "assert", good.path, *good.credential, HASH, SALT, NEXT)
    process.send_signal(signal.SIGINT)
    assert refused(Answer(1, process.communicate(timeout=PATIENCE)[0]), "denied", "Cancelled.")
    good.process.control("touch now")
    assert good.ask().code == 0


def test_a_key_that_does_not_tell_its_tries_is_still_asked(good):
    good.deviate("answer=retries:0x01")
    answer = good.ask()
    assert (answer.code, answer["asked"]) == (0, "-1")
    answer = good.ask(pin="9999")
    assert (answer["why"], answer["tries"]) == ("Wrong PIN.", "-1")
    assert good.ask().code == 0


def test_a_blocked_key_that_goes_on_counting_is_sent_one_pin_at_a_time(good):
    good.deviate("counts-when-blocked")
    for left in (7, 6, 5, 4, 3):
        answer = good.ask(pin="9999")
        assert answer.code == 1 and answer.names.count("asked") == 1
        assert good.tries() == left, "nothing is sent twice"
    good.process.control("replug")
    assert good.ask().code == 0 and good.tries() == 8


# --- a key with a finger reader -----------------------------------------------------------------------------


def test_a_finger_needs_no_pin_and_gives_the_same_secret(fingers):
    key = fingers("good")
    made = tool("unlock", key.path, HASH, SALT, NEXT)
    assert made.code == 0 and "asked" not in made
    key.control("finger bad")
    by_pin = tool("assert", key.path, made["id"], made["public"], HASH, SALT, NEXT)
    assert by_pin["secrets"] == made["secrets"]
    assert by_pin["asked"] == "8"


def test_after_too_many_bad_fingers_the_pin_is_asked_for(fingers):
    key = fingers("bad")
    said = [tool("enrol", key.path, HASH) for _ in range(3)]
    assert all(answer.code == 0 and answer["asked"] == "8" for answer in said), "a good PIN forgives"
    key.stop()
    blocked = fingers("good", "--deviation", "answer=finger:0x3c")
    answer = tool("enrol", blocked.path, HASH)
    assert (answer.code, answer["asked"], answer["say"]) == (0, "8", "Touch your key")


def test_a_bad_finger_on_a_key_without_pin_is_told_with_the_tries_left(fingers):
    key = fingers("bad", pin=None)
    for tries in ("2", "1"):
        answer = tool("enrol", key.path, HASH)
        assert refused(answer, "denied", "Finger not recognised.")
        assert answer["tries"] == tries
    assert refused(tool("enrol", key.path, HASH), "denied", "Too many bad fingers: enter the PIN.")


def test_every_deviation_is_named_in_a_test():
    from deviations import DEVIATIONS
    with open(__file__) as file:
        text = file.read()
    assert [name for name in DEVIATIONS if f'"{name}' not in text] == []
