"""A vault of its own for each test: daemon, software authenticator, CLI and gateways, on real parts.

Needs no test framework: the demo and the benchmark use it too.
"""

import base64
import contextlib
import ctypes
import glob
import hashlib
import http.client
import itertools
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nacl.public import PublicKey, SealedBox

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "authenticator"))

import stock  # noqa: E402
import terminal  # noqa: E402
import web  # noqa: E402
from web import Client, Identity, Unreachable  # noqa: E402, F401

BIN = Path(os.environ.get("STRONGROOM_BIN") or ROOT / "build/release/bin").resolve()
VERIFY_AUDIT = ROOT / "tests/verify_audit.py"
PIN = "271828"
SERVICE_USER = "nobody"  # what the daemon's children become when the tests run as root
PATIENCE = 30  # seconds after which something that should happen counts as never
SLOW = 4 if BIN.parent.name in ("asan", "tsan", "clang") else 1  # sanitizers take their time
STARTED = "server ready"

# Exit codes of the CLI.
OK, USAGE, DENIED, NOT_FOUND, CONFLICT, LOCKED, UNVERIFIED, AUTHENTICATOR, UNCONNECTED = 0, 2, 3, 4, 5, 6, 7, 8, 9

# The rules for alerts as they are by default. Tests that are about something else count records and have them off.
ALERTS = {"alert_first_use": "yes", "alert_denied_per_minute": 10, "alert_after_rotation": "yes"}

LIVE = []  # vaults not closed yet: whoever runs the tests closes them whatever happens
_numbers = itertools.count(1)


def unique(prefix):
    return f"{prefix}-{next(_numbers)}"


def await_that(what, condition, seconds=PATIENCE):
    """The first true value of condition(); AssertionError naming what did not happen in time."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"did not happen within {seconds * SLOW} s: {what}")
        time.sleep(0.01)


# --- small things on files -------------------------------------------------------------------------


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(map(str, arguments))}: {done.stderr.decode()}")
    return done.stdout.decode()


def make_request(directory, name, kind="ec", extra=()):
    """A new private key and a certificate request for it: (key file, request file)."""
    key, csr = directory / f"{name}.key", directory / f"{name}.csr"
    algorithm = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                 "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
                 "rsa": ["-newkey", "rsa:2048"]}[kind]
    openssl("req", "-new", *algorithm, "-nodes", "-keyout", key, "-out", csr, "-subj", f"/CN={name}", *extra)
    return key, csr


def self_signed(directory, name, uri):
    """A certificate that looks like one of the vault's but that nobody signed for."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
            "-out", certificate, "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=URI:{uri}",
            "-addext", "extendedKeyUsage=clientAuth")
    return Identity(name, key, certificate)


def has_landlock():
    """Whether the kernel has it: landlock_create_ruleset, asked for its version."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
PORTS = itertools.cycle(range(10000 + WORKER % 10 * 2000, 12000 + WORKER % 10 * 2000))
for _ in range(os.getpid() % 2000):
    next(PORTS)


def free_port():
    """One that stays the caller's while its server is down: below those that the kernel gives to whoever asks for any,
    and not among another worker's."""
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def faked(offset):
    """Environment that moves the clock of a program by an offset such as "+7d", as faketime(1) does.

    The library is loaded directly because the faketime command would stand between us and the
    daemon's process id. The monotonic clock stays real: timeouts are not to be faked.
    """
    if not offset:
        return {}
    found = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise AssertionError("libfaketimeMT.so.1 is missing: install faketime")
    return {"LD_PRELOAD": found[0], "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}


# --- processes -------------------------------------------------------------------------------------


def children_of(pid):
    """{name: pid} of the direct children, such as {"keeper": 4711, "server": 4712}."""
    found = {}
    for entry in glob.glob("/proc/[0-9]*/stat"):
        try:
            stat = Path(entry).read_text()
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
        if int(rest[1]) != pid or rest[0] == "Z":
            continue
        for role in ("keeper", "server"):
            if name.startswith(f"strongroom-{role}"[:15]):
                found[role] = int(entry.split("/")[2])
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Authenticator(stock.Process):
    """The software authenticator; touches at once unless told otherwise, and counts."""

    def __init__(self, directory, *options):
        directory.mkdir(exist_ok=True)
        self.directory = str(directory)
        self.state = str(directory / "state.json")
        self.control_path = str(directory / "control")
        self._lines = b""
        self._process = subprocess.Popen(
            [HERE / "counted_authenticator", "--state", self.state, "--control", self.control_path, "--pin", PIN,
             *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self.path = self.line()

    @property
    def memory(self):
        """What it remembers without power."""
        return json.loads(Path(self.state).read_text())

    @property
    def touches(self):
        """How often it was touched so far."""
        while select.select([self._process.stdout], [], [], 0)[0]:
            data = os.read(self._process.stdout.fileno(), 4096)
            if not data:
                break
            self._lines += data
        return self._lines.count(b"touched\n")


# --- the vault -------------------------------------------------------------------------------------


class Vault:
    """One daemon with its directory. Not started by the constructor; `opened` makes one ready for use."""

    def __init__(self, base=None, launcher=(), **settings):
        """launcher: a command that starts the daemon, given the daemon's own as its last arguments."""
        self.base = Path(base or tempfile.mkdtemp(prefix="strongroom-e2e-"))
        self.base.chmod(0o755)  # the daemon's user has to get through to data and run
        self.data, self.run = self.base / "data", self.base / "run"
        self.profile, self.files = self.base / "config/strongroom", self.base / "files"
        for directory in (self.data, self.run, self.profile, self.files):
            directory.mkdir(mode=0o700, parents=True)
        self.socket = self.run / "strongroom.sock"
        self.config, self.log_path = self.base / "strongroom.conf", self.base / "daemon.log"
        self.port = free_port()
        self.settings = {
            # Tests that are about something else grant without a touch; the default is tested where it matters.
            "grant_step_up": "no", **dict(zip(ALERTS, ("no", 0, "no"))),
            "data_dir": self.data, "socket": self.socket, "listen": f"127.0.0.1:{self.port}", "region": "eu",
            **({"user": SERVICE_USER} if os.geteuid() == 0 else {}),
            **({} if has_landlock() else {"allow_missing": "landlock"}), **settings}
        if os.geteuid() == 0:
            user = pwd.getpwnam(self.settings["user"])
            for directory in (self.data, self.run):
                os.chown(directory, user.pw_uid, user.pw_gid)
        self.launcher = list(launcher)
        self.daemon_environment = {}  # of the daemon alone
        self.daemon = None
        self.offset = None  # of the clock of everything that is started
        self.authenticator = None
        self.cards = []  # recovery cards as init printed them
        self.other_keys = []  # authenticators of further operators
        self._clients = {}
        self._identities = {}
        self.write_config()
        LIVE.append(self)

    # Configuration and processes

    def write_config(self, **changes):
        self.settings.update(changes)
        self.config.write_text("".join(f"{name} = {value}\n" for name, value in self.settings.items()))

    def environment(self):
        """Of everything that is started."""
        return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.base), "LANG": "C.UTF-8",
                "XDG_CONFIG_HOME": str(self.base / "config"), "TERM": "dumb",
                **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
                **faked(self.offset)}

    def _daemon_environment(self):
        # The leak check at exit traces its own process, which these processes do not allow.
        options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        return {**self.environment(), **({"ASAN_OPTIONS": options.lstrip(":")} if SLOW > 1 else {}),
                **self.daemon_environment}

    def start(self, offset=None, outlive_us=False):
        """Starts the daemon, its clock moved by offset, and waits until it answers."""
        self.offset = offset
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(
                [*self.launcher, BIN / "strongroomd", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._daemon_environment(), cwd="/", start_new_session=True,
                preexec_fn=None if outlive_us else terminal.die_with_parent)
        await_that("the daemon answers", self._answers)
        return self

    def _answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.daemon.returncode}\n{self.log()}")
        return self.reachable()

    def reachable(self):
        try:
            return web.local(self.socket, "GET", "/v1/status").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def processes(self):
        """{"supervisor": pid, "keeper": pid, "server": pid}, those that live."""
        return {"supervisor": self.daemon.pid, **children_of(self.daemon.pid)} if self.daemon else {}

    def pid(self, role):
        return self.processes()[role]

    def kill(self, role, number=signal.SIGKILL):
        """Kills one process and waits until it is gone. Returns its pid."""
        everyone = self.processes()
        pid = everyone[role]
        os.kill(pid, number)
        if role == "supervisor":
            self.daemon.wait(PATIENCE)
            await_that("keeper and server die with the supervisor",
                       lambda: not any(alive(p) for p in everyone.values()))
        else:
            await_that(f"the {role} is gone", lambda: not alive(pid))
        return pid

    def come_back(self):
        """After the death of keeper or supervisor: waits for a complete daemon, starts one if none is left."""
        def settled():
            return self.daemon.poll() is not None or (
                set(self.processes()) == {"supervisor", "keeper", "server"} and self.reachable())

        await_that("the daemon has ended or is complete again", settled)
        if self.daemon.poll() is not None:
            self.start(self.offset)

    def stop(self):
        """Ends the daemon in order; False if it had to be killed."""
        if not self.daemon:
            return True
        everyone, daemon = list(self.processes().values()), self.daemon
        self.drop_connections()
        orderly = True
        if daemon.poll() is None:
            daemon.terminate()
            try:
                daemon.wait(PATIENCE * SLOW)
            except subprocess.TimeoutExpired:
                orderly = False
                daemon.kill()
                daemon.wait()
        for pid in everyone:
            with contextlib.suppress(AssertionError):
                await_that("children are gone", lambda: not alive(pid), seconds=5)
            if alive(pid):
                orderly = False
                os.kill(pid, signal.SIGKILL)
        self.daemon = None
        return orderly

    def restart(self, offset=None):
        assert self.stop(), f"the daemon did not stop in order\n{self.log()}"
        return self.start(offset)

    def close(self):
        """Ends everything and removes the directory. Raises if a sanitizer complained."""
        if self in LIVE:
            LIVE.remove(self)
        orderly = self.stop()
        for key in [self.authenticator, *self.other_keys]:
            if key:
                key.stop()
        complaints = [line for line in self.log().splitlines()
                      if "Sanitizer" in line or "runtime error:" in line]
        log = self.log()
        shutil.rmtree(self.base, ignore_errors=True)
        assert not complaints, f"a sanitizer complains:\n{log}"
        assert orderly, f"the daemon did not stop in order:\n{log}"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self):
        """What the daemon logged, as objects; what is not JSON comes from a sanitizer or the loader."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    # The CLI

    def cli(self, *arguments, expect=OK, answers=(), stdin=b"", profile=None, on_prompt=None):
        """Runs `strongroom`. stdin None: the terminal."""
        command = [BIN / "strongroom", *(["--profile", profile] if profile else []), *arguments]
        done = terminal.run([str(word) for word in command], answers, stdin, self.environment(),
                            terminal.PATIENCE * SLOW, on_prompt, self.files)
        if expect is not None and done.code != expect:
            raise AssertionError(f"expected exit code {expect}: {done}\n--- daemon\n{self.log()[-3000:]}")
        return done

    def cli_json(self, *arguments, **options):
        done = self.cli("--json", *arguments, **options)
        return json.loads(done.out)

    def plug_in(self, *options):
        self.authenticator = Authenticator(self.base / "authenticator", *options)
        return self.authenticator

    def init(self, operator="alice", **options):
        done = self.cli("--socket", self.socket, "--url", self.url, "--device", self.authenticator.path,
                        "init", "--operator", operator, "--yes", answers=[("pin", PIN)], **options)
        self.cards.append(done.text)
        return done

    def unlock(self, **options):
        """With the hardware key. Raises unless the vault is open afterwards."""
        return self.cli("--device", self.authenticator.path, "unlock", answers=[("pin", PIN)], **options)

    def lock(self):
        return self.cli("lock")

    @classmethod
    def opened(cls, **settings):
        """A new vault: initialised, unlocked, with the operator alice."""
        vault = cls(**settings)
        try:
            vault.start()
            vault.plug_in()
            vault.init()
            return vault
        except BaseException:
            print(vault.log(), file=sys.stderr)
            with contextlib.suppress(AssertionError):
                vault.close()
            raise

    # HTTP

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.profile / "ca.crt"

    @property
    def operator(self):
        return Identity("alice", self.profile / "client.key", self.profile / "client.crt")

    def curl(self, path, *options, who=None, **more):
        """Plain curl, as a gateway uses it."""
        return web.curl(self.url + path, *options, ca=self.ca, who=who, env=self.environment(), **more)

    def local(self, method, path, body=None):
        return web.local(self.socket, method, path, body)

    def client(self, who=None):
        return Client(self.port, self.ca, who)

    def call(self, method, path, body=None, who=None):
        """By the operator unless told otherwise, on a kept-alive connection. Returns whatever came."""
        who = who or self.operator
        client = self._clients.setdefault(who, None) or self.client(who)
        self._clients[who] = client
        try:
            return client(method, path, body)
        except (OSError, http.client.HTTPException):
            return client(method, path, body)  # the connection had been closed meanwhile

    def drop_connections(self):
        for client in self._clients.values():
            client.close()
        self._clients = {}

    def api(self, method, path, body=None, who=None):
        """The same, and it has to succeed. Returns the object of the answer."""
        reply = self.call(method, path, body, who)
        assert reply.status in (200, 201), f"{method} {path}: {reply}\n{self.log()[-3000:]}"
        return reply.json

    @property
    def state(self):
        return self.local("GET", "/v1/status").json["state"]

    def await_state(self, state):
        return await_that(f"the vault is {state}", lambda: self.state == state)

    # What tests need in order to begin: through the API, because that is fast

    def seal(self, value):
        """A provider key sealed for the keeper, as the CLI does it."""
        intake = bytes.fromhex(self.api("GET", "/v1/keys")["intake_key"])
        return base64.b64encode(SealedBox(PublicKey(intake)).encrypt(value.encode())).decode()

    def put_key(self, tenant, key="openai-prod", value=None, who=None, **more):
        value = value or new_provider_key()
        self.api("POST", f"/v1/tenants/{tenant}/keys/{key}",
                 {"provider": "openai", "sealed_key": self.seal(value), **more}, who)
        return value

    def rotate_key(self, tenant, key="openai-prod", value=None, who=None, **more):
        value = value or new_provider_key()
        self.api("POST", f"/v1/tenants/{tenant}/keys/{key}/rotate", {"sealed_key": self.seal(value), **more}, who)
        return value

    def add_gateway(self, *grants, name=None, max_ttl_s=None):
        name = name or unique("gateway")
        key, csr = make_request(self.files, name)
        bound = {} if max_ttl_s is None else {"max_ttl_s": max_ttl_s}
        made = self.api("POST", "/v1/gateways", {"name": name, "csr": csr.read_text(),
                                                 "grants": [{"key": grant, **bound} for grant in grants]})
        return self._keep(name, key, made["certificate"])

    def certify(self, role, name):
        """An identity of a role; for a tenant the name is the tenant's."""
        label = unique(f"{role}-{name}")
        key, csr = make_request(self.files, label)
        made = self.api("POST", "/v1/certificates", {"role": role, "name": name, "csr": csr.read_text()})
        return self._keep(label, key, made["certificate"])

    def _keep(self, name, key, certificate):
        path = self.files / f"{name}.pem"
        path.write_text(certificate)
        return Identity(name, key, path)

    def customer(self, name=None, engagement="migration", key="openai-prod"):
        """A tenant with an engagement, a key and a gateway that may lease it."""
        name = name or unique("acme")
        self.api("POST", "/v1/tenants", {"name": name})
        self.api("POST", f"/v1/tenants/{name}/engagements", {"name": engagement})
        value = self.put_key(name, key)
        return Customer(self, name, engagement, key, value, self.add_gateway(f"{name}/{key}"))

    def records(self, log):
        """All records of a log as (line, object)."""
        found = []
        while True:
            reply = self.call("GET", f"/v1/logs/{log}/records?from={len(found)}&limit=500")
            assert reply.status == 200, reply
            lines = reply.text.splitlines()
            if not lines:
                return found
            found += [(line, json.loads(line)) for line in lines]

    def names(self, log):
        """What tags in the records of a log mean: {"~<tag>": name}."""
        found, after = {}, ""
        while after is not None:
            page = self.api("GET", f"/v1/logs/{log}/people{after and '?after=' + after}")
            found |= {"~" + person["tag"]: person["name"] for person in page["people"]}
            after = page["next"]
        return found

    def named(self, log, record):
        """The record with names where it has tags, as a reader of the trail is shown it."""
        names = self.names(log)

        def name(value):
            role, tilde, tag = value.partition("~") if isinstance(value, str) else ("", "", "")
            return role + names.get("~" + tag, "~" + tag) if tilde and role[-1:] in ("", ":") else value
        return {member: name(value) for member, value in record.items()}

    def types(self, log):
        return [record["type"] for _, record in self.records(log)]

    def await_record(self, log, **wanted):
        """The first record with these fields."""
        def find():
            return next((record for _, record in self.records(log)
                         if all(record.get(name) == value for name, value in wanted.items())), None)
        return await_that(f"a record {wanted} in {log}", find)

    def export(self, log, name="bundle"):
        path = self.files / unique(name)
        self.cli("audit", "export", log, "--out", path)
        return path


class Customer:
    """A tenant as its gateway sees it."""

    def __init__(self, vault, name, engagement, key, value, gateway):
        self.vault, self.name, self.engagement, self.key = vault, name, engagement, key
        self.value, self.gateway = value, gateway

    @property
    def path(self):
        return f"{self.name}/{self.key}"

    def lease(self, who=None, **body):
        """With plain curl. Returns whatever came."""
        return self.vault.curl("/v1/leases", who=who or self.gateway, body={"key": self.path, **body})

    def leased(self, **body):
        """The same, and it has to succeed."""
        reply = self.lease(**body)
        assert reply.status == 201, f"{reply}\n{self.vault.log()[-3000:]}"
        return reply.json

    def give_all_back(self):
        """For tests with many leases: the list of live ones ends after a thousand, and others look for theirs in it."""
        self.vault.api("POST", "/v1/leases/revoke", {"tenant": self.name})


def recovery_code(text):
    """The code on a printed recovery card: 14 groups of 4 characters."""
    found = re.findall(r"(?:\b[A-Z2-7]{4}\s+){13}[A-Z2-7]{4}\b", text)
    assert len(found) == 1, f"{len(found)} recovery codes in: {text}"
    return " ".join(found[0].split())


def recovery_card(code):
    """What a card for these 32 bytes would say: base32, then 20 bits of their SHA-256 as a check."""
    text = base64.b32encode(code).decode().rstrip("=")
    text += base64.b32encode(hashlib.sha256(code).digest()).decode()[:4]
    return " ".join(text[i:i + 4] for i in range(0, len(text), 4))


def new_provider_key():
    """Looks like the real thing and is worth nothing."""
    return "sk-test-" + base64.b32encode(os.urandom(25)).decode().lower()


def verify_bundle(path, *options):
    """The separate verifier: (exit code, what it said)."""
    done = subprocess.run(["/usr/bin/python3", VERIFY_AUDIT, path, *options], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def close_all():
    """For whoever runs the tests: leaves nothing behind."""
    for vault in list(LIVE):
        with contextlib.suppress(AssertionError, OSError):
            vault.close()
