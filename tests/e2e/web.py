"""Two ways to speak to the vault: plain curl, as gateways do, and a keep-alive client for load."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from terminal import die_with_parent

TIMEOUT = 30


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, as files."""

    name: str
    key: Path
    certificate: Path


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def request_id(self):
        return self.headers.get("strongroom-request-id")

    def __str__(self):
        return f"{self.status} {self.body[:600]!r}"


class Unreachable(Exception):
    """curl got no HTTP answer; code is curl's own."""

    def __init__(self, code, text):
        super().__init__(f"curl ended with {code}: {text}")
        self.code, self.text = code, text


def curl(url, *options, ca=None, who=None, body=None, method=None, tls="1.3", env=None, socket_path=None):
    """One request. body: an object for JSON, bytes to send as they are, or None."""
    with tempfile.TemporaryDirectory(prefix="strongroom-curl-") as scratch:
        heads, answer, sent = (os.path.join(scratch, name) for name in ("heads", "body", "sent"))
        command = ["curl", "-sS", "-q", "--noproxy", "*", "--max-time", str(TIMEOUT),
                   "-D", heads, "-o", answer, "-w", "%{http_code}"]
        if socket_path:
            command += ["--unix-socket", str(socket_path)]
        else:
            command += [f"--tlsv{tls}", "--tls-max", tls]
        if ca:
            command += ["--cacert", str(ca)]
        if who:
            command += ["--cert", str(who.certificate), "--key", str(who.key)]
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            with open(sent, "wb") as file:
                file.write(data)
            # Expect: nothing, or curl waits a second for a go-ahead before a larger body.
            command += ["--data-binary", f"@{sent}", "-H", "Content-Type: application/json", "-H", "Expect:"]
        if method:
            command += ["-X", method]
        done = subprocess.run([*command, *options, url], capture_output=True, text=True, env=env,
                              stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        status = int(done.stdout or 0)
        if status == 0:
            raise Unreachable(done.returncode, done.stderr.strip())
        return Reply(status, _last_headers(heads), _read(answer))


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _last_headers(path):
    """Of the last answer, if there were several (100 Continue)."""
    blocks = [block for block in _read(path).decode("latin-1").split("\r\n\r\n") if block.strip()]
    lines = blocks[-1].split("\r\n")[1:] if blocks else []
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines]


class Client:
    """One kept-alive TLS connection; not for several threads."""

    def __init__(self, port, ca, who=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca)
        if who:
            context.load_cert_chain(who.certificate, who.key)
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)

    def __call__(self, method, path, body=None):
        """Raises OSError or http.client.HTTPException if there was no answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())
        except BaseException:
            self._connection.close()  # the next request begins anew
            raise

    def close(self):
        self._connection.close()


class LocalConnection(http.client.HTTPConnection):
    """The daemon's Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def local(path, method, target, body=None):
    connection = LocalConnection(path)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
        answer = connection.getresponse()
        return Reply(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()
