"""Where keys are not: files, logs, cores, the wrong process, and after lock anywhere.

Reading another process's memory takes root, which is also what an attacker would need.
"""

import base64
import os
import re
import signal
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from harness import BIN, SLOW, await_that, new_provider_key, recovery_code, unique
from keyring import DATA_KEY, SEED, TOMBSTONE, card_code, keyring_of
from memory import files_with, found_in, regions

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read the memory of another process")
plain_build = pytest.mark.skipif(SLOW > 1, reason="sanitizers keep freed memory and bring their own libraries")

PROC_FIELDS = re.compile(r"^(\w+):\s+(.*)$", re.M)


def forms(value):
    """A secret as it might have been written down."""
    raw = value.encode() if isinstance(value, str) else value
    found = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
             "url": urllib.parse.quote(raw).encode(), "utf-16": b"".join(bytes([b, 0]) for b in raw)}
    for shift in range(3):
        # Whatever stood before it in a base64 text, one of three readings shows.
        text = base64.b64encode(bytes(shift) + raw)
        found[f"base64 +{shift}"] = text[(8 * shift + 5) // 6:len(text) - 4]
    return found


def keys_of(vault):
    return keyring_of(vault).open(card_code(recovery_code(vault.cards[0])))


def proc_status(pid):
    return dict(PROC_FIELDS.findall(Path(f"/proc/{pid}/status").read_text()))


# --- files, logs, cores ----------------------------------------------------------------------------


def test_a_provider_key_is_in_no_file_and_no_log(own):
    """Put by the CLI, leased, rotated, revoked, locked, restarted: at no point is it written down."""
    customer = own.customer()
    first, second = new_provider_key(), new_provider_key()
    own.cli("key", "put", f"{customer.name}/canary", "--provider", "openai", stdin=first.encode())
    gateway = own.add_gateway(f"{customer.name}/canary")
    reply = own.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/canary"})
    assert reply.json["value"] == first, "the canary is alive"
    own.cli("key", "rotate", f"{customer.name}/canary", "--grace", "600", stdin=second.encode())
    own.cli("--json", "key", "show", f"{customer.name}/canary")
    own.cli("audit", "export", customer.name, "--out", own.files / "bundle")
    secrets = {f"{name} {form}": value for name, key in (("first", first), ("second", second))
               for form, value in forms(key).items()}
    assert not files_with(own.base, secrets)
    own.lock()
    own.unlock()
    own.kill("server", signal.SIGSEGV)
    await_that("the server is back", own.reachable)
    own.cli("key", "revoke", f"{customer.name}/canary", "--yes")
    own.stop()
    assert not files_with(own.base, secrets)


def test_neither_pin_nor_keys_are_in_any_file_beside_the_authenticator(own):
    customer = own.customer()
    customer.leased()
    secrets = {f"{name} {form}": value for name, key in keys_of(own).items() for form, value in forms(key).items()}
    secrets["recovery code"] = recovery_code(own.cards[0]).encode()
    secrets["recovery code, joined"] = recovery_code(own.cards[0]).replace(" ", "").encode()
    assert not files_with(own.base, secrets)
    own.lock()
    assert not files_with(own.base, secrets)


@as_root
@pytest.mark.parametrize("victim", ["server", "keeper"])
def test_a_crash_leaves_no_core(own, victim):
    own.customer().leased()
    limits = Path(f"/proc/{own.pid(victim)}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"], core
    pid = own.kill(victim, signal.SIGABRT)
    places = [own.base, own.data, Path("/"), Path("/tmp"), Path.cwd(), Path("/var/crash"),
              Path("/var/lib/systemd/coredump")]
    found = [path for place in places if place.is_dir() for path in place.glob("*core*")
             if path.is_file() and (str(pid) in path.name or path.name == "core")]
    assert not found


def test_logs_are_json_lines_without_names_of_customers(own):
    """The log is for machines and may be shipped elsewhere: it says what happened, not to whom."""
    customer = own.customer(unique("secretive-customer"))
    customer.leased()
    customer.lease(region="us")
    own.lock()
    text = own.log()
    assert customer.name not in text
    lines = own.log_lines()
    assert lines and all("event" in line or "message" in line or "msg" in line for line in lines), lines[:3]
    assert len(lines) == len(text.splitlines()), "every line is JSON"


# --- processes -------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_keeper_and_server_are_confined(own):
    everyone = own.processes()
    for role in ("keeper", "server"):
        status = proc_status(everyone[role])
        assert status["NoNewPrivs"] == "1", role
        assert status["Seccomp"] == "2", role
        assert set(status["CapEff"]) | set(status["CapPrm"]) == {"0"}, role
        if os.geteuid() == 0:
            assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split(), role
            assert set(status["Groups"].split()) <= set(status["Gid"].split()), role


@as_root
@plain_build
def test_the_keeper_cannot_be_dumped_and_its_secrets_are_locked_in_memory(own):
    pid = own.pid("keeper")
    # A process that is not dumpable belongs to root, whoever runs it.
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    assert int(proc_status(pid)["VmLck"].split()[0]) >= 1024, "kB"
    done = subprocess.run(["cat", f"/proc/{pid}/environ"], capture_output=True, user="nobody", group="nogroup")
    assert done.returncode != 0


@as_root
@plain_build
def test_the_keeper_has_no_sockets_but_the_one_to_the_server(own):
    pid = own.pid("keeper")
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = [link for link in links if link.startswith("socket:")]
    assert len(sockets) == 1, links
    network = Path(f"/proc/{pid}/net/tcp").read_text() + Path(f"/proc/{pid}/net/tcp6").read_text()
    assert sockets[0].split("[")[1].rstrip("]") not in network.split()


@plain_build
def test_the_keeper_needs_libsodium_and_the_c_library_only():
    done = subprocess.run(["ldd", BIN / "strongroom-keeper"], capture_output=True, text=True, check=True)
    names = {line.split()[0].split("/")[-1].split(".so")[0] for line in done.stdout.splitlines()}
    assert names <= {"linux-vdso", "libsodium", "libc", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}, names


@plain_build
def test_programs_are_built_hardened():
    for name in ("strongroomd", "strongroom-keeper", "strongroom-server", "strongroom"):
        text = subprocess.run(["readelf", "-hldW", BIN / name], capture_output=True, text=True, check=True).stdout
        assert "DYN (" in text, f"{name} is not position independent"
        assert "GNU_RELRO" in text and re.search(r"BIND_NOW|FLAGS_1.*NOW", text), name
        stack = next(line for line in text.splitlines() if "GNU_STACK" in line)
        assert "RWE" not in stack, name


@as_root
@plain_build
def test_the_server_never_sees_a_key_that_the_cli_puts(own):
    """It travels sealed to the keeper. (A plain lease is another matter: TLS has to carry it.)"""
    customer = own.customer()
    canary, later = new_provider_key(), new_provider_key()
    own.cli("key", "put", f"{customer.name}/canary", "--provider", "openai", stdin=canary.encode())
    own.cli("key", "rotate", f"{customer.name}/canary", stdin=later.encode())
    secrets = {f"{name} {form}": value for name, key in (("put", canary), ("rotated", later))
               for form, value in forms(key).items()}
    assert not found_in(own.pid("server"), secrets)
    assert not found_in(own.pid("supervisor"), secrets)
    assert not found_in(own.pid("keeper"), secrets), "the keeper wipes what it sealed"


@as_root
@plain_build
def test_the_keeper_forgets_a_leased_key_with_the_next_message(own):
    customer = own.customer()
    value = customer.leased()["value"]
    own.api("GET", "/v1/tenants")
    assert own.state == "unlocked"
    assert not found_in(own.pid("keeper"), forms(value))


@as_root
@plain_build
def test_the_server_never_holds_the_root_or_what_is_derived_from_it(own):
    customer = own.customer()
    customer.leased()
    own.lock()
    own.unlock()
    keys = keys_of(own)
    server_needs = {"database key", "CA private key"}
    held = found_in(own.pid("server"), {name: key for name, key in keys.items() if name not in server_needs})
    assert not held


@as_root
@plain_build
def test_after_lock_the_keepers_memory_holds_no_key(own):
    """While open it must hold some of them, which shows that the search finds what is there."""
    customer = own.customer()
    customer.leased()
    ring, keys = keyring_of(own), keys_of(own)
    assert ring.superblock_is_authentic(keys["keyring-mac"])
    pid = own.pid("keeper")
    held = found_in(pid, keys)
    assert {"tenant-root", "keyring-mac", "intake private key"} <= held, held
    assert "root key" not in held, "the root itself is gone as soon as the others are derived"
    own.lock()
    assert own.pid("keeper") == pid
    assert not found_in(pid, keys)
    own.unlock()
    held = found_in(pid, keys)
    assert {"tenant-root", "keyring-mac", "intake private key"} <= held
    assert "root key" not in held


@as_root
@plain_build
def test_after_lock_the_servers_memory_holds_no_database_key(own):
    own.customer().leased()
    keys = keys_of(own)
    pid = own.pid("server")
    own.lock()
    assert own.pid("server") == pid
    assert not found_in(pid, {name: keys[name] for name in ("database key", "CA private key")})


@as_root
@plain_build
def test_an_unlock_leaves_neither_the_secret_nor_the_recovery_code_behind(own):
    own.lock()
    code = recovery_code(own.cards[0])
    own.cli("unlock", "--recovery", answers=[("recovery card", code)])
    secrets = {"code": card_code(code), "text": code.encode(), "joined": code.replace(" ", "").encode()}
    for role, pid in own.processes().items():
        assert not found_in(pid, secrets), role


@as_root
def test_the_search_itself_finds_what_is_there():
    marker = os.urandom(32)
    assert found_in(os.getpid(), {"marker": marker}) == {"marker"}
    assert any(True for _ in regions(os.getpid()))


# --- the keyring file ------------------------------------------------------------------------------


def test_a_revoked_keys_data_key_is_overwritten_in_the_keyring_file(own):
    customer = own.customer()
    before = keyring_of(own)
    sealed = [cell.sealed for cell in before.of(DATA_KEY)]
    assert len(sealed) == 1
    own.cli("key", "revoke", customer.path, "--yes")
    after = keyring_of(own)
    assert not after.of(DATA_KEY)
    assert all(value not in after.data for value in sealed)
    assert any(cell.type == TOMBSTONE and cell.was == DATA_KEY for cell in after.cells)
    assert len(after.of(SEED)) == 1, "the tenant goes on"


def test_the_recovery_card_alone_opens_the_keyring_file(own):
    """The format is what the documentation says: a second implementation opens it."""
    keys = keys_of(own)
    public = own.api("GET", "/v1/keys")
    from nacl.public import PrivateKey
    from nacl.signing import SigningKey
    assert bytes(PrivateKey(keys["intake private key"]).public_key).hex() == public["intake_key"]
    assert bytes(SigningKey(keys["ledger seed"]).verify_key).hex() == public["ledger_key"]
