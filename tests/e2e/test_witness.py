"""The vault tree's checkpoints and a witness: what it cosigns, what it refuses, and what is said then.

The log here is not a vault's but one that can be made to fork and to shrink.
"""

import base64
import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading
import urllib.parse

import pytest
from harness import BIN, DENIED, NOT_FOUND, OK, UNCONNECTED, UNVERIFIED, USAGE, await_that, openssl
from terminal import die_with_parent
from witness import Log, Witness, consistency

ORIGIN = f"strongroom/{'0' * 32}/{'f' * 32}"


class Vault:
    """The part of a vault's local socket that shows the tree."""

    def __init__(self, directory):
        self.socket, self.log, self.kept = directory / "api", Log(ORIGIN), []
        vault = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlparse(self.path)
                query = {name: int(value) for name, value in urllib.parse.parse_qsl(url.query)}
                self.answer(vault.get(url.path, query))

            def do_POST(self):
                assert self.path == "/v1/logs/tree/cosignatures"
                vault.kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer({})

            def answer(self, value):
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(str(self.socket), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def get(self, path, query):
        if path == "/v1/logs/tree":
            return {"size": len(self.log.leaves), "checkpoint": self.log.checkpoint()}
        if path == "/v1/logs/tree/consistency":
            proof = consistency(query["from"], self.log.leaves[:query["to"]])
            return {**query, "proof": [base64.b64encode(part).decode() for part in proof]}
        assert path == "/v1/logs/tree/records", path
        return b"{}\n" if len(self.log.leaves) > query["from"] else b""

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self, directory):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                directory / "key", "-out", directory / "crt", "-days", "3", "-subj", "/CN=witness", "-addext",
                "subjectAltName=IP:127.0.0.1")
        self.directory, self.vault = directory, Vault(directory)
        self.witness = Witness(directory / "crt", directory / "key",
                               {ORIGIN: bytes(self.vault.log.key.verify_key)})

    def command(self, *options):
        words = (BIN / "strongroom", "--socket", self.vault.socket, "audit", "witness", "--witness",
                 self.witness.url, "--witness-key", self.witness.vkey, "--sink-ca", self.directory / "crt", *options)
        return [str(word) for word in words]

    def run(self, *options, expect=OK):
        done = subprocess.run(self.command("--once", *options), capture_output=True, text=True, timeout=60,
                              env={**os.environ, "HOME": str(self.directory)})
        assert done.returncode == expect, done
        return done.stderr

    def close(self):
        self.vault.close()
        self.witness.close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


def test_each_checkpoint_is_cosigned_and_the_vault_gets_the_line(world):
    log, witness = world.vault.log, world.witness
    for count in (1, 1, 2, 3, 9, 100):
        log.grow(count)
        world.run()
        kept = world.vault.kept[-1]
        assert kept["size"] == len(log.leaves) == witness.seen[ORIGIN][0]
        witness.verify(kept["cosignature"], log.checkpoint().split("\n\n")[0] + "\n")
    world.run()  # the same again
    assert len(world.vault.kept) == 7
    # Without a memory each run asks first what the witness has.
    assert [answer for _, _, answer in witness.requests] == [200] + [409, 200] * 6


def test_with_a_cursor_the_witness_is_not_asked_what_it_has(world):
    cursor = world.directory / "cursor"
    for _ in range(3):
        world.vault.log.grow(5)
        world.run("--cursor", cursor)
    assert [(old, answer) for old, _, answer in world.witness.requests] == [(0, 200), (5, 200), (10, 200)]
    cursor.write_text(json.dumps({"witness": Witness.NAME, "size": "7"}))  # an old copy
    world.run("--cursor", cursor)
    assert json.loads(cursor.read_text()) == {"witness": Witness.NAME, "size": "15"}


def test_a_fork_is_refused_and_said_to_be_one(world):
    log = world.vault.log
    log.grow(6)
    world.run("--cursor", world.directory / "cursor")
    cosigned = list(world.vault.kept)
    log.leaves.clear()
    log.grow(6, salt="another history")
    assert "fork" in world.run("--cursor", world.directory / "cursor", expect=UNVERIFIED)
    assert "fork" in world.run(expect=UNVERIFIED)
    log.grow(5)
    assert "fork" in world.run(expect=UNVERIFIED)
    assert world.vault.kept == cosigned and world.witness.requests[-1][2] == 422


def test_a_smaller_tree_is_refused_and_said_to_be_one(world):
    log = world.vault.log
    log.grow(9)
    world.run("--cursor", world.directory / "cursor")
    del log.leaves[6:]
    for options in ((), ("--cursor", world.directory / "cursor")):
        assert "a tree of 9 records" in world.run(*options, expect=UNVERIFIED)
    assert len(world.vault.kept) == 1 and world.witness.seen[ORIGIN][0] == 9


def test_what_else_a_witness_may_answer_is_told_apart(world):
    log, witness = world.vault.log, world.witness
    log.grow(3)
    witness.logs = {ORIGIN: bytes(Log("other").key.verify_key)}
    assert "does not trust" in world.run(expect=DENIED)
    witness.logs = {}
    assert "does not know this log" in world.run(expect=NOT_FOUND)
    witness.away = 1
    assert "503" in world.run(expect=UNCONNECTED)
    other = Witness(world.directory / "crt", world.directory / "key", {})
    witness.logs = {ORIGIN: bytes(log.key.verify_key)}
    command = [other.vkey if word == witness.vkey else word for word in world.command("--once")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == UNVERIFIED and "--witness-key" in done.stderr
    other.close()
    command[command.index(other.vkey)] = witness.vkey.replace("+", "+0", 1)
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == USAGE
    assert world.vault.kept == []


def test_a_witness_that_is_away_is_waited_for_and_a_signal_ends_it(world):
    world.vault.log.grow(4)
    world.witness.away = 2
    process = subprocess.Popen(world.command(), stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent,
                               env={**os.environ, "HOME": str(world.directory)})
    events = [json.loads(process.stderr.readline())["event"] for _ in range(2)]
    assert events == ["the witness does not answer: waiting", "the tree is cosigned"]
    assert world.vault.kept
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == OK and said == ""


def test_the_tree_of_a_vault_is_cosigned(new_vault, world):
    vault = new_vault(checkpoint_s=1)
    customer = vault.customer()
    shown = vault.api("GET", "/v1/logs/tree")
    origin = shown["checkpoint"].split("\n")[0]
    world.witness.logs[origin] = base64.b64decode(shown["public_key"])
    for _ in range(2):
        size = vault.api("GET", "/v1/logs/tree")["size"]
        customer.leased()
        await_that("another round", lambda size=size: vault.api("GET", "/v1/logs/tree")["size"] > size)
        vault.cli("audit", "witness", "--once", "--witness", world.witness.url, "--witness-key", world.witness.vkey,
                  "--sink-ca", world.directory / "crt")
        cosigned = vault.api("GET", "/v1/logs/tree")["cosigned"]
        body, signatures = cosigned.split("\n\n")
        assert int(body.split("\n")[1]) == world.witness.seen[origin][0]
        world.witness.verify(signatures.splitlines()[-1], body + "\n")
    assert world.witness.seen[origin][0] > size
