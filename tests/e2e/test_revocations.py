"""Gateways hear of what ended as it ends: by waiting for it, as a stream, and from the command line."""

import contextlib
import json
import queue
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from harness import BIN, DENIED, OK, await_that, unique
from terminal import die_with_parent

PROMPT = 10  # seconds within which something that is pushed has come, on whatever machine


class Events:
    """One stream of server-sent events on a socket of its own."""

    def __init__(self, vault, who, path="/v1/revocations", **headers):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(vault.ca)
        context.load_cert_chain(who.certificate, who.key)
        plain = socket.create_connection(("127.0.0.1", vault.port), timeout=60)
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        lines = [f"GET {path} HTTP/1.1", "Host: vault", "Accept: text/event-stream",
                 *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.text = b""
        self.queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError, ValueError):
            while self.status == 200 and (size := int(self.file.readline() or b"0", 16)):
                self.text += self.file.read(size)
                self.file.readline()
                while b"\n\n" in self.text:
                    event, _, self.text = self.text.partition(b"\n\n")
                    self.queue.put(dict(line.split(": ", 1) for line in event.decode().split("\n")))
        self.queue.put(None)

    def next(self, what=None):
        """The next event; with what, the next of that name. None: the stream has ended."""
        while True:
            event = self.queue.get(timeout=PROMPT * 4)
            if event is None or what in (None, event["event"]):
                return event

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the reader
        self.socket.close()


def now(vault, gateway):
    page = vault.api("GET", "/v1/revocations", who=gateway)
    assert page["events"] == []
    return page["next"]


def waiting(vault, gateway, after, wait=30):
    """A request that waits, on a thread: its page arrives in the queue, with the time."""
    answers = queue.Queue()

    def ask():
        client = vault.client(gateway)
        answers.put((client("GET", f"/v1/revocations?after={after}&wait={wait}"), time.monotonic()))
        client.close()

    threading.Thread(target=ask, daemon=True).start()
    return answers


@pytest.mark.sanitize
@pytest.mark.tsan
def test_who_waits_is_woken_by_what_ends_and_sees_nothing_of_others(vault):
    ours, theirs = vault.customer(), vault.customer()
    after = now(vault, ours.gateway)
    answers, strangers = waiting(vault, ours.gateway, after), waiting(vault, theirs.gateway, after, 1)
    vault.rotate_key(ours.name)
    page = answers.get(timeout=PROMPT * 4)[0].json
    assert [(e["what"], e["tenant"], e["key"], e["version"]) for e in page["events"]] == [
        ("key.rotated", ours.name, ours.key, 2)]
    assert page["next"] >= page["events"][0]["event"] and page["checkpoint"].startswith("strongroom/")
    assert strangers.get(timeout=PROMPT * 4)[0].json["events"] == []
    assert vault.api("GET", f"/v1/revocations?after={page['next']}&wait=1", who=ours.gateway)["events"] == []


def test_the_feed_is_refused_to_everybody_else_and_checks_what_it_is_asked(vault, customer):
    assert vault.call("GET", "/v1/revocations").status == 403
    assert vault.call("GET", "/v1/revocations?after=x", who=customer.gateway).status == 400
    assert vault.call("GET", "/v1/revocations?wait=61", who=customer.gateway).status == 400
    for body in ({}, {"events": []}, {"events": ["1"]}, {"events": [0]}, {"events": [1] * 65}):
        assert vault.call("POST", "/v1/revocations/acknowledge", body, customer.gateway).status == 400


@pytest.mark.sanitize
@pytest.mark.tsan
def test_a_stream_begins_with_a_checkpoint_brings_events_and_goes_on_after_the_last_one(vault):
    customer = vault.customer()
    stream = Events(vault, customer.gateway)
    assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
    assert json.loads(stream.next()["data"])["checkpoint"]
    vault.rotate_key(customer.name)
    event = stream.next()
    assert event["event"] == "key.rotated" and event["id"] == str(json.loads(event["data"])["event"])
    stream.close()
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    again = Events(vault, customer.gateway, Last_Event_ID=event["id"])
    assert again.next()["event"] == "key.revoked"
    again.close()
    behind = Events(vault, customer.gateway, Last_Event_ID="999999999")
    assert behind.next()["event"] == "lost"
    behind.close()


def test_an_idle_stream_says_every_ten_seconds_that_it_lives(vault, customer):
    stream = Events(vault, customer.gateway)
    stream.next("checkpoint")
    began = time.monotonic()
    beat = stream.next("checkpoint")
    assert json.loads(beat["data"])["checkpoint"].startswith("strongroom/")
    assert time.monotonic() - began < 15
    stream.close()


@pytest.mark.tsan
def test_a_stream_ends_with_its_certificate_with_the_vault_and_with_the_server(new_vault):
    vault = new_vault()
    customer = vault.customer()
    other = vault.add_gateway(f"{customer.name}/*")
    streams = [Events(vault, who) for who in (customer.gateway, other)]
    for stream in streams:
        stream.next("checkpoint")
    spki = next(c["spki"] for c in vault.api("GET", "/v1/certificates")["certificates"]
                if c["name"] == customer.gateway.name)
    vault.api("POST", "/v1/certificates/revoke", {"spki": spki})
    end = streams[0].next("end")
    assert json.loads(end["data"])["status"] == 401 and streams[0].next() is None
    vault.lock()
    end = streams[1].next("end")
    assert json.loads(end["data"])["status"] == 503 and streams[1].next() is None
    vault.unlock()
    last = Events(vault, other)
    last.next("checkpoint")
    assert vault.stop()
    assert last.next("end") and last.next() is None


def status_of_one_more(vault, who):
    stream = Events(vault, who)
    stream.close()
    return stream.status


def test_readers_who_go_away_amid_a_stream_leave_nothing_behind(new_vault):
    vault = new_vault(http_connections=128)
    customer = vault.customer()
    for _ in range(2):
        streams = []
        while len(streams) < 8:  # as many as may wait
            stream = Events(vault, customer.gateway)
            streams += [stream] if stream.status == 200 and stream.next("checkpoint") else []
        await_that("all wait", lambda: status_of_one_more(vault, customer.gateway) == 429)
        for stream in streams:
            stream.close()
        for _ in range(2):  # wakes them: the first write is answered with a reset, the second fails
            vault.rotate_key(customer.name)


def test_an_acknowledgement_is_in_the_trail_of_whose_event_it_is(vault):
    customer, other = vault.customer(), vault.customer()
    after = now(vault, customer.gateway)
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    event = vault.api("GET", f"/v1/revocations?after={after}", who=customer.gateway)["events"][0]
    body = {"events": [event["event"]]}
    assert vault.call("POST", "/v1/revocations/acknowledge", body, other.gateway).status == 404
    assert vault.api("POST", "/v1/revocations/acknowledge", body, customer.gateway) == {"acknowledged": 1}
    assert vault.api("POST", "/v1/revocations/acknowledge", body, customer.gateway) == {"acknowledged": 0}
    found = [record for _, record in vault.records(customer.name) if record["type"] == "revocation.acknowledged"]
    assert [(r["event"], r["gateway"], r["event_type"], r["key"]) for r in found] == [
        (event["event"], customer.gateway.name, "key.revoked", customer.key)]


@contextlib.contextmanager
def watching(vault, who, *options):
    profile = vault.files / unique("profile")
    vault.cli("profile", "create", "--certificate", who.certificate, "--key", who.key, "--ca", vault.ca,
              "--url", vault.url, profile=profile)
    command = [BIN / "strongroom", "--profile", profile, *options]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=vault.environment(), preexec_fn=die_with_parent, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_lease_watch_prints_what_ends_and_acknowledges_it_and_ends_on_ctrl_c(vault):
    customer = vault.customer()
    cursor = vault.files / unique("cursor")
    with watching(vault, customer.gateway, "lease", "watch", "--acknowledge", "--cursor", cursor) as process:
        await_that("it has begun", cursor.exists)
        begun = cursor.read_text()
        vault.rotate_key(customer.name)
        time_, what, path, version, _ = process.stdout.readline().split()
        assert (what, path, version) == ("key.rotated", customer.path, "version=2") and time_.endswith("Z")
        vault.await_record(customer.name, type="revocation.acknowledged", gateway=customer.gateway.name)
        await_that("it remembers how far it came", lambda: cursor.read_text() != begun)  # after it has acknowledged
        process.send_signal(signal.SIGINT)
        assert process.wait(PROMPT * 4) == OK
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    with watching(vault, customer.gateway, "--json", "lease", "watch", "--once", "--cursor", cursor) as process:
        said = [json.loads(line) for line in process.stdout]  # what came meanwhile
        assert [event["what"] for event in said] == ["key.revoked"] and process.wait(PROMPT * 4) == OK
    with watching(vault, vault.operator, "lease", "watch") as process:
        assert process.wait(PROMPT * 4) == DENIED
