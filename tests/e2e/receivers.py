"""Receivers of records: syslog over TLS as a process of its own, to be killed, and a webhook."""

import base64
import hashlib
import hmac
import http.server
import os
import select
import socket
import ssl
import sys
import threading
import time


def tls_server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def keep_messages(connection, out):
    """Octet counting (RFC 5425): each message into the file as soon as it is whole."""
    waiting = b""
    while data := connection.recv(65536):
        waiting += data
        while b" " in waiting:
            count, rest = waiting.split(b" ", 1)
            if len(rest) < int(count):
                break
            os.write(out, rest[:int(count)] + b"\n")
            waiting = rest[int(count):]


def syslog(port, certificate, key, path):
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    context = tls_server(certificate, key)
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print("ready", flush=True)
        while True:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    keep_messages(connection, out)
            except OSError:
                pass


class Deaf:
    """Takes a connection, reads nothing of what comes, and ends when the other side does."""

    def __init__(self, certificate, key):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        context = tls_server(certificate, key)

        def serve():
            plain, _ = self.listener.accept()
            connection = context.wrap_socket(plain, server_side=True)
            ended = select.poll()
            ended.register(connection, select.POLLRDHUP)
            ended.poll(60000)
            connection.close()  # with what is unread: the other side hears that

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def close(self):
        self.thread.join()
        self.listener.close()


class Webhook:
    """Verifies what comes. answers: what the first requests get instead, 0 for no answer at all."""

    def __init__(self, certificate, key, secret, answers=()):
        self.bodies = []  # that were accepted
        self.attempts = []  # (webhook-id, body, answer)
        self.faults = []
        receiver, answers = self, list(answers)
        secret = base64.b64decode(secret.removeprefix("whsec_"))

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the sender died amid it
                    self.close_connection = True
                    return
                name, stamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
                signed = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
                if self.headers["webhook-signature"] != "v1," + base64.b64encode(signed).decode():
                    receiver.faults.append("signature")
                if abs(time.time() - int(stamp)) > 60:
                    receiver.faults.append("timestamp")
                answer = answers.pop(0) if answers else 204
                receiver.attempts.append((name, body, answer))
                if answer == 204:
                    receiver.bodies.append(body)
                if answer == 0:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None
        self.server.socket = tls_server(certificate, key).wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    syslog(*sys.argv[1:])
