"""What the software authenticator promises, proved with the stock tools and library.

Run: /usr/bin/python3 -m pytest tests/authenticator
"""

import base64
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading

import cbor2
import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import stock
from ctap2 import Authenticator
from deviations import DEVIATIONS
from pin import PROTOCOLS
from state import State, pin_hash
from stock import RP, UP, UV, FidoError, Process, base64_lines, device, hid, tool

PIN = "correct horse"
WRONG = "wrong horse"
SALT = hashlib.sha256(b"salt").digest()
OTHER_SALT = hashlib.sha256(b"other salt").digest()


@pytest.fixture
def start(tmp_path):
    """Starts authenticators on one state file, one after the other."""
    started = []

    def start(*options):
        started.append(Process(tmp_path, *options))
        return started[-1]
    yield start
    for process in started:
        process.stop()


def refused(code):
    return pytest.raises(FidoError, match=f"^{hex(code)}$")


class InBackground:
    """A call that waits for a touch, so that the test can go on."""

    def __init__(self, call):
        self.error = None
        self.result = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        try:
            self.result = call()
        except FidoError as error:
            self.error = error.code

    def finish(self):
        self._thread.join(stock.PATIENCE)
        assert not self._thread.is_alive(), "the call still waits"
        return self.error


# Stock tools

def test_fido2_token_lists_what_the_key_can_do(start):
    shown = tool("fido2-token", "-I", start().path)
    assert shown.returncode == 0
    assert "version strings: FIDO_2_0, FIDO_2_1\n" in shown.stdout
    assert "extension strings: credProtect, hmac-secret\n" in shown.stdout
    assert "options: rk, up, noclientPin, pinUvAuthToken\n" in shown.stdout
    assert "pin protocols: 2, 1\n" in shown.stdout
    assert "pin retries: 8\n" in shown.stdout


def test_fido2_token_sets_and_changes_the_pin(start):
    key = start()
    assert tool("fido2-token", "-S", key.path, pins=[PIN, PIN]).returncode == 0
    assert "clientPin" in re.split("[ ,]+", tool("fido2-token", "-I", key.path).stdout)
    assert tool("fido2-token", "-C", key.path, pins=[PIN, "new horse", "new horse"]).returncode == 0
    with device(key.path) as opened:
        with refused(stock.PIN_INVALID):
            opened.make(pin=PIN)
        assert opened.make(pin="new horse").flags & UV


def make_with_tools(key, options, pins=()):
    request = base64_lines(secrets.token_bytes(32), RP, "someone", secrets.token_bytes(16))
    made = tool("fido2-cred", "-M", *options, key.path, stdin=request, pins=pins)
    assert made.returncode == 0, made.stdout
    verified = tool("fido2-cred", "-V", *options, stdin=made.stdout)
    assert verified.returncode == 0, verified.stdout
    assert made.stdout.splitlines()[2] == "packed"
    return verified.stdout


def assert_with_tools(key, made, options, salt, pins=()):
    id, public_key = made.split("\n", 1)
    request = base64_lines(secrets.token_bytes(32), RP, id, salt)
    got = tool("fido2-assert", "-G", "-h", *options, key.path, stdin=request, pins=pins)
    assert got.returncode == 0, got.stdout
    key_file = os.path.join(key.directory, "public.pem")
    with open(key_file, "w") as file:
        file.write(public_key)
    verified = tool("fido2-assert", "-V", "-h", *options, key_file, "es256", stdin=got.stdout)
    assert verified.returncode == 0, verified.stdout
    return base64.b64decode(got.stdout.splitlines()[4])


def test_fido2_assert_gets_the_same_secret_twice(start):
    key = start()
    made = make_with_tools(key, ["-h"])
    first = assert_with_tools(key, made, ["-p"], SALT)
    assert len(first) == 32
    assert assert_with_tools(key, made, ["-p"], SALT) == first
    assert assert_with_tools(key, made, ["-p"], OTHER_SALT) != first


def test_fido2_assert_with_pin_gets_the_same_secret_twice(start):
    key = start("--pin", PIN)
    made = make_with_tools(key, ["-h", "-v"], pins=[PIN])
    first = assert_with_tools(key, made, ["-p", "-v"], SALT, pins=[PIN])
    assert assert_with_tools(key, made, ["-p", "-v"], SALT, pins=[PIN]) == first


def test_fido2_cred_sets_cred_protect(start):
    key = start("--pin", PIN)
    make_with_tools(key, ["-h", "-v", "-c", "3"], pins=[PIN])


def test_fido2_token_resets_the_key(start):
    key = start("--pin", PIN)
    assert tool("fido2-token", "-R", key.path).returncode == 0
    assert "noclientPin" in tool("fido2-token", "-I", key.path).stdout


# hmac-secret

def test_two_salts_give_two_secrets_in_their_order(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        made = opened.make(pin=PIN)
        one = opened.get(made.id, pin=PIN, salt=SALT)[0].secret
        other = opened.get(made.id, pin=PIN, salt=OTHER_SALT)[0].secret
        assert len(one) == len(other) == 32 and one != other
        assert opened.get(made.id, pin=PIN, salt=SALT + OTHER_SALT)[0].secret == one + other
        assert opened.get(made.id, pin=PIN, salt=OTHER_SALT + SALT)[0].secret == other + one


def test_secrets_with_and_without_user_verification_differ_and_stay(start):
    key = start()
    with device(key.path) as opened:
        made = opened.make()
        plain = opened.get(made.id, salt=SALT)[0].secret
        opened.set_pin(PIN)
    with device(key.path) as opened:  # the library reads at open whether there is a PIN
        verified = opened.get(made.id, pin=PIN, salt=SALT)[0].secret
        assert verified != plain
        assert opened.get(made.id, salt=SALT)[0].secret == plain
        opened.set_pin("new horse", PIN)
        assert opened.get(made.id, pin="new horse", salt=SALT)[0].secret == verified


def test_each_credential_has_its_own_secret(start):
    with device(start().path) as opened:
        one, other = opened.make(), opened.make()
        assert opened.get(one.id, salt=SALT)[0].secret != opened.get(other.id, salt=SALT)[0].secret


def test_both_pin_protocols_yield_the_same_secrets(start):
    def secrets_by(protocol, id=None):
        key = start("--pin", PIN, "--pin-protocols", protocol)
        assert f"pin protocols: {protocol}\n" in tool("fido2-token", "-I", key.path).stdout
        with device(key.path) as opened:
            id = id or opened.make(pin=PIN).id
            found = [opened.get(id, pin=pin, salt=SALT + OTHER_SALT)[0].secret for pin in (PIN, None)]
            opened.set_pin("new horse", PIN)
            opened.set_pin(PIN, "new horse")
            with refused(stock.PIN_INVALID):
                opened.get(id, pin=WRONG, salt=SALT)
        key.stop()
        return id, found

    id, by_two = secrets_by("2")
    assert secrets_by("1", id)[1] == by_two


def test_a_credential_made_without_hmac_secret_gives_none(start):
    with device(start().path) as opened:
        made = opened.make(hmac=False)
        assert opened.get(made.id, salt=SALT)[0].secret == b""


def test_secrets_and_credentials_survive_kill_and_restart(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        made = opened.make(pin=PIN)
        before = opened.get(made.id, pin=PIN, salt=SALT)[0]
    key.stop(signal.SIGKILL)
    with device(start().path) as opened:
        after = opened.get(made.id, pin=PIN, salt=SALT)[0]
        after.verify(made.public_key)
        assert after.secret == before.secret
        assert after.counter > before.counter


# Credentials and assertions

def test_a_credential_is_packed_self_attested_and_says_how_the_user_was_verified(start):
    key = start()
    with device(key.path) as opened:
        assert opened.is_fido2()
        made = opened.make()
        assert made.format == "packed" and made.flags & (UP | UV) == UP
        opened.set_pin(PIN)
    with device(key.path) as opened:
        assert opened.make(pin=PIN).flags & (UP | UV) == UP | UV


def test_with_a_pin_set_no_credential_is_made_without_it(start):
    with device(start("--pin", PIN).path) as opened, refused(stock.PIN_REQUIRED):
        opened.make()


def test_an_assertion_is_signed_and_counted(start):
    with device(start().path) as opened:
        made = opened.make()
        first, second = opened.get(made.id)[0], opened.get(made.id)[0]
        for got in (first, second):
            assert got.id == made.id and got.flags & (UP | UV) == UP
            got.verify(made.public_key)
        assert second.counter > first.counter


def test_a_silent_probe_needs_no_touch_and_recognises_only_own_credentials(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        made = opened.make(pin=PIN, protect=2)
        key.control("touch never")
        got = opened.get(made.id, up=False)[0]
        assert got.flags & (UP | UV) == 0
        assert got.id == made.id
        with refused(stock.NO_CREDENTIALS):
            opened.get(secrets.token_bytes(len(made.id)), up=False)
        with refused(stock.NO_CREDENTIALS):
            opened.get(secrets.token_bytes(20), up=False)
        with refused(stock.NO_CREDENTIALS):
            opened.get(made.id, rp="other.example", up=False)
        assert opened.get(secrets.token_bytes(20), made.id, up=False)[0].id == made.id


def test_a_probe_with_pin_is_verified_but_not_touched(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        made = opened.make(pin=PIN)
        key.control("touch never")
        assert opened.get(made.id, pin=PIN, up=False)[0].flags & (UP | UV) == UV


def test_no_secret_leaves_the_key_without_a_touch(start):
    with device(start().path) as opened:
        made = opened.make()
        with refused(stock.UNSUPPORTED_OPTION):
            opened.get(made.id, salt=SALT, up=False)


def test_an_excluded_credential_is_not_made_again(start):
    with device(start().path) as opened:
        made = opened.make()
        with refused(stock.CREDENTIAL_EXCLUDED):
            opened.make(exclude=[made.id])
        opened.make(exclude=[secrets.token_bytes(len(made.id))])
        opened.make(exclude=[made.id], rp="other.example")


def test_cred_protect_hides_a_credential_according_to_its_level(start):
    with device(start("--pin", PIN).path) as opened:
        level = {n: opened.make(pin=PIN, protect=n) for n in (1, 2, 3)}
        assert [made.protect for made in level.values()] == [1, 2, 3]
        for n in (1, 2):
            opened.get(level[n].id)
        with refused(stock.NO_CREDENTIALS):
            opened.get(level[3].id)
        assert opened.get(level[3].id, pin=PIN)[0].id == level[3].id
        with refused(stock.CREDENTIAL_EXCLUDED):
            opened.make(pin=PIN, exclude=[level[3].id])


def test_resident_credentials_are_found_without_their_ids(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        one = opened.make(pin=PIN, user=b"one", resident=True)
        replaced = opened.make(pin=PIN, user=b"two", resident=True)
        two = opened.make(pin=PIN, user=b"two", resident=True)
        hidden = opened.make(pin=PIN, user=b"three", resident=True, protect=2)
        opened.make(pin=PIN, user=b"four")
    key.stop()
    with device(start().path) as opened:
        found = opened.get(pin=PIN, salt=SALT)
        assert [got.id for got in found] == [hidden.id, two.id, one.id]
        assert [got.user for got in found] == [b"three", b"two", b"one"]
        assert [got.user_name for got in found] == [b"someone"] * 3
        for got, made in zip(found, (hidden, two, one)):
            got.verify(made.public_key)
            assert got.secret == opened.get(made.id, pin=PIN, salt=SALT)[0].secret
        unverified = opened.get()
        assert [got.user for got in unverified] == [b"two", b"one"]
        assert [got.user_name for got in unverified] == [None, None]
        assert replaced.id not in [got.id for got in found]


# PIN

def test_three_wrong_pins_lock_the_key_until_it_is_replugged(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        for expected in (stock.PIN_INVALID, stock.PIN_INVALID, stock.PIN_AUTH_BLOCKED, stock.PIN_AUTH_BLOCKED):
            with refused(expected):
                opened.make(pin=WRONG)
        with refused(stock.PIN_AUTH_BLOCKED):
            opened.make(pin=PIN)
        assert opened.retries() == 5
    assert key.control("replug") == "ok"
    with device(key.path) as opened:
        assert opened.retries() == 5
        opened.make(pin=PIN)
        assert opened.retries() == 8


def test_eight_wrong_pins_block_the_pin_for_good_also_over_restarts(start):
    for tries, last in ((3, stock.PIN_AUTH_BLOCKED), (3, stock.PIN_AUTH_BLOCKED), (2, stock.PIN_BLOCKED)):
        key = start("--pin", PIN)
        with device(key.path) as opened:
            for _ in range(tries - 1):
                with refused(stock.PIN_INVALID):
                    opened.make(pin=WRONG)
            with refused(last):
                opened.make(pin=WRONG)
        key.stop(signal.SIGKILL)
    with device(start().path) as opened:
        assert opened.retries() == 0
        with refused(stock.PIN_BLOCKED):
            opened.make(pin=PIN)
        with refused(stock.PIN_BLOCKED):
            opened.set_pin("new horse", PIN)


def test_wrong_pins_in_a_row_are_forgotten_after_a_right_one(start):
    with device(start("--pin", PIN).path) as opened:
        for _ in range(2):
            for _ in range(2):
                with refused(stock.PIN_INVALID):
                    opened.make(pin=WRONG)
            opened.make(pin=PIN)
        assert opened.retries() == 8


def test_a_pin_must_have_four_characters(start):
    with device(start().path) as opened:
        with refused(stock.PIN_POLICY_VIOLATION):
            opened.set_pin("äö")  # four bytes
        opened.set_pin("äöüß")


def test_a_pin_may_have_sixty_three_bytes(start):
    key = start()
    with device(key.path) as opened:
        opened.set_pin("x" * 63)
    with device(key.path) as opened:
        assert opened.make(pin="x" * 63).flags & UV


def test_without_a_pin_set_a_pin_is_refused(start):
    with device(start().path) as opened:
        made = opened.make()
        with refused(stock.PIN_NOT_SET):
            opened.get(made.id, pin=PIN)


def test_the_pin_option_counts_only_for_a_new_state_file(start):
    start("--pin", PIN).stop()
    with device(start("--pin", "new horse").path) as opened:
        opened.make(pin=PIN)


class PinClient:
    """Holds on to a token, which the library never does."""

    def __init__(self, directory, version):
        state = State.open(str(directory / "state"), PIN)
        self._authenticator = Authenticator(state, lambda: None)
        self._version, self._protocol = version, PROTOCOLS[version]()
        made = self.call(1, {1: bytes(32), 2: {"id": RP}, 3: {"id": b"x"}, 4: [{"alg": -7, "type": "public-key"}],
                             **self._proof(8, self.token(1, RP))})
        length = int.from_bytes(made[2][53:55], "big")
        self._id = made[2][55:55 + length]

    def call(self, command, parameters):
        answer = self._authenticator.handle(bytes([command]) + cbor2.dumps(parameters))
        if answer[0]:
            raise FidoError(answer[0])
        return cbor2.loads(answer[1:]) if answer[1:] else None

    def token(self, permissions=None, rp_id=None):
        peer = self.call(6, {1: self._version, 2: 2})[1]
        shared = self._protocol.shared_secret(peer)
        parameters = {1: self._version, 2: 5 if permissions is None else 9, 3: self._protocol.public_key(),
                      6: self._protocol.encrypt(shared, pin_hash(PIN.encode()))}
        if permissions is not None:
            parameters[9] = permissions
        if rp_id is not None:
            parameters[10] = rp_id
        return self._protocol.decrypt(shared, self.call(6, parameters)[2])

    def get(self, token, touch, rp_id=RP):
        self.call(2, {1: rp_id, 2: bytes(32), 3: [{"id": self._id, "type": "public-key"}], 5: {"up": touch},
                      **self._proof(6, token)})

    def _proof(self, key, token):
        return {key: self._protocol.authenticate(token, bytes(32)), key + 1: self._version}


@pytest.mark.parametrize("version", [1, 2])
def test_a_token_is_good_for_one_touch(tmp_path, version):
    client = PinClient(tmp_path, version)
    token = client.token(3, RP)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(secrets.token_bytes(32), touch=False)
    client.get(token, touch=False)
    client.get(token, touch=False)
    client.get(token, touch=True)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(token, touch=False)


@pytest.mark.parametrize("version", [1, 2])
def test_a_token_is_good_only_for_what_it_was_issued_for(tmp_path, version):
    client = PinClient(tmp_path, version)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(client.token(1, RP), touch=True)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(client.token(2, "other.example"), touch=True)
    unbound = client.token()
    client.get(unbound, touch=False)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(unbound, touch=False, rp_id="other.example")
    older = client.token(2, RP)
    client.token(2, RP)
    with refused(stock.PIN_AUTH_INVALID):
        client.get(older, touch=True)
    with refused(stock.UNAUTHORIZED_PERMISSION):
        client.token(0x04)


def test_reset_forgets_pin_and_credentials(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        made = opened.make(pin=PIN)
        resident = opened.make(pin=PIN, resident=True)
        opened.reset()
    with device(key.path) as opened:
        for ids in ([made.id], [resident.id], []):
            with refused(stock.NO_CREDENTIALS):
                opened.get(*ids)
        opened.make()


def test_reset_is_refused_ten_seconds_after_power_up(tmp_path):
    now = [0.0]
    authenticator = Authenticator(State.open(str(tmp_path / "state")), lambda: None, clock=lambda: now[0])
    now[0] = 10.5
    assert authenticator.handle(b"\x07") == bytes([stock.NOT_ALLOWED])
    authenticator.power_up()
    assert authenticator.handle(b"\x07") == b"\0"


# Touch

def test_a_refused_touch_denies_the_operation(start):
    key = start("--touch", "refuse")
    with device(key.path) as opened:
        with refused(stock.OPERATION_DENIED):
            opened.make()
        assert key.control("touch now") == "ok"
        opened.make()


def test_nobody_touching_ends_in_a_timeout(start):
    with device(start("--touch", "never", "--touch-timeout", "0.3").path) as opened:
        with refused(stock.USER_ACTION_TIMEOUT):
            opened.make()


def test_a_touch_that_comes_late_completes_the_operation(start):
    key = start("--touch", "never")
    with device(key.path) as opened:
        call = InBackground(opened.make)
        assert key.line() == "waiting for touch"
        key.control("touch now")
        assert call.finish() is None
        assert opened.get(call.result.id)[0].id == call.result.id


def test_cancel_ends_the_wait_and_the_key_stays_usable(start):
    key = start("--touch", "never")
    with device(key.path) as opened:
        call = InBackground(opened.make)
        assert key.line() == "waiting for touch"
        opened.cancel()
        assert call.finish() == stock.KEEPALIVE_CANCEL
        key.control("touch now")
        opened.make()


def test_unplugging_during_the_wait_is_a_transport_error(start):
    key = start("--touch", "never")
    with device(key.path) as opened:
        call = InBackground(opened.make)
        assert key.line() == "waiting for touch"
        key.control("replug\ntouch now")
        assert call.finish() == stock.RX_ERROR
    with device(key.path) as opened:
        opened.make()


def test_a_handle_from_before_replugging_is_dead(start):
    key = start()
    with device(key.path) as opened:
        key.control("replug")
        with refused(stock.RX_ERROR):
            opened.make()


@pytest.mark.parametrize("pin", [None, PIN])
def test_the_user_can_choose_this_key_by_touching_it(start, pin):
    key = start("--touch", "never", *(["--pin", pin] if pin else []))
    with device(key.path) as opened:
        opened.begin_selection()
        assert key.line() == "waiting for touch"
        assert not opened.selected(200)
        key.control("touch now")
        assert opened.selected(5000)
    with device(key.path) as opened:
        opened.make(pin=pin)


def test_the_control_socket_reports_what_it_does_not_understand(start):
    key = start()
    assert key.control("touch sometimes") == "error: not understood: touch sometimes"
    assert key.control("touch never\nreplug\n") == "ok"


# Deviations

def test_the_help_describes_every_deviation():
    shown = subprocess.run([os.path.join(stock.HERE, "authenticator"), "--help"], capture_output=True, text=True).stdout
    for name in DEVIATIONS:
        assert re.search(f"^  {name}(=[A-Z:\\[\\]]+)?: .", shown, re.M), name


def test_deviations_change_while_it_runs_and_go_away(start):
    key = start("--pin", PIN, "--deviation", "no-hmac")
    assert "extension strings: credProtect\n" in tool("fido2-token", "-I", key.path).stdout
    assert key.control("deviate no-protect always-uv") == "ok"
    shown = tool("fido2-token", "-I", key.path).stdout
    assert "extension strings: hmac-secret\n" in shown and "alwaysUv" in shown
    assert key.control("deviate") == "ok"
    assert "extension strings: credProtect, hmac-secret\n" in tool("fido2-token", "-I", key.path).stdout


@pytest.mark.parametrize("deviation", ["nonsense", "answer=sing:0x01", "answer=make:much"])
def test_unknown_deviations_are_reported(start, deviation):
    assert start().control(f"deviate {deviation}") == f"error: no such deviation: deviate {deviation}"


def test_a_request_is_answered_with_a_chosen_status_as_often_as_wanted(start):
    with device(start("--deviation", "answer=make:0x27:2").path) as opened:
        for _ in range(2):
            with refused(stock.OPERATION_DENIED):
                opened.make()
        opened.make()


# CTAPHID

def test_long_messages_are_split_and_joined(start):
    with hid(start().path) as opened:
        for length in (0, 1, 57, 58, 57 + 59, 57 + 59 + 1, 3000):
            payload = secrets.token_bytes(length)
            assert opened.ask(opened.PING, payload) == (opened.PING, payload)


def test_init_names_ctap2_only(start):
    with hid(start().path) as opened:
        answer = opened.init(opened.channel)
        assert answer[8:12] == opened.channel
        assert answer[12] == 2 and answer[16] == 0x0C


def test_init_on_a_channel_resynchronises_it(start):
    with hid(start().path) as opened:
        opened.write(opened.channel + b"\x81" + (100).to_bytes(2, "big") + bytes(57))
        opened.init(opened.channel)
        assert opened.ask(opened.PING, b"again") == (opened.PING, b"again")


def test_framing_errors_are_named(start):
    with hid(start().path) as opened:
        half = opened.channel + b"\x81" + (200).to_bytes(2, "big") + bytes(57)
        opened.write(half)
        opened.write(opened.channel + b"\x01" + bytes(59))
        assert opened.reply() == (opened.ERROR, b"\x04")  # sequence
        opened.write(half)
        opened.write(half)
        assert opened.reply() == (opened.ERROR, b"\x04")
        opened.write(half)
        assert opened.reply() == (opened.ERROR, b"\x05")  # time
        assert opened.ask(opened.PING, b"x", b"\1\2\3\4") == (opened.ERROR, b"\x0b")  # channel
        assert opened.ask(opened.PING, b"x", opened.BROADCAST) == (opened.ERROR, b"\x0b")
        assert opened.ask(opened.PING, b"x", bytes(4)) == (opened.ERROR, b"\x0b")
        assert opened.ask(0x83, b"x") == (opened.ERROR, b"\x01")  # U2F message
        assert opened.ask(opened.INIT, b"x") == (opened.ERROR, b"\x03")  # length
        assert opened.ask(opened.CBOR) == (opened.ERROR, b"\x03")
        opened.write(opened.channel + b"\x81\xff\xff")
        assert opened.reply() == (opened.ERROR, b"\x03")
        opened.write(opened.channel + b"\x00" + bytes(59))  # the rest of nothing
        opened.send(opened.CANCEL)  # of nothing
        assert opened.ask(opened.PING, b"still here") == (opened.PING, b"still here")


def test_while_a_message_comes_in_other_channels_are_told_to_wait(start):
    with hid(start().path) as opened:
        other = opened.init(opened.BROADCAST)[8:12]
        opened.write(opened.channel + b"\x81" + (60).to_bytes(2, "big") + b"x" * 57)
        assert opened.ask(opened.PING, b"x", other) == (opened.ERROR, b"\x06")
        opened.write(opened.channel + b"\x00" + b"x" * 3)
        assert opened.reply() == (opened.PING, b"x" * 60)


SELECTION = b"\x0b"


def test_while_one_channel_waits_for_a_touch_others_are_told_to_wait(start):
    key = start("--touch", "never")
    with hid(key.path) as opened:
        opened.send(opened.CBOR, SELECTION)
        assert opened.reply() == (opened.KEEPALIVE, b"\x02")
        nonce = secrets.token_bytes(8)
        opened.send(opened.INIT, nonce, opened.BROADCAST)
        other = reply_but_keepalive(opened)[1][8:12]
        opened.send(opened.PING, b"x", other)
        assert reply_but_keepalive(opened) == (opened.ERROR, b"\x06")
        opened.send(opened.CANCEL, b"", other)  # not its to cancel
        opened.send(opened.PING, b"x", other)
        assert reply_but_keepalive(opened) == (opened.ERROR, b"\x06")
        opened.send(opened.CANCEL)
        assert reply_but_keepalive(opened) == (opened.CBOR, bytes([stock.KEEPALIVE_CANCEL]))
        assert opened.ask(opened.PING, b"x", other) == (opened.PING, b"x")


def reply_but_keepalive(opened):
    while True:
        command, payload = opened.reply()
        if command != opened.KEEPALIVE:
            return command, payload


def test_init_on_the_waiting_channel_abandons_the_command(start):
    key = start("--touch", "never")
    with hid(key.path) as opened:
        opened.send(opened.CBOR, SELECTION)
        opened.reply()
        opened.send(opened.INIT, bytes(8))
        assert reply_but_keepalive(opened)[0] == opened.INIT
        assert opened.ask(opened.PING, b"x") == (opened.PING, b"x")


def test_keepalives_go_on_while_waiting(start):
    with hid(start("--touch", "never").path) as opened:
        opened.send(opened.CBOR, SELECTION)
        for _ in range(5):
            assert opened.reply() == (opened.KEEPALIVE, b"\x02")


# CBOR

def test_info_is_canonical_cbor(start):
    with hid(start().path) as opened:
        command, payload = opened.ask(opened.CBOR, b"\x04")
        assert command == opened.CBOR and payload[0] == 0
        info = cbor2.loads(payload[1:])
        assert cbor2.dumps(info, canonical=True) == payload[1:]
        assert list(info) == sorted(info)
        assert list(info[4]) == ["rk", "up", "clientPin", "pinUvAuthToken"]


@pytest.mark.parametrize("request_bytes, status", [
    (b"\x7f", 0x01),
    (b"\x02", 0x14),
    (b"\x02\xa1", 0x12),
    (b"\x02\xa0\x00", 0x12),
    (b"\x02\x80", 0x11),
    (b"\x02" + cbor2.dumps({1: 7, 2: bytes(32)}), 0x11),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 3: [7]}), 0x11),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 5: {"uv": True}}), 0x2C),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 6: bytes(16)}), 0x14),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 6: bytes(16), 7: 3}), 0x02),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 6: bytes(16), 7: 1}), 0x33),
    (b"\x02" + cbor2.dumps({1: RP, 2: bytes(32), 3: [{"type": "public-key", "id": bytes(16)}] * 9}), 0x15),
    (b"\x02" + bytes(2000), 0x39),
    (b"\x06" + cbor2.dumps({1: 2, 2: 99}), 0x3E),
    (b"\x06" + cbor2.dumps({1: 2, 2: 5, 3: {1: 2, 3: -25, -1: 1, -2: bytes(32), -3: bytes(32)}, 6: bytes(32)}), 0x02),
    (b"\x08", 0x30),
])
def test_a_bad_request_gets_the_status_the_standard_names(tmp_path, request_bytes, status):
    authenticator = Authenticator(State.open(str(tmp_path / "state")), lambda: None)
    assert authenticator.handle(request_bytes) == bytes([status])


# Process

def test_answers_left_unread_do_not_confuse_the_next_client(start):
    key = start()
    with hid(key.path) as opened:
        for _ in range(60):  # more than the terminal's own buffer holds
            opened.send(opened.PING, bytes(100))
    assert tool("fido2-token", "-I", key.path).returncode == 0


def test_keepalives_that_nobody_reads_do_not_pile_up(start):
    key = start("--touch", "never")
    with hid(key.path) as opened:
        opened.send(opened.CBOR, SELECTION)
        for _ in range(200):  # each one ends the wait for the next keepalive early
            key.control("touch never")
        key.control("touch now")
        for replies in range(200):
            if opened.reply()[0] == opened.CBOR:
                break
        assert replies < 40


def test_a_client_that_died_while_waiting_does_not_spoil_the_key(start):
    key = start("--touch", "never", "--touch-timeout", "60")
    with hid(key.path) as opened:
        opened.send(opened.CBOR, SELECTION)
        assert key.line() == "waiting for touch"
    key.control("touch now")
    for _ in range(3):
        with device(key.path) as opened:
            opened.make()


def test_half_a_report_from_a_dead_client_is_forgotten(start):
    key = start()
    with hid(key.path) as opened:
        os.write(opened.file, b"\0" + b"\xff" * 30)
        assert opened.read(2) is None  # more than half a second after the key has read it
    with hid(key.path) as opened:
        assert opened.ask(opened.PING, b"x") == (opened.PING, b"x")


def test_a_client_without_terminal_does_not_get_the_key_as_its_terminal(start):
    key = start()
    client = subprocess.run(["sh", "-c", f"exec 3<>{key.path}; if : </dev/tty; then echo taken; fi"],
                            stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
    assert client.stdout == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start, tmp_path, number):
    link = tmp_path / "key"
    key = start("--link", str(link))
    assert os.readlink(link) == key.path
    assert key.stop(number) == 0
    assert not os.path.lexists(link)
    assert not os.path.lexists(key.control_path)


def test_a_signal_ends_it_while_it_waits_for_a_touch(start):
    key = start("--touch", "never")
    with hid(key.path) as opened:
        opened.send(opened.CBOR, SELECTION)
        assert key.line() == "waiting for touch"
        assert key.stop() == 0


def test_a_link_left_by_a_killed_run_is_replaced(start, tmp_path):
    link = tmp_path / "key"
    start("--link", str(link)).stop(signal.SIGKILL)
    assert os.path.lexists(link)
    key = start("--link", str(link))
    assert os.readlink(link) == key.path
    assert tool("fido2-token", "-I", str(link)).returncode == 0


def test_the_state_file_is_private_and_whole(start):
    key = start("--pin", PIN)
    with device(key.path) as opened:
        opened.make(pin=PIN)
    assert os.stat(key.state).st_mode & 0o777 == 0o600
    with open(key.state) as file:
        assert json.load(file)["counter"] == 1
    assert not os.path.exists(key.state + ".new")
