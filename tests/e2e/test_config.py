"""strongroom.conf: every setting from one table; a mistake is an error with its line number."""

import os
import subprocess

import pytest
from harness import BIN, SLOW


def check(tmp_path, text, *options):
    path = tmp_path / "strongroom.conf"
    path.write_text(text)
    return subprocess.run([BIN / "strongroomd", "--config", path, "--check", *options],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("line, problem", [
    ("colour = blue", "unknown setting"),
    ("region eu", "expected: name = value"),
    ("lease_ttl_s = soon", "not a whole number"),
    ("lease_ttl_s = -1", "not a whole number"),
    ("lease_ttl_s = 99999999999999999999999", "not a whole number"),
    ("certificate_days = 10000", "not a whole number"),
    ("region = Mars!", "only lower-case"),
    ("allow_copy_on_write = maybe", "yes or no"),
    ("log_level = loud", "debug, info, warn or error"),
    ("data_dir = " + "x" * 300, "too long"),
    ("data_dir = /tmp/\x07", "plain ASCII"),
    ("region = eu\nregion = us", "set twice"),
], ids=lambda text: text[:24])
def test_a_mistake_is_an_error_with_its_line_number(tmp_path, line, problem):
    done = check(tmp_path, f"# a comment\n\nlisten = 127.0.0.1:1\n{line}\n")
    assert done.returncode == 78, done  # EX_CONFIG: starting again will not help
    where = 4 + line.count("\n")
    assert f"strongroom.conf:{where}: " in done.stderr and problem in done.stderr, done.stderr


def test_messages_name_the_setting_and_never_its_value(tmp_path):
    done = check(tmp_path, "lease_ttl_s = sk-test-secret-value\n")
    assert done.returncode != 0
    assert "lease_ttl_s" in done.stderr
    assert "sk-test" not in done.stdout + done.stderr


def test_settings_that_contradict_each_other_are_an_error(tmp_path):
    done = check(tmp_path, "lease_ttl_s = 600\nlease_max_ttl_s = 60\n")
    assert done.returncode != 0
    assert "lease_max_ttl_s" in done.stderr


def test_a_good_configuration_passes_and_starts_nothing(tmp_path):
    done = check(tmp_path, f"data_dir = {tmp_path}/data\nregion = eu\nlisten = 127.0.0.1:1\n")
    assert done.returncode == 0, done
    assert not (tmp_path / "data").exists()


def test_an_empty_file_means_all_defaults(tmp_path):
    assert check(tmp_path, "").returncode == 0


def test_a_missing_file_is_an_error(tmp_path):
    done = subprocess.run([BIN / "strongroomd", "--config", tmp_path / "nothing", "--check"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and done.stderr.strip()


def test_a_file_that_is_too_large_is_an_error(tmp_path):
    assert check(tmp_path, "#" * 70000).returncode != 0


def test_the_daemon_does_not_start_with_a_mistake_in_its_configuration(tmp_path):
    path = tmp_path / "strongroom.conf"
    path.write_text(f"data_dir = {tmp_path}/data\nunknown = 1\n")
    done = subprocess.run([BIN / "strongroomd", "--config", path], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "2" in done.stderr and "unknown setting" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_without_a_user_to_become_is_refused_or_warned(tmp_path):
    """Keeper and server never run as root."""
    path = tmp_path / "strongroom.conf"
    path.write_text(f"data_dir = {tmp_path}/data\nsocket = {tmp_path}/s\nlisten = 127.0.0.1:1\nuser = no-such-user\n")
    done = subprocess.run([BIN / "strongroomd", "--config", path], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_the_vault_refuses_a_region_that_is_not_its_own(own):
    """The region is fixed at init: another configuration does not move the vault."""
    customer = own.customer()
    own.stop()
    own.write_config(region="us")
    own.start()
    status = own.local("GET", "/v1/status").json
    assert status["state"] == "broken" and "region" in status["reason"]
    assert customer.lease().status == 503


def test_a_full_disk_refuses_new_leases_but_not_what_reduces_risk(own):
    """The reserve is set above what any disk has: as if it were nearly full."""
    customer = own.customer()
    lease = customer.leased()
    own.write_config(disk_reserve_mib=1048576)
    own.restart()
    own.unlock()
    free = os.statvfs(own.data)
    if free.f_bavail * free.f_frsize >= 1048576 << 20:
        pytest.skip("this disk has more than a tebibyte free")
    reply = customer.lease()
    assert (reply.status, reply.json["title"]) == (507, "storage")
    assert own.call("POST", f"/v1/leases/{lease['lease']}/release", {}, customer.gateway).status == 200
    own.cli("key", "revoke", customer.path, "--yes")
    own.cli("engagement", "end", f"{customer.name}/{customer.engagement}", "--yes")
    own.lock()
    if SLOW == 1:  # faketime and sanitizers both want to be loaded first
        own.restart("+7d")
        own.unlock()
        own.await_record(customer.name, type="purge.done")
