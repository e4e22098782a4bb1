"""Leases provider keys from Strongroom, with nothing but the standard library.

    vault = Vault("vault.example", 8200, "ca.crt", "gateway.crt", "gateway.key")
    with vault.lease("acme/openai-prod", ttl_s=60, model="gpt-5") as lease:
        call_the_provider(lease.value)

A Vault may be used by several threads. What it raises is a Refused, or an OSError when nobody answers.
"""

import contextlib
import http.client
import json
import ssl
import threading
import time


class Refused(Exception):
    """The vault said no. title is its machine-readable code, such as "denied" or "locked"."""

    def __init__(self, status, title, detail):
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title = status, title


class Lease:
    def __init__(self, answer):
        self.token, self.value = answer["lease"], answer["value"]
        self.key, self.provider, self.version = answer["key"], answer["provider"], answer["version"]
        self.id = self.token[:32]  # as the audit trail names it
        self.over = False

    def __repr__(self):
        return f"<lease {self.id} of {self.key}>"  # never the value


class Vault:
    def __init__(self, host, port, ca, certificate, private_key, timeout=30):
        self._where, self._timeout = (host, port), timeout
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_verify_locations(ca)
        self._context.load_cert_chain(certificate, private_key)
        self._mine = threading.local()  # a connection for each thread

    def _call(self, method, path, body=None):
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = http.client.HTTPSConnection(
                *self._where, timeout=self._timeout, context=self._context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {} if body is None else {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read() or b"{}")
        except BaseException:
            connection.close()  # the next call begins anew
            raise
        if answer.status >= 400:
            raise Refused(answer.status, said.get("title"), said.get("detail"))
        return said

    @contextlib.contextmanager
    def lease(self, key, **more):
        """A lease for the time of a with block. more: ttl_s, purpose, model, environment, classification."""
        lease = Lease(self._call("POST", "/v1/leases", {"key": key, **more}))
        try:
            yield lease
        finally:
            lease.value = None
            with contextlib.suppress(OSError, http.client.HTTPException, Refused):  # it ends by itself
                self._call("POST", f"/v1/leases/{lease.token}/release", {})

    def revocations(self, stop=lambda: False, silent_after=30):
        """What ends, as it ends: dictionaries with at least "what". "feed.silent" comes when the vault has not
        answered for so many seconds, "feed.lost" when something may have been missed: then drop every key."""
        after, heard, silent = None, time.monotonic(), False
        while not stop():
            path = "/v1/revocations" if after is None else f"/v1/revocations?after={after}&wait=20"
            try:
                page = self._call("GET", path)
            except (OSError, http.client.HTTPException, Refused) as problem:
                if isinstance(problem, Refused) and problem.status in (401, 403):
                    raise
                if not silent and time.monotonic() - heard > silent_after:
                    silent = True
                    yield {"what": "feed.silent"}
                time.sleep(1)
                continue
            heard, silent = time.monotonic(), False
            if page.get("lost"):
                yield {"what": "feed.lost"}
            yield from page["events"]
            after = page["next"]

    def acknowledge(self, *events):
        """The events' keys are not used any more: it is recorded in the trail of whose they were."""
        return self._call("POST", "/v1/revocations/acknowledge", {"events": [event["event"] for event in events]})
