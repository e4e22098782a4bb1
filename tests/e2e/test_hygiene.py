"""Where keys are not: files, logs, cores, the wrong process, and after lock anywhere.

Reading another process's memory takes root, which is also what an attacker would need.
"""

import base64
import ctypes
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from harness import BIN, HERE, SERVICE_USER, SLOW, await_that, new_provider_key, recovery_code, unique
from keyring import DATA_KEY, SEED, TOMBSTONE, card_code, keyring_of
from memory import HIDDEN_SLAB, copies_in, files_with, found_in, locked, mappings, regions, stopped

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


@pytest.fixture
def exposed(new_vault):
    """A vault on a kernel without memfd_secret: its keys lie in memory that root can search."""
    return new_vault(launcher=[HERE / "older_kernel"])


def has_memfd_secret():
    fd = ctypes.CDLL(None).syscall(447, 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


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
    lines = [json.loads(line) for line in text.splitlines()]  # every line is JSON
    assert lines and all("event" in line or "message" in line or "msg" in line for line in lines), lines[:3]


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
def test_the_keeper_needs_libsodium_nettles_hashes_and_the_c_library_only():
    done = subprocess.run(["ldd", BIN / "strongroom-keeper"], capture_output=True, text=True, check=True)
    names = {line.split()[0].split("/")[-1].split(".so")[0] for line in done.stdout.splitlines()}
    system = {"linux-vdso", "libc", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert names <= {"libsodium", "libnettle"} | system, names


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
def test_the_server_never_sees_a_key_that_the_cli_puts(exposed):
    """It travels sealed to the keeper."""
    customer = exposed.customer()
    canary, later = new_provider_key(), new_provider_key()
    exposed.cli("key", "put", f"{customer.name}/canary", "--provider", "openai", stdin=canary.encode())
    exposed.cli("key", "rotate", f"{customer.name}/canary", stdin=later.encode())
    secrets = {f"{name} {form}": value for name, key in (("put", canary), ("rotated", later))
               for form, value in forms(key).items()}
    assert not found_in(exposed.pid("server"), secrets)
    assert not found_in(exposed.pid("supervisor"), secrets)
    assert not found_in(exposed.pid("keeper"), secrets), "the keeper wipes what it sealed"


@as_root
@plain_build
def test_the_keeper_forgets_a_leased_key_with_the_next_message(exposed):
    customer = exposed.customer()
    value = customer.leased()["value"]
    exposed.api("GET", "/v1/tenants")
    assert exposed.state == "unlocked"
    assert not found_in(exposed.pid("keeper"), forms(value))


@as_root
@plain_build
def test_the_server_never_holds_the_root_or_what_is_derived_from_it(exposed):
    customer = exposed.customer()
    customer.leased()
    exposed.lock()
    exposed.unlock()
    keys = keys_of(exposed)
    server_needs = {"database key", "CA private key"}
    held = found_in(exposed.pid("server"), {name: key for name, key in keys.items() if name not in server_needs})
    assert not held


@as_root
@plain_build
def test_after_lock_the_keepers_memory_holds_no_key(exposed):
    """While open it must hold some of them, which shows that the search finds what is there."""
    customer = exposed.customer()
    customer.leased()
    ring, keys = keyring_of(exposed), keys_of(exposed)
    assert ring.superblock_is_authentic(keys["keyring-mac"])
    pid = exposed.pid("keeper")
    held = found_in(pid, keys)
    assert {"tenant-root", "keyring-mac", "intake private key"} <= held, held
    assert "root key" not in held, "the root itself is gone as soon as the others are derived"
    exposed.lock()
    assert exposed.pid("keeper") == pid
    assert not found_in(pid, keys)
    exposed.unlock()
    held = found_in(pid, keys)
    assert {"tenant-root", "keyring-mac", "intake private key"} <= held
    assert "root key" not in held


@as_root
@plain_build
def test_after_lock_the_servers_memory_holds_no_database_key(exposed):
    exposed.customer().leased()
    keys = keys_of(exposed)
    pid = exposed.pid("server")
    exposed.lock()
    assert exposed.pid("server") == pid
    assert not found_in(pid, {name: keys[name] for name in ("database key", "CA private key")})


@as_root
@plain_build
def test_an_unlock_leaves_neither_the_secret_nor_the_recovery_code_behind(exposed):
    exposed.lock()
    code = recovery_code(exposed.cards[0])
    exposed.cli("unlock", "--recovery", answers=[("recovery card", code)])
    secrets = {"code": card_code(code), "text": code.encode(), "joined": code.replace(" ", "").encode()}
    for role, pid in exposed.processes().items():
        assert not found_in(pid, secrets), role


# --- what a delivery leaves in the server -----------------------------------------------------------

SUITES = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256",
          "TLS_AES_128_CCM_SHA256"]


def lease_with(vault, customer, suite):
    """The value of a lease whose connection used this suite."""
    reply = vault.curl("/v1/leases", "--tls13-ciphers", suite, who=customer.gateway, body={"key": customer.path})
    assert reply.status == 201, reply
    return reply.json["value"]


@as_root
@plain_build
@pytest.mark.parametrize("suite", SUITES)
def test_a_delivered_key_is_nowhere_in_the_servers_memory(exposed, suite):
    """Not a single copy: ours are wiped with the answer, the libraries' when the C library takes them back."""
    customer = exposed.customer()
    value = lease_with(exposed, customer, suite)
    await_that("the exchange is over", lambda: not found_in(exposed.pid("server"), forms(value)), seconds=2)


@as_root
@plain_build
def test_a_key_delivered_on_a_connection_that_stays_open_is_nowhere_either(exposed):
    customer = exposed.customer()
    client = exposed.client(customer.gateway)
    pid = exposed.pid("server")
    for _ in range(3):
        value = client("POST", "/v1/leases", {"key": customer.path}).json["value"]
        await_that("the exchange is over", lambda v=value: not found_in(pid, forms(v)), seconds=2)
    client.close()


@as_root
@plain_build
def test_the_c_librarys_tunables_do_not_matter_for_that(exposed):
    """The administrator's own value of the variable stays. That the TLS library frees a buffer with the value in it,
    with a suite for which it has to join the parts of a record, leaves nothing."""
    customer = exposed.customer()
    exposed.stop()
    exposed.launcher += ["/usr/bin/env", "GLIBC_TUNABLES=glibc.malloc.check=0"]
    exposed.start()
    exposed.unlock()
    for suite in SUITES:
        value = lease_with(exposed, customer, suite)
        await_that(f"the exchange with {suite} is over",
                   lambda v=value: not copies_in(exposed.pid("server"), {"value": v.encode()}), seconds=2)


@as_root
@plain_build
def test_a_request_under_way_is_in_memory_and_then_is_not(exposed):
    """The same search finds what came in by TLS as long as it is needed. (What a record tells stays.)"""
    customer = exposed.customer()
    marker = os.urandom(20).hex()
    body = f'{{"colour": "{marker}"}}'
    head = f"POST /v1/leases HTTP/1.1\r\nHost: vault\r\nContent-Length: {len(body)}\r\n\r\n"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(exposed.ca)
    context.load_cert_chain(customer.gateway.certificate, customer.gateway.key)
    pid = exposed.pid("server")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", exposed.port)),
                             server_hostname="127.0.0.1") as tls:
        tls.sendall((head + body[:-1]).encode())
        await_that("the body is there", lambda: found_in(pid, {"marker": marker.encode()}))
        tls.sendall(body[-1:].encode())
        assert tls.recv(4096).startswith(b"HTTP/1.1 400")
    await_that("it is gone", lambda: not found_in(pid, {"marker": marker.encode()}), seconds=5)


# --- the search itself -----------------------------------------------------------------------------


@as_root
@plain_build
def test_the_search_finds_something_known_in_every_kind_of_memory(exposed):
    """Program, library, heap, threads' heaps, stack, locked slab: one that was skipped would be missed here."""
    customer = exposed.customer()
    known = {"program": b"strongroom-server is started by strongroomd", "library": b"TLS_CHACHA20_POLY1305",
             "stack": f"XDG_CONFIG_HOME={exposed.base}/config".encode(), "setting": str(exposed.socket).encode(),
             "tenant": customer.name.encode()}
    found = copies_in(exposed.pid("server"), known)
    assert set(found) == set(known)
    assert any("strongroom-server" in place for place in found["program"])
    assert any("libgnutls" in place for place in found["library"])
    assert "[stack]" in found["stack"] and "[heap]" in found["setting"]
    assert "" in found["tenant"], "the heaps of threads are mappings without a name"


@as_root
@plain_build
def test_the_search_reads_every_page_that_has_memory(exposed):
    for role in ("keeper", "server"):
        pid = exposed.pid(role)
        with stopped(pid):
            read = sum(len(content) for _, content in regions(pid)) // 1024
            resident = int(proc_status(pid)["VmRSS"].split()[0])
        # The kernel counts its own two pages and may lag behind by some.
        assert read >= resident * 0.95, role
    assert found_in(os.getpid(), {"marker": (marker := os.urandom(32))}) == {"marker"}, marker


# --- hidden, closed, not to be attached to ------------------------------------------------------------


@as_root
@plain_build
@pytest.mark.skipif(not has_memfd_secret(), reason="this kernel has no memfd_secret")
def test_not_even_root_reads_the_slab_from_outside(own):
    customer = own.customer()
    customer.leased()
    keys = keys_of(own)
    for role in ("keeper", "server"):
        pid, hidden, held = own.pid(role), set(), set()
        with stopped(pid):
            for _, content in regions(pid, hidden):
                held |= {name for name, key in keys.items() if key in content}
        assert hidden == {HIDDEN_SLAB}, role
        if role == "keeper":
            assert not held


@as_root
@plain_build
@pytest.mark.parametrize("kind", ["own", "exposed"])
def test_the_keepers_slab_is_closed_whenever_it_waits(request, kind):
    """Not a byte of it can be read by the keeper's own code, and yet it works."""
    vault = request.getfixturevalue(kind)
    customer = vault.customer()
    for _ in range(3):
        value = customer.leased()["value"]
        assert value == customer.value
        slab = await_that("the keeper waits", lambda: closed(vault.pid("keeper")))
        assert sum(size for _, size in slab) >= 1024, "KiB"
    names = {name for *_, name in mappings(vault.pid("keeper"))}
    assert (HIDDEN_SLAB in names) == (kind == "own" and has_memfd_secret())


def closed(pid):
    """The locked mappings of a process, if nothing may touch any of them."""
    slab = locked(pid)
    return slab if slab and all(permissions.startswith("---") for permissions, _ in slab) else None


def attach(pid):
    """gdb, as the user that keeper and server run as."""
    done = subprocess.run(["gdb", "-nx", "-batch", "-p", str(pid), "-ex", "info registers"], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, user=SERVICE_USER, group="nogroup",
                          extra_groups=[], cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/"}, timeout=120)
    return done.stdout + done.stderr


@as_root
@plain_build
def test_a_debugger_of_the_same_user_is_not_let_in(own):
    customer = own.customer()
    with subprocess.Popen(["sleep", "600"], user=SERVICE_USER, group="nogroup", extra_groups=[]) as other:
        assert "rip" in attach(other.pid) or "pc " in attach(other.pid), "gdb works on an ordinary process"
        other.kill()
    for role in ("keeper", "server", "supervisor"):
        said = attach(own.pid(role))
        assert "ermission" in said or "not permitted" in said, said
        assert "rip" not in said, role
    customer.leased()


# --- at the start -----------------------------------------------------------------------------------


def refused(vault):
    """Starts a daemon that will not run: (exit code, what it said)."""
    with open(vault.log_path, "ab") as log:
        done = subprocess.run([*vault.launcher, BIN / "strongroomd", "--config", vault.config], cwd="/", stdout=log,
                              stderr=log, stdin=subprocess.DEVNULL, env=vault.environment(), timeout=60)
    return done.returncode, vault.log()


@as_root
@plain_build
def test_a_daemon_under_a_tracer_does_not_start_unless_that_is_allowed(new_vault):
    # -D: the daemon is our child and strace is not in between.
    vault = new_vault(opened=False, launcher=["strace", "-D", "-f", "-qq", "-o", "/dev/null"])
    code, said = refused(vault)
    assert code == 1
    assert "no-tracer" in said and "allow_missing" in said
    vault.write_config(allow_missing="memfd-secret, no-tracer")
    vault.start()


@plain_build
def test_too_little_lockable_memory_is_refused_with_the_number_that_is_needed(new_vault):
    as_user = ["setpriv", "--reuid", SERVICE_USER, "--regid", "nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    vault = new_vault(opened=False, launcher=[*as_user, "prlimit", "--memlock=65536:65536"])
    code, said = refused(vault)
    assert code == 1
    assert "RLIMIT_MEMLOCK is too low" in said
    assert re.search(r'"process":"keeper".*RLIMIT_MEMLOCK.*"detail":2097152', said), said
    done = subprocess.run([*vault.launcher, BIN / "strongroomd", "--config", vault.config, "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 78
    assert "missing locked-memory" in done.stdout and "will not start" in done.stdout


@plain_build
def test_check_says_what_the_machine_lacks_and_whether_that_matters(new_vault):
    vault = new_vault(opened=False, launcher=[HERE / "older_kernel"])
    done = subprocess.run([*vault.launcher, BIN / "strongroomd", "--config", vault.config, "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 0, "locked memory is good enough"
    line = next(line for line in done.stdout.splitlines() if line.startswith("missing memfd-secret: "))
    assert "will not start" not in line


def test_a_protection_that_does_not_exist_cannot_be_allowed_to_be_missing(new_vault):
    vault = new_vault(opened=False)
    vault.write_config(allow_missing="landlock firewall")
    code, said = refused(vault)
    assert code == 78 and "allow_missing" in said and "firewall" not in said


@plain_build
def test_what_is_freed_is_overwritten_whatever_the_c_library_is_told(own):
    done = subprocess.run([*own.launcher, BIN / "strongroomd", "--config", own.config, "--check"],
                          capture_output=True, text=True, env={"GLIBC_TUNABLES": "glibc.malloc.perturb=0"})
    assert "missing freed-memory" not in done.stdout


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
