"""Somebody in the middle: between the CLI and the vault, over the local socket or over TLS, who records and lies."""

import datetime
import http.server
import json
import os
import socketserver
import ssl
import threading
from http import HTTPStatus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import recovery_code
from keyring import card_code, keyring_of
from web import Client, local


class Middle:
    """Passes everything on, with what `lie(method, path, answer)` makes of the answers.

    answer is a dict that lie changes in place; said is a list of (method, path, request, status, answer).
    """

    def __init__(self, make_server, forward, lie=None):
        self.said, self.lie = [], lie
        middle = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                length = int(self.headers.get("Content-Length") or 0)
                asked = json.loads(self.rfile.read(length)) if length else None
                reply = forward(self.command, self.path, asked)
                answer = reply.json if reply.body else {}
                if middle.lie:
                    middle.lie(self.command, self.path, answer)
                middle.said.append((self.command, self.path, asked, reply.status, answer))
                data = json.dumps(answer).encode()
                self.send_response(reply.status, HTTPStatus(reply.status).phrase)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = pass_on

            def log_message(self, *_):
                pass

            def address_string(self):
                return "middle"

        self.server = make_server(Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def sent(self, ending):
        """What the CLI sent to paths with that ending."""
        return [asked for method, path, asked, _, _ in self.said if method == "POST" and path.endswith(ending)]


class _Local(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def local_middle(vault, lie=None):
    """On a socket of its own, in front of the vault's: (the middle, the path of its socket)."""
    path = vault.base / f"middle-{os.urandom(4).hex()}.sock"
    middle = Middle(lambda handler: _Local(str(path), handler),
                    lambda method, target, asked: local(vault.socket, method, target, asked), lie)
    return middle, path


class _TLS(http.server.ThreadingHTTPServer):
    daemon_threads = True


def vault_certificate(vault, code=None):
    """A server certificate signed by the vault's own CA key, for whoever has a recovery card and the keyring."""
    keys = keyring_of(vault).open(card_code(code or recovery_code(vault.cards[0])))
    ca_key = ec.derive_private_key(int.from_bytes(keys["CA private key"], "big"), ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(vault.ca.read_bytes())
    genuine = x509.load_pem_x509_certificate(
        ssl.get_server_certificate(("127.0.0.1", vault.port)).encode())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    made = x509.CertificateBuilder(
        issuer_name=ca.subject, subject_name=genuine.subject, public_key=key.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=now - datetime.timedelta(hours=1),
        not_valid_after=now + datetime.timedelta(days=1))
    for extension in genuine.extensions:
        if extension.oid in (x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x509.ExtensionOID.EXTENDED_KEY_USAGE,
                             x509.ExtensionOID.KEY_USAGE, x509.ExtensionOID.BASIC_CONSTRAINTS,
                             x509.ExtensionOID.AUTHORITY_KEY_IDENTIFIER):
            made = made.add_extension(extension.value, extension.critical)
    certificate = made.sign(ca_key, hashes.SHA256())
    path = vault.files / "middle.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


def tls_middle(vault, who, certificate, lie=None):
    """With a valid server certificate, going on to the vault as `who`: (the middle, its URL)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate)
    context.load_verify_locations(vault.ca)
    context.verify_mode = ssl.CERT_OPTIONAL

    def make(handler):
        server = _TLS(("127.0.0.1", 0), handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server

    def forward(method, target, asked):
        client = Client(vault.port, vault.ca, who)
        try:
            return client(method, target, asked)
        finally:
            client.close()

    middle = Middle(make, forward, lie)
    return middle, f"https://127.0.0.1:{middle.server.server_address[1]}"
