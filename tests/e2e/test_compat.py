"""The Vault-compatible read API, with plain curl and with the clients that people have."""

import json

import pytest
from harness import Vault, free_port, unique
import web


class Compat:
    """An unlocked vault with that face, and ways to speak to it."""

    def __init__(self, **settings):
        self.port = free_port()
        self.vault = Vault.opened(compat_listen=f"127.0.0.1:{self.port}", **settings)
        self.url = f"https://127.0.0.1:{self.port}"

    def curl(self, path, *options, who=None, token=None, namespace=None, **more):
        heads = [*(["-H", f"X-Vault-Token: {token}"] if token else []),
                 *(["-H", f"X-Vault-Namespace: {namespace}"] if namespace else [])]
        return web.curl(self.url + path, *heads, *options, ca=self.vault.ca, who=who, env=self.vault.environment(),
                        **more)

    def customer(self, binding="cert", name=None):
        customer = self.vault.customer(name)
        self.vault.api("POST", f"/v1/tenants/{customer.name}/compat", {"enabled": True, "binding": binding})
        return customer

    def login(self, who):
        reply = self.curl("/v1/auth/cert/login", who=who, method="POST", body=b"{}")
        assert reply.status == 200, f"{reply}"
        return reply.json["auth"]["client_token"]


@pytest.fixture(scope="module")
def compat():
    compat = Compat()
    yield compat
    compat.vault.close()


def test_a_gateway_logs_in_with_its_certificate_and_reads_a_key(compat):
    customer = compat.customer()
    token = compat.login(customer.gateway)
    reply = compat.curl("/v1/secret/data/openai-prod", who=customer.gateway, token=token, namespace=customer.name)
    assert reply.status == 200, f"{reply}"
    print(json.dumps(reply.json, indent=1))
    assert reply.json["data"]["data"]["key"] == customer.value
    print(compat.curl("/v1/sys/health").json)
    print(compat.curl("/v1/sys/seal-status").json)
    print(compat.curl("/v1/auth/token/lookup-self", who=customer.gateway, token=token).json)
    print(compat.curl("/v1/sys/internal/ui/mounts/secret/x", who=customer.gateway, token=token).json)
    print(compat.vault.records(customer.name)[-1])
