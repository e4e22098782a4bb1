"""A witness as C2SP tlog-witness and tlog-cosignature describe it, and a log to show it."""

import base64
import hashlib
import http.server
import threading
import time

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from receivers import tls_server


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(data):
    return sha256(b"\0", data)


def node(left, right):
    return sha256(b"\1", left, right)


def split(size):
    """The largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256()
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def consistency(old, leaves, whole=True):
    """RFC 6962, 2.1.2."""
    size = len(leaves)
    if old == size:
        return [] if whole else [root(leaves)]
    k = split(size)
    if old <= k:
        return consistency(old, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(old - k, leaves[k:], False) + [root(leaves[:k])]


def consistent(old, old_root, size, new_root, proof):
    """RFC 9162, 2.1.4.2."""
    if old == size:
        return not proof and old_root == new_root
    if old == 0:
        return not proof
    if not proof:
        return False
    if old & (old - 1) == 0:
        proof = [old_root, *proof]
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


def key_id(name, kind, public):
    return sha256(name.encode(), b"\n", bytes([kind]), public)[:4]


def signature_line(name, identity, signature):
    return f"\u2014 {name} {base64.b64encode(identity + signature).decode()}\n"


class Log:
    """What a vault's tree log would show."""

    def __init__(self, origin):
        self.origin, self.key, self.leaves = origin, SigningKey.generate(), []

    def grow(self, count=1, salt=""):
        self.leaves += [leaf(f"{salt}{len(self.leaves) + i}".encode()) for i in range(count)]

    def checkpoint(self):
        body = f"{self.origin}\n{len(self.leaves)}\n{base64.b64encode(root(self.leaves)).decode()}\n"
        public = bytes(self.key.verify_key)
        return body + "\n" + signature_line(self.origin, key_id(self.origin, 1, public),
                                            self.key.sign(body.encode()).signature)


class Witness:
    """Knows the public keys of some logs, by origin; refuses what the protocol says."""

    NAME = "witness.example/w1"

    def __init__(self, certificate, key, logs):
        self.key, self.logs = SigningKey.generate(), dict(logs)
        self.seen = {}  # origin: (size, root)
        self.requests = []  # (old size, proof lines, answer)
        self.lock, self.away = threading.Lock(), 0
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                known = self.path == "/prefix/add-checkpoint"
                status, kind, answer = witness.add_checkpoint(body) if known else (405, "text/plain", "")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = tls_server(certificate, key).wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/prefix"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def vkey(self):
        public = bytes(self.key.verify_key)
        return (f"{self.NAME}+{key_id(self.NAME, 4, public).hex()}+"
                f"{base64.b64encode(bytes([4]) + public).decode()}")

    def cosign(self, body):
        now = int(time.time())
        message = f"cosignature/v1\ntime {now}\n{body}".encode()
        signature = now.to_bytes(8, "big") + self.key.sign(message).signature
        return signature_line(self.NAME, key_id(self.NAME, 4, bytes(self.key.verify_key)), signature)

    def add_checkpoint(self, request):
        with self.lock:
            if self.away:
                self.away -= 1
                return 503, "text/plain", "later\n"
            head, note = request.split("\n\n", 1)
            first, *proof = head.split("\n")
            old = int(first.removeprefix("old "))
            assert first == f"old {old}"
            answer = self.judge(old, [base64.b64decode(line, validate=True) for line in proof], note)
            self.requests.append((old, len(proof), answer[0]))
            return answer

    def judge(self, old, proof, note):
        body, signatures = note.rsplit("\n\n", 1)
        body += "\n"
        origin, size, top = body.split("\n")[:3]
        if origin not in self.logs:
            return 404, "text/plain", ""
        if not any(self.is_by(origin, line, body) for line in signatures.splitlines()):
            return 403, "text/plain", ""
        size, top = int(size), base64.b64decode(top, validate=True)
        if old > size:
            return 400, "text/plain", ""
        seen, seen_root = self.seen.get(origin, (0, sha256()))
        if old != seen:
            return 409, "text/x.tlog.size", f"{seen}\n"
        if old == size and seen_root != top:
            return 409, "text/plain", ""
        if not consistent(old, seen_root, size, top, proof):
            return 422, "text/plain", ""
        self.seen[origin] = size, top
        return 200, "text/plain", self.cosign(body)

    def is_by(self, origin, line, body):
        dash, name, blob = line.split(" ")
        blob, public = base64.b64decode(blob), self.logs[origin]
        if dash != "\u2014" or name != origin or blob[:4] != key_id(origin, 1, public):
            return False
        try:
            VerifyKey(public).verify(body.encode(), blob[4:])
        except BadSignatureError:
            return False
        return True

    def verify(self, line, body):
        """Of a cosignature that somebody says is ours."""
        blob = base64.b64decode(line.split(" ")[2])
        message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12], 'big')}\n{body}".encode()
        self.key.verify_key.verify(message, blob[12:])
