"""A vault with its Vault-compatible face open, and plain ways to speak to it."""

import hashlib
import http.client
import ssl
import subprocess

import web
from harness import Vault, free_port, openssl


class Compat:
    def __init__(self, **settings):
        self.port = free_port()
        self.vault = Vault.opened(compat_listen=f"127.0.0.1:{self.port}", **settings)
        self._connection = None
        self.url = f"https://127.0.0.1:{self.port}"

    def curl(self, path, *options, who=None, token=None, namespace=None, **more):
        heads = [*(["-H", f"X-Vault-Token: {token}"] if token else []),
                 *(["-H", f"X-Vault-Namespace: {namespace}"] if namespace is not None else [])]
        return web.curl(self.url + path, *heads, *options, ca=self.vault.ca, who=who, env=self.vault.environment(),
                        **more)

    def raw(self, method, path, token=None, namespace=None):
        """On a kept-alive connection without a certificate, the path as it is."""
        if self._connection is None:
            context = ssl.create_default_context(cafile=self.vault.ca)
            self._connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=web.TIMEOUT, context=context)
        heads = {"X-Vault-Token": token, "X-Vault-Namespace": namespace}
        self._connection.request(method, path, headers={name: text for name, text in heads.items() if text is not None})
        answer = self._connection.getresponse()
        return web.Reply(answer.status, answer.getheaders(), answer.read())

    def opt_in(self, name, binding="cert", enabled=True):
        self.vault.api("POST", f"/v1/tenants/{name}/compat", {"enabled": enabled, "binding": binding})

    def customer(self, binding="cert", name=None):
        """A tenant that has opted in, with a key and a gateway that may lease it."""
        customer = self.vault.customer(name)
        self.opt_in(customer.name, binding)
        return customer

    def login(self, who):
        """The auth block of a login with a certificate."""
        reply = self.curl("/v1/auth/cert/login", who=who, method="POST", body=b"{}")
        assert reply.status == 200, f"{reply}"
        return reply.json["auth"]

    def token(self, who):
        return self.login(who)["client_token"]

    def read(self, customer, token, who="its own", path=None, **more):
        """The customer's key by KV v2. Returns whatever came."""
        return self.curl(path or f"/v1/secret/data/{customer.key}", token=token, namespace=customer.name,
                         who=customer.gateway if who == "its own" else who, **more)

    def approle(self, gateway, **body):
        return self.vault.api("POST", f"/v1/gateways/{gateway.name}/approles", body)

    def approle_login(self, role, who=None):
        return self.curl("/v1/auth/approle/login", who=who, method="POST",
                         body={"role_id": role["role_id"], "secret_id": role["secret_id"]})

    def issued(self, gateway, cidr="127.0.0.0/8", **body):
        return self.vault.api("POST", f"/v1/gateways/{gateway.name}/tokens", {"cidr": cidr, **body})


def spki(identity):
    """As certificates are named when they are revoked."""
    public = openssl("x509", "-in", identity.certificate, "-noout", "-pubkey")
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), capture_output=True,
                         check=True).stdout
    return hashlib.sha256(der).hexdigest()
