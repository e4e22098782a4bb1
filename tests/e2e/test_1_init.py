"""Step 1: the daemon starts locked; init enrols a hardware key, creates the vault and certifies the operator."""

import os
import shutil
import subprocess

import harness
import pytest
from harness import AUTHENTICATOR, CONFLICT, OK, PIN, await_that, openssl, recovery_code

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@pytest.fixture
def empty(new_vault):
    """A daemon without a vault, and an authenticator beside it."""
    vault = new_vault(opened=False).start()
    vault.plug_in()
    return vault


def init(vault, expect=OK, **options):
    return vault.init(expect=expect, **options)


@pytest.mark.sanitize
def test_the_daemon_starts_as_three_processes_and_says_that_it_is_empty(empty):
    assert set(empty.processes()) == {"supervisor", "keeper", "server"}
    status = empty.local("GET", "/v1/status")
    assert status.json["state"] == "empty"
    assert status.json["region"] == "eu"
    done = empty.cli("--socket", empty.socket, "status")
    assert "empty" in done.out


@pytest.mark.sanitize
def test_init_takes_the_pin_and_two_touches_and_opens_the_vault(empty):
    before = empty.authenticator.touches
    done = init(empty)
    assert empty.authenticator.touches - before == 2
    assert done.echoed == [False], "the PIN was shown while it was typed"
    assert PIN not in done.text
    assert empty.state == "unlocked"


def test_the_recovery_card_is_printed_once_and_kept_nowhere(empty):
    done = init(empty)
    code = recovery_code(done.text)
    assert code not in empty.cli("status").text
    plain = code.replace("-", "").replace(" ", "")
    for directory, _, names in os.walk(empty.base):
        for name in names:
            path = os.path.join(directory, name)
            content = open(path, "rb").read() if os.path.isfile(path) else b""
            assert code.encode() not in content, path
            assert plain.encode() not in content, path


@pytest.mark.sanitize
def test_the_operator_gets_a_p256_certificate_from_the_vaults_own_ca(empty):
    init(empty)
    vault_id = empty.local("GET", "/v1/status").json["vault"]
    text = openssl("x509", "-in", empty.operator.certificate, "-noout", "-text")
    assert "prime256v1" in text and "ecdsa-with-SHA256" in text
    assert f"URI:strongroom://{vault_id}/operator/alice" in text
    assert "TLS Web Client Authentication" in text and "CA:TRUE" not in text
    openssl("verify", "-CAfile", empty.ca, "-purpose", "sslclient", empty.operator.certificate)
    assert empty.operator.key.stat().st_mode & 0o077 == 0
    assert empty.curl("/v1/status", who=empty.operator).json["state"] == "unlocked"


def test_a_second_init_is_a_conflict_and_changes_nothing(empty, tmp_path):
    init(empty)
    before = empty.local("GET", "/v1/status").json
    tmp_path.chmod(0o700)
    touches = empty.authenticator.touches
    done = empty.cli("--socket", empty.socket, "--url", empty.url, "--device", empty.authenticator.path,
                     "init", "--operator", "mallory", "--yes", profile=tmp_path / "other", expect=CONFLICT)
    assert done.err.strip()
    assert empty.authenticator.touches == touches, "it found out before it asked for a touch"
    assert empty.local("GET", "/v1/status").json["vault"] == before["vault"]
    reply = empty.local("POST", "/v1/init/session", {})
    assert (reply.status, reply.json["title"]) == (409, "conflict")


@pytest.mark.sanitize
def test_init_is_not_offered_over_the_network(empty):
    init(empty)
    for path in ("/v1/init/session", "/v1/init"):
        reply = empty.curl(path, who=empty.operator, body={})
        assert (reply.status, reply.json["title"]) == (403, "denied")
        reply = empty.curl(path, body={})
        assert (reply.status, reply.json["title"]) == (401, "no-identity")


@as_root
def test_only_root_and_the_daemons_user_may_use_the_local_socket(empty):
    def status_as(user):
        # The directory would keep most users out already; open it, so that only the peer's uid counts.
        return subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", str(empty.socket),
             "http://localhost/v1/status"], capture_output=True, text=True, user=user, group=user).stdout

    empty.run.chmod(0o755)
    empty.socket.chmod(0o777)
    assert status_as(0) == "200"
    assert status_as(empty.run.stat().st_uid) == "200"
    assert status_as(12345) in ("000", "401", "403")


def test_the_local_socket_is_not_a_way_to_the_keys(empty):
    init(empty)
    for method, path, body in [("GET", "/v1/tenants", None), ("GET", "/v1/keys", None),
                               ("POST", "/v1/leases", {"key": "acme/openai-prod"}),
                               ("POST", "/v1/tenants", {"name": "acme"})]:
        assert empty.local(method, path, body).status == 403, path


@pytest.mark.parametrize("trouble", ["wrong pin", "no touch", "no device"])
def test_init_without_a_willing_hardware_key_creates_nothing(empty, trouble):
    device, pin = empty.authenticator.path, PIN
    if trouble == "wrong pin":
        pin = "000000"
    elif trouble == "no touch":
        empty.authenticator.control("touch refuse")
    else:
        device = "/dev/null"
    done = empty.cli("--socket", empty.socket, "--url", empty.url, "--device", device, "init", "--operator", "alice",
                     "--yes", "--pin-stdin", stdin=pin.encode() + b"\n", expect=AUTHENTICATOR)
    assert done.err.strip()
    assert empty.state == "empty"
    assert not list(empty.data.rglob("keyring/keyring")), "a keyring was written"
    empty.authenticator.control("touch now")
    init(empty)
    assert empty.state == "unlocked"


def test_what_init_wrote_is_for_the_daemon_alone(empty):
    init(empty)
    for path in [empty.data, *empty.data.rglob("*")]:
        if path.name in ("ca.crt", "server.crt"):
            continue
        assert path.stat().st_mode & 0o077 == 0, path
    for path in empty.profile.rglob("*"):
        if path.is_file() and "key" in path.name:
            assert path.stat().st_mode & 0o077 == 0, path


def test_two_daemons_cannot_share_one_vault(empty):
    init(empty)
    second = subprocess.run([harness.BIN / "strongroomd", "--config", empty.config], capture_output=True,
                            env=empty.environment(), timeout=harness.PATIENCE * harness.SLOW)
    assert second.returncode != 0
    await_that("the first goes on", lambda: empty.state == "unlocked")


def test_a_database_without_its_keyring_is_broken_and_not_begun_anew(own):
    ca = (own.data / "tls" / "ca.crt").read_bytes()
    own.stop()
    (own.data / "keyring").rename(own.base / "keyring-elsewhere")
    own.start()
    status = own.local("GET", "/v1/status").json
    assert status["state"] == "broken"
    assert "no keyring" in status["reason"]
    assert own.local("POST", "/v1/init/session", {}).status == 503
    assert (own.data / "tls" / "ca.crt").read_bytes() == ca
    own.stop()
    shutil.rmtree(own.data / "keyring")
    (own.base / "keyring-elsewhere").rename(own.data / "keyring")
    own.start()
    own.unlock()
    assert own.state == "unlocked"
