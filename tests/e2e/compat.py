"""A vault with its Vault-compatible face open, and plain ways to speak to it."""

import contextlib
import hashlib
import http.client
import json
import ssl
import subprocess

import web
from harness import Vault, free_port, openssl


class Compat:
    def __init__(self, **settings):
        self.port = free_port()
        self.vault = Vault.opened(compat_listen=f"127.0.0.1:{self.port}", **settings)
        self.url = f"https://127.0.0.1:{self.port}"
        self._connections = {}

    def close(self):
        for connection in self._connections.values():
            connection.close()
        self.vault.close()

    def _connection(self, who, source):
        if (who, source) not in self._connections:
            context = ssl.create_default_context(cafile=self.vault.ca)
            if who:
                context.load_cert_chain(who.certificate, who.key)
            self._connections[who, source] = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=web.TIMEOUT, context=context, source_address=source and (source, 0))
        return self._connections[who, source]

    def ask(self, path, *heads, who=None, token=None, namespace=None, method="GET", body=None, source=None):
        """On a kept-alive connection. heads: (name, value), which may repeat. Returns whatever came."""
        connection = self._connection(who, source)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        shown = [("X-Vault-Token", token), ("X-Vault-Namespace", namespace), *heads,
                 ("Content-Length", None if data is None else str(len(data)))]
        for last in (False, True):
            try:
                connection.putrequest(method, path, skip_accept_encoding=True)
                for name, value in shown:
                    if value is not None:
                        connection.putheader(name, value)
                connection.endheaders(data)
                answer = connection.getresponse()
                return web.Reply(answer.status, answer.getheaders(), answer.read())
            except (OSError, http.client.HTTPException):
                connection.close()  # the next request begins anew
                if last:
                    raise

    def reachable(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("/v1/sys/health").status == 200
        return False

    def opt_in(self, name, binding="cert", enabled=True):
        self.vault.api("POST", f"/v1/tenants/{name}/compat", {"enabled": enabled, "binding": binding})

    def customer(self, binding="cert", name=None):
        """A tenant that has opted in, with a key and a gateway that may lease it."""
        customer = self.vault.customer(name)
        self.opt_in(customer.name, binding)
        return customer

    def login(self, who):
        """The auth block of a login with a certificate."""
        reply = self.ask("/v1/auth/cert/login", who=who, method="POST", body=b"{}")
        assert reply.status == 200, f"{reply}"
        return reply.json["auth"]

    def token(self, who):
        return self.login(who)["client_token"]

    def read(self, customer, token, who="its own", path=None, **more):
        """The customer's key by KV v2. Returns whatever came."""
        return self.ask(path or f"/v1/secret/data/{customer.key}", token=token, namespace=customer.name,
                        who=customer.gateway if who == "its own" else who, **more)

    def approle(self, gateway, **body):
        return self.vault.api("POST", f"/v1/gateways/{gateway.name}/approles", body)

    def approle_login(self, role, who=None):
        return self.ask("/v1/auth/approle/login", who=who, method="POST",
                        body={"role_id": role["role_id"], "secret_id": role["secret_id"]})

    def issued(self, gateway, cidr="127.0.0.0/8", **body):
        return self.vault.api("POST", f"/v1/gateways/{gateway.name}/tokens", {"cidr": cidr, **body})


def spki(identity):
    """As certificates are named when they are revoked."""
    public = openssl("x509", "-in", identity.certificate, "-noout", "-pubkey")
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), capture_output=True,
                         check=True).stdout
    return hashlib.sha256(der).hexdigest()
