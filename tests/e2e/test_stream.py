"""Records leave the vault as they happen, and none is lost on the way, whoever dies."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from harness import BIN, CONFLICT, DENIED, HERE, LOCKED, OK, UNVERIFIED, USAGE, await_that, free_port, openssl, unique
from receivers import Deaf, Webhook
from terminal import die_with_parent

SECRET = "whsec_" + "c3Ryb25ncm9vbSBzdHJvbmdyb29tIHN0cm9uZ3Jvb20="
MESSAGE = re.compile(rb"<1\d\d>1 \S+ \S+ strongroom - (\S+) \[strongroom@32473 (?:[a-z]+=\"[^\"]*\" ?)+\] (.*)")


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    """A receiver's certificate, its own CA."""
    where = tmp_path_factory.mktemp("sink")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            where / "key", "-out", where / "crt", "-days", "3", "-subj", "/CN=sink", "-addext",
            "subjectAltName=IP:127.0.0.1")
    (where / "secret").touch(0o600)
    (where / "secret").write_text(SECRET + "\n")
    return where


def profile_of(vault, who):
    where = vault.files / unique("profile")
    vault.cli("profile", "create", "--certificate", who.certificate, "--key", who.key, "--ca", vault.ca,
              "--url", vault.url, profile=where)
    return where


@pytest.fixture(scope="module")
def auditor(vault):
    return profile_of(vault, vault.certify("auditor", unique("vera")))


class Stream:
    """`strongroom audit stream` in the background."""

    def __init__(self, vault, profile, to, *options):
        self.cursor = vault.files / unique("cursor")
        self.said = vault.files / unique("stream-log")
        self.command = [str(word) for word in (BIN / "strongroom", "--profile", profile, "audit", "stream",
                                               "--to", to, "--cursor", self.cursor, *options)]
        self.environment = vault.environment()
        self.process = None

    def start(self):
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(self.command, stderr=said, env=self.environment,
                                            preexec_fn=die_with_parent)
        return self

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    def events(self):
        return [json.loads(line)["event"] for line in self.said.read_text().splitlines() if line.startswith("{")]

    @property
    def next(self):
        return int(json.loads(self.cursor.read_text())["next"]) if self.cursor.exists() else 0


@contextlib.contextmanager
def streaming(*arguments):
    stream = Stream(*arguments).start()
    try:
        yield stream
    finally:
        stream.process.kill()
        stream.process.wait()


def feed(vault):
    """Every line that the vault has, in the order of storage."""
    lines, after = [], 0
    while True:
        reply = vault.call("GET", f"/v1/records?after={after}")
        assert reply.status == 200, reply
        if not reply.body:
            return lines
        lines += reply.body.splitlines()
        after = int(reply.headers["strongroom-next"])


def first_arrivals(lines, count):
    """In their order, without what came again, and without what came after the first count."""
    return list(dict.fromkeys(lines))[:count]


class Load:
    """Leases, one after the other, until it is left."""

    def __init__(self, customer):
        self.customer, self.count, self.over = customer, 0, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        client = self.customer.vault.client(self.customer.gateway)
        while not self.over:
            assert client("POST", "/v1/leases", {"key": self.customer.path}).status == 201
            self.count += 1
        client.close()

    def more(self, count=40):
        aim = self.count + count
        await_that("more leases", lambda: self.count >= aim)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.customer.give_all_back()


class Syslog:
    def __init__(self, sink, path):
        self.port, self.sink, self.path = free_port(), sink, path
        self.start()

    def start(self):
        command = [sys.executable, HERE / "receivers.py", self.port, self.sink / "crt", self.sink / "key", self.path]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                        preexec_fn=die_with_parent)
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lines(self):
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]  # one more may be half written
        found = [MESSAGE.fullmatch(message) for message in whole.splitlines()]
        assert all(found), found
        return [match[2] for match in found if json.loads(match[2])["type"] == match[1].decode()]


def test_every_record_reaches_syslog_whoever_is_killed_amid_the_load(vault, customer, auditor, sink, tmp_path):
    receiver = Syslog(sink, tmp_path / "messages")
    to = f"syslog+tls://127.0.0.1:{receiver.port}"
    with streaming(vault, auditor, to, "--sink-ca", sink / "crt") as stream:
        with Load(customer) as load:
            await_that("something arrives", receiver.lines)
            for _ in range(2):
                load.more()
                receiver.kill()
                load.more()
                stream.end(signal.SIGKILL)
                receiver.start()
                stream.start()
                load.more()
        wanted = feed(vault)
        await_that("all of it arrives", lambda: set(wanted) <= set(receiver.lines()))
        assert stream.end() == OK
    assert first_arrivals(receiver.lines(), len(wanted)) == wanted
    assert stream.next >= len(wanted)
    receiver.kill()


def test_what_a_receiver_took_but_did_not_read_is_not_confirmed(vault, customer, auditor, sink, tmp_path):
    receiver = Deaf(sink / "crt", sink / "key")
    done = vault.cli("audit", "stream", "--once", "--to", f"syslog+tls://127.0.0.1:{receiver.port}", "--sink-ca",
                     sink / "crt", "--cursor", tmp_path / "cursor", "--log", customer.name, profile=auditor,
                     expect=None)
    receiver.close()
    assert done.code != OK and "did not take everything" in done.err
    assert not (tmp_path / "cursor").exists()


def test_a_receiver_with_another_certificate_gets_nothing(vault, auditor, sink, tmp_path):
    receiver = Syslog(sink, tmp_path / "messages")
    options = ("--cursor", tmp_path / "cursor", "--once", "--sink-ca", vault.ca)
    for to in (f"syslog+tls://127.0.0.1:{receiver.port}", f"syslog+tls://localhost:{receiver.port}"):
        done = vault.cli("audit", "stream", "--to", to, *options, profile=auditor, expect=None)
        assert done.code != OK and "no TLS connection" in done.err
        options = (*options[:3], "--sink-ca", sink / "crt")  # the right CA, but of another name
    assert receiver.lines() == [] and not (tmp_path / "cursor").exists()
    receiver.kill()


def test_every_record_reaches_a_webhook_that_fails_now_and_then(vault, customer, auditor, sink):
    receiver = Webhook(sink / "crt", sink / "key", SECRET, [500, 204, 0, 204, 429, 0, 503])
    to = f"https://127.0.0.1:{receiver.port}/hook"

    def arrived():
        return [line for body in list(receiver.bodies) for line in records_of(body)]

    with streaming(vault, auditor, to, "--sink-ca", sink / "crt", "--secret-file", sink / "secret") as stream:
        with Load(customer) as load:
            await_that("something arrives", arrived)
            load.more()
            stream.end(signal.SIGKILL)
            stream.start()
            load.more()
        wanted = feed(vault)
        await_that("all of it arrives", lambda: set(wanted) <= set(arrived()))
        assert stream.end() == OK
    receiver.close()
    assert first_arrivals(arrived(), len(wanted)) == wanted
    assert receiver.faults == []
    # A failed request comes again as it was, with the same id.
    for failed, again in zip(receiver.attempts, receiver.attempts[1:]):
        assert failed[2] == 204 or failed[:2] == again[:2]
    assert all(len(records_of(body)) <= 100 for body in receiver.bodies)


def records_of(body):
    """The lines of a webhook's body, byte for byte."""
    page = json.loads(body)
    assert page["type"] == "strongroom.records" and page["timestamp"] == page["data"][-1]["time"]
    inside = body[body.index(b'"data":[') + 8:-2]
    lines = [b'{"v":1,' + part for part in inside.split(b'{"v":1,')[1:]]
    lines = [line.rstrip(b",") for line in lines]
    assert [json.loads(line) for line in lines] == page["data"]
    return lines


def test_a_file_gets_every_record_and_may_be_rotated(vault, customer, auditor, tmp_path):
    path, moved = tmp_path / "records", tmp_path / "records.1"

    def arrived():
        return [line for file in (moved, path) if file.exists() for line in file.read_bytes().splitlines()]

    with streaming(vault, auditor, f"file://{path}") as stream:
        with Load(customer) as load:
            await_that("something arrives", arrived)
            stream.end(signal.SIGKILL)
            with open(path, "ab") as file:  # as if it had died amid a line
                file.write(b'{"v":1,"half"')
            stream.start()
            await_that("the half line goes", lambda: b'"half"' not in path.read_bytes())
            load.more()
            os.rename(path, moved)
            stream.process.send_signal(signal.SIGHUP)
            await_that("a new file", path.exists)
        wanted = feed(vault)
        await_that("all of it arrives", lambda: set(wanted) <= set(arrived()))
        assert stream.end() == OK
    assert first_arrivals(arrived(), len(wanted)) == wanted


def test_one_log_once_and_once_more(vault, customer, auditor, tmp_path):
    path = tmp_path / "records"
    command = ("audit", "stream", "--once", "--log", customer.name, "--to", f"file://{path}", "--cursor",
               tmp_path / "cursor")
    vault.cli(*command, profile=auditor)
    customer.leased()
    vault.cli(*command, profile=auditor)
    vault.cli(*command, profile=auditor)
    assert path.read_text().splitlines() == [line for line, _ in vault.records(customer.name)]


def test_what_a_cursor_stands_for_is_checked(vault, customer, auditor, tmp_path):
    cursor = tmp_path / "cursor"
    command = ("audit", "stream", "--once", "--to", f"file://{tmp_path / 'records'}", "--cursor", cursor)
    vault.cli(*command, profile=auditor)
    assert oct(cursor.stat().st_mode)[-3:] == "600"
    kept = json.loads(cursor.read_text())
    vault.cli(*command, "--log", customer.name, profile=auditor, expect=USAGE)
    cursor.write_text(json.dumps({**kept, "last": "0" * 64}))
    done = vault.cli(*command, profile=auditor, expect=UNVERIFIED)
    assert "set back" in done.err
    cursor.write_text(json.dumps({**kept, "next": str(10**12)}))
    vault.cli(*command, profile=auditor, expect=CONFLICT)
    cursor.write_text(json.dumps(kept))
    with streaming(vault, auditor, f"file://{tmp_path / 'records'}") as stream:
        await_that("it is there", stream.cursor.exists)
        done = vault.cli(*command[:-1], stream.cursor, profile=auditor, expect=CONFLICT)
        assert "another process" in done.err


def test_a_tenant_streams_its_own_log_only(vault, customer, tmp_path):
    tenant = profile_of(vault, vault.certify("tenant", customer.name))
    command = ("audit", "stream", "--once", "--to", f"file://{tmp_path / 'records'}", "--cursor")
    done = vault.cli(*command, tmp_path / "all", profile=tenant, expect=DENIED)
    assert "/v1/logs/NAME/records" in done.err
    vault.cli(*command, tmp_path / "own", "--log", customer.name, profile=tenant)
    assert (tmp_path / "records").read_text().splitlines() == [line for line, _ in vault.records(customer.name)]


def test_a_locked_vault_is_waited_for_and_said_once(own, tmp_path):
    auditor = profile_of(own, own.certify("auditor", "vera"))
    path = tmp_path / "records"
    with streaming(own, auditor, f"file://{path}") as stream:
        await_that("it begins", path.exists)
        own.lock()
        await_that("it says so", lambda: "the vault is locked or stopping: waiting" in stream.events())
        own.unlock()
        await_that("it goes on", lambda: b'"vault.unlocked"' in path.read_bytes())
        wanted = feed(own)
        await_that("all of it arrives", lambda: set(wanted) <= set(path.read_bytes().splitlines()))
        assert stream.end() == OK
    assert first_arrivals(path.read_bytes().splitlines(), len(wanted)) == wanted
    events = stream.events()
    assert events.count("the vault is locked or stopping: waiting") == 1
    assert events.count("the vault answers again") == 1
    own.lock()
    own.cli("audit", "stream", "--once", "--to", f"file://{path}", "--cursor", stream.cursor, profile=auditor,
            expect=LOCKED)


def sockets(vault):
    """That the server has open."""
    where = f"/proc/{vault.pid('server')}/fd"
    found = 0
    for name in os.listdir(where):
        with contextlib.suppress(OSError):
            found += os.readlink(f"{where}/{name}").startswith("socket:")
    return found


def ask_for_the_next(vault, who, path):
    """A connection that has sent its request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(vault.ca)
    context.load_cert_chain(who.certificate, who.key)
    plain = socket.create_connection(("127.0.0.1", vault.port))
    connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: vault\r\n\r\n".encode())
    return connection


@pytest.fixture
def quiet(new_vault):
    """A vault without rounds: their records would answer whoever waits for any."""
    return new_vault(checkpoint_s=3600)


@pytest.mark.sanitize
def test_readers_that_wait_are_answered_and_those_that_hang_up_leave_nothing_behind(quiet):
    own, customer = quiet, quiet.customer()
    own.drop_connections()
    before = sockets(own)
    after = own.call("GET", "/v1/records?after=0&limit=500").headers["strongroom-next"]
    size = len(own.records(customer.name))
    paths = [f"/v1/records?after={after}&wait=60", f"/v1/logs/{customer.name}/records?from={size}&wait=60"]
    readers = [ask_for_the_next(own, own.operator, paths[i % 2]) for i in range(40)]
    for reader in readers[:20]:
        reader.close()
    customer.leased()
    for reader in readers[20:]:
        answer = reader.recv(65536)
        while b"lease.issued" not in answer:
            more = reader.recv(65536)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 200")
        reader.close()
    own.drop_connections()
    await_that("all is let go", lambda: sockets(own) <= before)
    waiting = ask_for_the_next(own, own.operator, f"/v1/records?after={10**6}&wait=1")
    assert b" 409 " in waiting.recv(65536)
    waiting.close()


def test_a_vault_that_is_locked_answers_those_who_wait(quiet):
    after = quiet.call("GET", "/v1/records?after=0&limit=500").headers["strongroom-next"]
    reader = ask_for_the_next(quiet, quiet.operator, f"/v1/records?after={after}&wait=60")
    quiet.lock()
    assert b" 503 " in reader.recv(65536)
    reader.close()
