"""strongroom doctor: each trouble is made for real, and must be found, named and answered with what to do."""

import fcntl
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from fido_device import HASH, NEXT, SALT, tool
from fido_device import PIN as KEY_PIN
from harness import (AUTHENTICATOR, BIN, CONFLICT, DENIED, LOCKED, OK, PIN, SLOW, UNCONNECTED, await_that, faked,
                     free_port, recovery_code)
from operators import team
from plugged import Plugged

import stock  # its folder is on the path since harness

OTHER, BOUND = 1, 10
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone may become somebody else")
plain_build = pytest.mark.skipif(SLOW > 1, reason="sanitizers want to be loaded first, and so do faketime and umockdev")

STATES = {"ok", "warn", "fail", "unchecked"}


class Findings:
    def __init__(self, code, text):
        self.code, self.checks = code, json.loads(text)["checks"]
        for check in self.checks:
            assert check["state"] in STATES and check["what"].endswith("."), check
            assert (check["state"] in ("warn", "fail")) == bool(check["do"]), "what is wrong has a remedy"
        assert (code != OK) == any(check["state"] == "fail" for check in self.checks)

    def all(self, name, of="here"):
        return [check for check in self.checks if (check["name"], check["of"]) == (name, of)]

    def __call__(self, name, of="here"):
        found = self.all(name, of)
        assert len(found) == 1, (name, self.checks)
        return found[0]

    def state(self, name, of="here"):
        return self(name, of)["state"]


def examine(vault, *words, profile=None):
    """The doctor of a vault's operator, with no hardware key named unless words do."""
    done = vault.cli("--json", *words, "doctor", expect=None, profile=profile)
    return Findings(done.code, done.out)


def alone(tmp_path, *words, launcher=(), program=BIN / "strongroom", **variables):
    """On a machine where nothing is set up."""
    done = subprocess.run([*map(str, launcher), program, "--json", *map(str, words), "doctor"], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=120 * SLOW, cwd="/",
                          env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables})
    assert done.stdout, done
    return Findings(done.returncode, done.stdout)


@pytest.fixture
def vault_copy(vault, tmp_path):
    """A profile of the shared vault that a test may damage."""
    return Path(shutil.copytree(vault.profile, tmp_path / "profile"))


@pytest.fixture
def key(tmp_path):
    """Makes an authenticator that is not enrolled anywhere."""
    made = []

    def make(*options, pin=KEY_PIN, name="key"):
        (tmp_path / name).mkdir()
        made.append(stock.Process(tmp_path / name, *(["--pin", pin] if pin else []), *options))
        made[-1].name = name
        return made[-1]

    yield make
    for process in made:
        process.stop()


# --- when all is well -------------------------------------------------------------------------------


def test_an_operator_with_their_key_and_an_open_vault_has_no_failure(vault):
    found = examine(vault, "--device", vault.authenticator.path)
    assert found.code == OK
    for name in ("memory-locked", "core-dumps", "profile", "profile-directory", "private-key", "pinned-keys",
                 "certificate", "certificate-key", "certificate-validity", "connection", "vault-identity",
                 "server-certificate", "clock", "hardware-key", "hardware-key-pin", "hardware-key-slot"):
        assert found.state(name) == "ok", found(name)
    assert "operator alice" in found("certificate")["what"]
    assert "TLS 1.3" in found("connection")["what"]
    assert "alice" in found("hardware-key-slot")["what"]
    for name in ("vault-state", "copy-on-write", "disk-space", "clock-held", "recovery-cards", "spare-key", "rotation",
                 "journal", "server-certificate", "operator-certificates", "syscall-filter", "self-lock"):
        assert found.state(name, "vault") == "ok", found(name, "vault")


def test_looking_takes_neither_touch_nor_pin(vault):
    touches, tries = vault.authenticator.touches, vault.authenticator.memory["pin_retries"]
    assert examine(vault, "--device", vault.authenticator.path).state("hardware-key-slot") == "ok"
    assert (vault.authenticator.touches, vault.authenticator.memory["pin_retries"]) == (touches, tries)


def test_people_get_a_table_with_what_to_do_below_what_is_wrong(tmp_path):
    done = subprocess.run([BIN / "strongroom", "doctor"], capture_output=True, text=True, cwd="/", timeout=60 * SLOW,
                          stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    lines = done.stdout.splitlines()
    assert lines[0] == "This machine"
    at = next(i for i, line in enumerate(lines) if line.split()[:2] == ["warn", "profile"])
    assert lines[at].endswith("/.config/strongroom.")
    assert "strongroom profile create" in lines[at + 1] and lines[at + 1].startswith("    ")


def test_the_local_socket_is_enough_to_examine_the_vault(vault, tmp_path):
    found = alone(tmp_path, "--socket", vault.socket)
    assert found.state("profile") == "ok"
    assert found.state("connection") == "ok" and "local socket" in found("connection")["what"]
    assert found.state("server-certificate") == "unchecked"
    assert found.state("vault-state", "vault") == "ok"


def test_without_a_home_directory_the_rest_is_still_checked():
    done = subprocess.run([BIN / "strongroom", "--json", "doctor"], capture_output=True, text=True, cwd="/",
                          stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"}, timeout=60 * SLOW)
    found = Findings(done.returncode, done.stdout)
    assert found.code == OTHER and "--profile" in found("profile")["do"] + found("profile")["what"]
    assert found.state("memory-locked") == "ok"


# --- this machine -----------------------------------------------------------------------------------


@plain_build
def test_a_limit_of_locked_memory_that_is_too_low_is_named_and_the_rest_goes_on(tmp_path):
    tmp_path.chmod(0o755)
    as_user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    launcher = [*as_user, "prlimit", "--memlock=65536:65536"]
    # The tree may lie where only root can go.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(BIN / "strongroom", directory)
        found = alone(tmp_path, launcher=launcher, program=program)
        assert found.code == OTHER
        assert found.state("memory-locked") == "fail" and "2048" in found("memory-locked")["do"]
        assert found.state("memory-hidden") == "unchecked" and found.state("core-dumps") == "ok"
        other = subprocess.run([*launcher, program, "status"], capture_output=True, text=True,
                               env={"PATH": "/usr/bin:/bin", "HOME": "/"}, cwd="/")
    assert other.returncode == OTHER
    assert "2048" in other.stderr and "strongroom doctor" in other.stderr


@plain_build
def test_a_kernel_without_memfd_secret_is_a_warning_with_the_daemons_own_words(tmp_path):
    found = alone(tmp_path, launcher=[Path(__file__).parent / "older_kernel"])
    assert found.state("memory-locked") == "ok" and found.state("memory-hidden") == "warn"
    assert "6.5" in found("memory-hidden")["do"]


# --- profile and certificate ------------------------------------------------------------------------


def test_a_private_key_that_others_may_read_is_a_failure(vault, vault_copy):
    (vault_copy / "client.key").chmod(0o644)
    found = examine(vault, profile=vault_copy)
    assert found.code == DENIED
    assert found.state("private-key") == "fail" and "chmod 600" in found("private-key")["do"]
    assert found.state("connection") == "fail", "no command uses such a key"


@pytest.mark.parametrize("mode, state", [(0o755, "warn"), (0o777, "fail")])
def test_a_profile_directory_that_is_open_to_others_is_told(vault, vault_copy, mode, state):
    vault_copy.chmod(mode)
    found = examine(vault, profile=vault_copy)
    assert found.state("profile-directory") == state and "chmod 700" in found("profile-directory")["do"]


def test_a_damaged_profile_is_told_with_the_line(vault, vault_copy):
    (vault_copy / "profile.json").write_text('{"url": "https://127.0.0.1:1",\n"vault" 5}')
    found = examine(vault, profile=vault_copy)
    assert found.code == OTHER
    assert found.state("profile") == "fail" and "line 2" in found("profile")["what"]
    assert found.state("certificate") == "unchecked"


def test_a_pinned_key_that_is_no_key_is_told(vault, vault_copy):
    profile = json.loads((vault_copy / "profile.json").read_text())
    (vault_copy / "profile.json").write_text(json.dumps({**profile, "intake_key": "abc"}))
    found = examine(vault, profile=vault_copy)
    assert found.state("pinned-keys") == "fail" and "intake_key" in found("pinned-keys")["what"]


def test_a_key_and_a_certificate_that_do_not_belong_together_are_told(vault, vault_copy):
    other = vault.certify("auditor", "eve")
    shutil.copy(other.key, vault_copy / "client.key")
    (vault_copy / "client.key").chmod(0o600)
    found = examine(vault, profile=vault_copy)
    assert found.state("certificate") == "ok"
    assert found.state("certificate-key") == "fail" and "certificate request" in found("certificate-key")["do"]


def test_a_ca_of_another_vault_is_told(vault, own, vault_copy):
    shutil.copy(own.ca, vault_copy / "ca.crt")
    found = examine(vault, profile=vault_copy)
    assert found.code == DENIED
    assert found.state("certificate") == "fail" and "not from this vault" in found("certificate")["what"]
    assert found.state("certificate-validity") == "unchecked"


def test_a_revoked_certificate_is_told_by_the_vault(vault, tmp_path):
    who = vault.certify("auditor", "gone")
    profile = tmp_path / "gone"
    vault.cli("profile", "create", "--url", vault.url, "--ca", vault.ca, "--certificate", who.certificate, "--key",
              who.key, profile=profile)
    assert examine(vault, profile=profile).state("connection") == "ok"
    spki = next(c["spki"] for c in vault.cli_json("certificate", "list")["certificates"] if c["name"] == "gone")
    vault.cli("certificate", "revoke", spki, "--yes")
    found = examine(vault, profile=profile)
    assert found.code == DENIED and "revoked" in found("connection")["what"]


@plain_build
@pytest.mark.parametrize("offset, state, word", [("+340d", "warn", "ends on"), ("+366d", "fail", "ended on"),
                                                 ("-2d", "fail", "not valid yet")])
def test_a_certificate_is_judged_by_the_time_it_has_left(vault, offset, state, word):
    done = subprocess.run([BIN / "strongroom", "--json", "doctor"], capture_output=True, text=True, cwd="/",
                          env={**vault.environment(), **faked(offset)}, timeout=60)
    found = Findings(done.returncode, done.stdout)
    check = found("certificate-validity")
    assert check["state"] == state and word in check["what"], check
    assert found.state("certificate") == "ok", "it is the right one all the same"
    if state == "fail":
        assert found.code == DENIED


# --- connection and clock -----------------------------------------------------------------------------


def test_a_vault_that_is_not_there_is_unreachable(vault):
    found = examine(vault, "--url", f"https://127.0.0.1:{free_port()}")
    assert found.code == UNCONNECTED
    assert found.state("connection") == "fail" and "strongroomd" in found("connection")["do"]
    assert found.state("clock") == "unchecked" and found.state("vault") == "unchecked"


def test_a_server_that_is_not_the_vault_is_told(vault, own):
    found = examine(vault, "--url", own.url)
    assert found.code == UNCONNECTED and "not from this vault" in found("connection")["what"]


def test_another_vault_on_the_local_socket_is_not_the_one_of_the_profile(vault, own):
    found = examine(vault, "--socket", own.socket)
    assert found.code == CONFLICT and found.state("vault-identity") == "fail"


@plain_build
@pytest.mark.parametrize("offset, state, word", [("+1h", "warn", "ahead of"), ("+5s", "ok", "agrees")])
def test_a_clock_that_differs_from_the_vaults_is_told(vault, offset, state, word):
    done = subprocess.run([BIN / "strongroom", "--json", "doctor"], capture_output=True, text=True, cwd="/",
                          env={**vault.environment(), **faked(offset)}, timeout=60)
    check = Findings(done.returncode, done.stdout)("clock")
    assert check["state"] == state and word in check["what"], check


# --- hardware keys --------------------------------------------------------------------------------------


def test_without_a_hardware_key_that_is_said(tmp_path):
    check = alone(tmp_path)("hardware-key")
    assert check["state"] == "warn" and "No security key" in check["what"]


def test_an_auditor_needs_no_hardware_key(vault, tmp_path):
    who = vault.certify("auditor", "carl")
    profile = tmp_path / "carl"
    vault.cli("profile", "create", "--url", vault.url, "--ca", vault.ca, "--certificate", who.certificate, "--key",
              who.key, profile=profile)
    found = examine(vault, profile=profile)
    assert found.state("hardware-key") == "ok"
    assert found.state("vault", "vault") == "unchecked", "and what operators may ask is not theirs"


@pytest.mark.parametrize("options, pin, what, do", [
    ((), None, "no PIN", "fido2-token -S"),
    (("--u2f-only",), KEY_PIN, "FIDO2", "Use another key"),
    (("--deviation", "no-hmac"), KEY_PIN, "hmac-secret", "Use another key"),
    (("--deviation", "new-pin-required"), KEY_PIN, "must be changed", "fido2-token -C"),
], ids=["no PIN", "no FIDO2", "no hmac-secret", "PIN to be changed"])
def test_a_key_that_a_vault_cannot_use_is_told_with_the_reason(tmp_path, key, options, pin, what, do):
    found = alone(tmp_path, "--device", key(*options, pin=pin).path)
    assert found.code == AUTHENTICATOR
    check = found("hardware-key")
    assert check["state"] == "fail" and what in check["what"] and do in check["do"], check


def test_a_path_that_is_no_key_is_told(tmp_path):
    assert alone(tmp_path, "--device", "/dev/null").state("hardware-key") == "fail"
    assert "/dev/hidraw" in alone(tmp_path, "--device", "/dev/nothing")("hardware-key")["do"]


def test_a_path_that_is_no_text_is_told_all_the_same(tmp_path):
    found = alone(tmp_path, "--device", os.fsdecode(b"/dev/\xff\x1b[31m"))
    assert "/dev/??[31m" in found("hardware-key")["what"]


def wrong(key, credential, times):
    for attempt in range(times):
        if attempt % 2 == 0:
            key.control("replug")
        tool("assert", key.path, *credential, HASH, SALT, NEXT, pin="9999")


def test_few_tries_of_the_pin_are_a_warning_and_none_is_a_failure(tmp_path, key):
    red = key()
    made = tool("enrol", red.path, HASH)
    credential = made["id"], made["public"]
    assert alone(tmp_path, "--device", red.path).state("hardware-key-pin") == "ok"
    wrong(red, credential, 5)
    check = alone(tmp_path, "--device", red.path)("hardware-key-pin")
    assert check["state"] == "warn" and "3 tries" in check["what"]
    wrong(red, credential, 3)
    found = alone(tmp_path, "--device", red.path)
    assert found.code == AUTHENTICATOR
    assert found.state("hardware-key-pin") == "fail" and "blocked" in found("hardware-key-pin")["what"]


def test_a_key_of_another_vault_belongs_to_no_slot(vault, own):
    found = examine(vault, "--device", own.authenticator.path)
    assert found.code == AUTHENTICATOR and found.state("hardware-key") == "ok"
    check = found("hardware-key-slot")
    assert check["state"] == "fail" and "no slot of this vault" in check["what"] and "operator add" in check["do"]


def test_a_key_that_is_in_use_is_told_with_who_may_use_it(tmp_path, key):
    red = key()
    with open(red.path, "rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        found = alone(tmp_path, "--device", red.path)
    assert found.code == AUTHENTICATOR
    assert "Another program" in found("hardware-key")["what"] and "ssh-agent" in found("hardware-key")["do"]


def through_udev(tmp_path, *keys, become="", program=BIN / "strongroom"):
    plugged = Plugged(tmp_path, *keys)
    done = subprocess.run(plugged.command(program, "--json", "doctor", become=become), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/", XDG_CONFIG_HOME=""), timeout=120)
    return plugged, Findings(done.returncode, done.stdout)


@plain_build
def test_all_keys_plugged_in_are_looked_at_and_one_that_is_good_makes_the_others_a_warning(tmp_path, key):
    red, blue = key(name="red"), key(pin=None, name="blue")
    plugged, found = through_udev(tmp_path, red, blue)
    first, second = sorted(found.all("hardware-key"), key=lambda check: check["state"])
    assert (first["state"], second["state"]) == ("ok", "warn") and found.code == OK
    assert plugged.text(red) in first["what"] and plugged.text(blue) in second["what"]


@as_root
@plain_build
def test_a_key_that_one_may_not_open_is_told_with_the_way_to_get_it(tmp_path, key):
    red = key(name="red")
    os.chmod(red.path, 0o600)
    nobody = pwd.getpwnam("nobody")
    become = (f'chmod -R a+rX,a+w "$UMOCKDEV_DIR"; set -- setpriv --reuid={nobody.pw_uid} --regid={nobody.pw_gid} '
              '--clear-groups "$@"; ')
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        _, found = through_udev(tmp_path, red, become=become, program=shutil.copy(BIN / "strongroom", directory))
    assert found.code in (OTHER, AUTHENTICATOR)
    check = found("hardware-key")
    assert check["state"] == "fail" and "may not open" in check["what"] and "udev" in check["do"]


# --- the vault itself ---------------------------------------------------------------------------------


def test_what_the_vault_is_asked_while_locked_is_marked_where_it_needs_an_open_one(own):
    own.lock()
    found = examine(own)
    assert found.state("operator-certificates", "vault") == "unchecked"
    assert found.state("spare-key", "vault") == "ok" and found.code == OK


def test_an_empty_vault_can_be_examined(new_vault, tmp_path):
    vault = new_vault(opened=False).start()
    found = alone(tmp_path, "--socket", vault.socket)
    assert found.code == OK and found.state("disk-space", "vault") == "ok"
    assert found.state("operators", "vault") == "unchecked"


def test_only_operators_and_the_local_socket_may_ask(vault, customer):
    assert vault.call("GET", "/v1/doctor").status == 200
    for role in ("admin", "auditor"):
        assert vault.call("GET", "/v1/doctor", who=vault.certify(role, f"{role}-asks")).status == 403
    assert vault.call("GET", "/v1/doctor", who=customer.gateway).status == 403


def test_one_operator_is_a_warning_and_one_key_without_a_card_a_failure(new_vault):
    vault = new_vault(opened=False).start()
    vault.plug_in()
    vault.init()
    found = examine(vault)
    assert found.state("operators", "vault") == "warn" and "operator add" in found("operators", "vault")["do"]
    assert found.state("spare-key", "vault") == "ok", "there is a card"


def test_without_a_card_one_hardware_key_is_a_failure(new_vault):
    vault = new_vault(opened=False).start()
    vault.plug_in()
    vault.cli("--socket", vault.socket, "--url", vault.url, "--device", vault.authenticator.path, "init", "--operator",
              "alice", "--cards", "0", "--yes", answers=[("pin", PIN)])
    found = examine(vault)
    assert found.code == OTHER and found.state("spare-key", "vault") == "fail"
    assert "card renew" in found("spare-key", "vault")["do"]


@pytest.mark.parametrize("quorum, state", [("2/2", "warn"), ("1/2", "ok")])
def test_a_quorum_that_needs_every_operator_is_a_warning(new_vault, quorum, state):
    vault, *people = team(new_vault, names=("alice", "bob"), quorum=quorum)
    try:
        found = examine(vault)
        assert found.state("operators", "vault") == "ok"
        assert found.state("quorum-margin", "vault") == state
    finally:
        people[1].close()


def test_a_recovery_card_that_was_used_is_a_warning(own):
    own.lock()
    own.cli("unlock", "--recovery", answers=[("recovery card", recovery_code(own.cards[0]))])
    check = examine(own)("recovery-cards", "vault")
    assert check["state"] == "warn" and "card renew" in check["do"]


@plain_build
def test_a_held_clock_is_a_failure_until_it_is_confirmed(own):
    customer = own.customer()
    own.cli("engagement", "end", f"{customer.name}/{customer.engagement}", "--yes")
    own.stop()
    own.start("+0d x500000")
    await_that("the clock is held", lambda: own.local("GET", "/v1/status").json["clock_held"])
    own.stop()
    own.start("+30d")
    found = examine(own)
    assert found.code == OTHER and "clock confirm" in found("clock-held", "vault")["do"]
    own.unlock()
    own.cli("clock", "confirm", "--yes")
    assert examine(own).state("clock-held", "vault") == "ok"


@plain_build
def test_certificates_that_end_soon_are_told_with_their_holders(own):
    own.add_gateway(name="edge-1")
    own.restart("+340d")
    own.unlock()
    found = examine(own)
    assert found.state("operator-certificates", "vault") == "warn"
    assert "alice" in found("operator-certificates", "vault")["what"]
    assert "edge-1" in found("gateway-certificates", "vault")["what"]
    assert found.state("server-certificate", "vault") == "ok", "the vault has renewed its own"
    own.certify("operator", "alice")
    assert examine(own).state("operator-certificates", "vault") == "ok", "the newer one counts"


@plain_build
def test_a_vault_that_stays_locked_cannot_renew_the_servers_certificate(own):
    own.restart("+3630d")
    check = examine(own, "--socket", own.socket)("server-certificate", "vault")
    assert check["state"] == "warn" and "Unlock" in check["do"]


def test_a_disk_below_the_reserve_is_a_failure(own):
    free = os.statvfs(own.data)
    if free.f_bavail * free.f_frsize >= 1048576 << 20:
        pytest.skip("this disk has more than a tebibyte free")
    own.write_config(disk_reserve_mib=1048576)
    own.restart()
    found = examine(own)
    assert found.code == BOUND and found.state("disk-space", "vault") == "fail"


def test_settings_that_weaken_are_warnings(new_vault):
    vault = new_vault(allow_copy_on_write="yes", allow_missing="memfd-secret, landlock", grant_step_up="no")
    found = examine(vault)
    for name in ("copy-on-write", "allow-missing", "grant-step-up"):
        assert found.state(name, "vault") == "warn", name
    assert "memfd-secret" in found("allow-missing", "vault")["what"]
    vault.write_config(allow_copy_on_write="no", grant_step_up="yes", idle_lock_s=3600)
    vault.restart()
    found = examine(vault)
    assert {found.state(name, "vault") for name in ("copy-on-write", "grant-step-up")} == {"ok"}
    assert found("self-lock", "vault")["what"] == "The vault locks itself."


@plain_build
def test_a_protection_that_keeper_and_server_lack_is_told_in_the_words_of_check(new_vault):
    vault = new_vault(opened=False, launcher=[Path(__file__).parent / "older_kernel"]).start()
    done = subprocess.run([*vault.launcher, BIN / "strongroomd", "--config", vault.config, "--check"], text=True,
                          capture_output=True)
    checks = vault.local("GET", "/v1/doctor").json["checks"]
    check = next(check for check in checks if check["name"] == "memfd-secret")
    assert check["state"] == "warn" and check["what"].startswith("keeper and server: ")
    assert check["do"] in done.stdout and check["what"].partition(": ")[2] in done.stdout
    assert "strongroom doctor" in done.stdout


def test_a_broken_vault_says_why(own):
    own.stop()
    own.write_config(region="us")
    own.start()
    found = examine(own)
    assert found.code == LOCKED
    check = found("vault-state", "vault")
    assert check["state"] == "fail" and "another region" in check["what"]


def test_what_happened_while_locked_waits_for_the_audit_trail(own, vault):
    own.lock()
    own.cli("unlock", "--recovery", expect=None, answers=[("recovery card", recovery_code(vault.cards[0]))])
    check = examine(own)("journal", "vault")
    assert check["state"] == "warn" and "Unlock" in check["do"]
    own.unlock()
    assert examine(own).state("journal", "vault") == "ok"
