"""Proxies ask the vault before each request, and pass it on with the provider's credential in place."""

import contextlib
import http.client
import http.server
import json
import shutil
import subprocess
import threading

import pytest
from harness import ROOT, await_that, free_port, unique
from memory import found_in
from test_hygiene import as_root, exposed, forms, plain_build  # noqa: F401: exposed is a fixture
from terminal import die_with_parent

EXAMPLE = ROOT / "examples/nginx"
PROVIDER_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "anthropic-version")


def ask(vault, who, path, *headers, method="GET"):
    options = [word for header in headers for word in ("-H", header)]
    return vault.curl(f"/v1/authz/{path}", *options, who=who, method=method)


def issued(vault, tenant):
    return [record for _, record in vault.records(tenant) if record["type"] == "lease.issued"]


# --- the route -------------------------------------------------------------------------------------


@pytest.mark.sanitize
@pytest.mark.tsan
def test_the_answer_is_the_providers_header_and_the_lease_and_nothing_else(vault, customer):
    reply = ask(vault, customer.gateway, f"{customer.path}?ttl_s=60&purpose=proxy")
    assert reply.status == 200 and reply.body == b"", reply
    assert reply.headers["authorization"] == f"Bearer {customer.value}"
    assert reply.headers["cache-control"] == "no-store"
    record, = issued(vault, customer.name)
    assert record["lease_id"] == reply.headers["strongroom-lease"] and record["ttl_s"] == 60
    assert record["expires"] == reply.headers["strongroom-lease-expires"]
    for method in ("POST", "DELETE", "PATCH"):  # whatever the client wants to do
        assert ask(vault, customer.gateway, customer.path, method=method).status == 200
    assert len(issued(vault, customer.name)) == 4


@pytest.mark.parametrize("provider, expected", [
    ("anthropic", {"x-api-key": "{}", "anthropic-version": "2023-06-01"}),
    ("google", {"x-goog-api-key": "{}"}), ("azure-openai", {"api-key": "{}"}),
    ("mistral", {"authorization": "Bearer {}"})])
def test_each_provider_gets_the_headers_that_it_wants(vault, customer, provider, expected):
    key = unique("key")
    value = vault.put_key(customer.name, key, provider=provider)
    gateway = vault.add_gateway(f"{customer.name}/*")
    reply = ask(vault, gateway, f"{customer.name}/{key}")
    found = {name: reply.headers[name] for name in PROVIDER_HEADERS if name in reply.headers}
    assert found == {name: text.format(value) for name, text in expected.items()}


def test_envoy_ai_gateway_gets_its_own_headers(vault, customer):
    reply = ask(vault, customer.gateway, f"{customer.path}?style=aigw")
    assert reply.headers["x-aigw-api-key"] == customer.value and "authorization" not in reply.headers


def test_claims_come_from_the_query_before_they_come_from_headers(vault, customer):
    ask(vault, customer.gateway, f"{customer.path}?model=gpt-5", "Strongroom-Model: other",
        "Strongroom-Environment: production")
    record, = issued(vault, customer.name)
    assert (record["model"], record["environment"]) == ("gpt-5", "production")


def test_no_is_401_or_403_and_locked_is_503(new_vault):
    vault = new_vault()
    customer, other = vault.customer(), vault.customer()
    assert ask(vault, None, customer.path).status == 401
    assert ask(vault, vault.operator, customer.path).status == 403
    for path in (other.path, f"{customer.name}/none", "none/none", f"{customer.path}?ttl_s=0", f"{customer.path}?share=2",
                 f"{customer.path}?style=x"):
        reply = ask(vault, customer.gateway, path)
        assert reply.status == 403 and reply.headers["content-type"] == "application/problem+json", path
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    assert ask(vault, customer.gateway, customer.path).status == 403
    vault.lock()
    assert ask(vault, other.gateway, other.path).status == 503


def test_a_clients_idempotency_key_and_body_mean_nothing_here(vault, customer):
    one, two = (vault.curl(f"/v1/authz/{customer.path}", "-H", "Idempotency-Key: same", who=customer.gateway,
                           body=b"not JSON" * 20000).headers["strongroom-lease"] for _ in range(2))
    assert one != two


@pytest.mark.sanitize
def test_a_credential_that_no_header_can_carry_is_refused_and_the_lease_given_back(vault, customer):
    gateway = vault.add_gateway(f"{customer.name}/*")
    vault.put_key(customer.name, "odd", value=json.dumps({"api_key": "one\r\nX-Two: 2"}), provider="aws-bedrock")
    vault.put_key(customer.name, "vertex", provider="google-vertex",
                  value=json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "k"}))
    for key in ("odd", "vertex"):
        before = len(vault.types(customer.name))
        reply = ask(vault, gateway, f"{customer.name}/{key}")
        assert reply.status == 403 and "x-two" not in reply.headers, reply
        assert vault.types(customer.name)[before:] == ["lease.issued", "lease.released"]


@pytest.mark.sanitize
@pytest.mark.tsan
def test_a_shared_lease_is_one_record_until_it_is_over(vault):
    customer = vault.customer()
    path = f"{customer.path}?share=1&ttl_s=300"
    replies = [ask(vault, customer.gateway, path) for _ in range(5)]
    assert {reply.headers["strongroom-lease"] for reply in replies} == {
        record["lease_id"] for record in issued(vault, customer.name)}
    assert all(reply.headers["authorization"] == f"Bearer {customer.value}" for reply in replies)
    other = vault.add_gateway(f"{customer.name}/*")  # another certificate shares nothing with it
    assert ask(vault, other, path).status == 200 and len(issued(vault, customer.name)) == 2
    value = vault.rotate_key(customer.name)
    assert ask(vault, customer.gateway, path).headers["authorization"] == f"Bearer {value}"
    assert len(issued(vault, customer.name)) == 3
    vault.api("POST", "/v1/leases/revoke", {"tenant": customer.name})
    assert ask(vault, customer.gateway, path).headers["strongroom-lease"] == issued(vault, customer.name)[-1]["lease_id"]
    assert len(issued(vault, customer.name)) == 4
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    assert ask(vault, customer.gateway, path).status == 403


def test_many_who_share_at_once_make_one_lease(vault, customer):
    path = f"/v1/authz/{customer.path}?share=1"
    leases, gate = [], threading.Barrier(8)

    def work():
        client = vault.client(customer.gateway)
        client("GET", "/v1/status")
        gate.wait()
        leases.append(client("GET", path).headers["strongroom-lease"])
        client.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leases) == 8 and len(set(leases)) == 1 and len(issued(vault, customer.name)) == 1


# --- memory ----------------------------------------------------------------------------------------


@as_root
@plain_build
def test_a_key_answered_as_a_header_is_nowhere_in_the_servers_memory(exposed):  # noqa: F811
    customer = exposed.customer()
    client, pid = exposed.client(customer.gateway), exposed.pid("server")
    for _ in range(3):
        reply = client("GET", f"/v1/authz/{customer.path}")
        assert reply.headers["authorization"] == f"Bearer {customer.value}"
        await_that("the exchange is over", lambda: not found_in(pid, forms(customer.value)), seconds=2)
    client.close()


@as_root
@plain_build
def test_a_shared_value_is_in_memory_while_it_lives_and_then_is_not(exposed):  # noqa: F811
    customer = exposed.customer()
    path, pid = f"{customer.path}?share=1", exposed.pid("server")
    assert ask(exposed, customer.gateway, path).status == 200
    await_that("the one copy is kept", lambda: found_in(pid, forms(customer.value)))
    exposed.api("POST", "/v1/leases/revoke", {"tenant": customer.name})
    await_that("it is wiped", lambda: not found_in(pid, forms(customer.value)), seconds=3)
    assert ask(exposed, customer.gateway, path).status == 200
    exposed.lock()
    await_that("it is wiped with the lock", lambda: not found_in(pid, forms(customer.value)), seconds=3)


# --- nginx -----------------------------------------------------------------------------------------


class Provider:
    """Records what it was asked, and answers."""

    answer, status = b"ok", 200

    def __init__(self):
        provider, seen = self, []
        self.seen = seen

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(provider.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(provider.answer)))
                self.end_headers()
                self.wfile.write(provider.answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Nginx:
    """The example as it is, but for addresses and the key's name."""

    def __init__(self, vault, customer, provider, include=None):
        self.port, self.loopback, self.base = free_port(), free_port(), vault.base / unique("nginx")
        for directory in ("strongroom", "logs", "temp"):
            (self.base / directory).mkdir(parents=True)
        (self.base / "temp").chmod(0o777)
        for file in EXAMPLE.glob("*.conf"):
            text = file.read_text()
            for old, new in (("127.0.0.1:8200", f"127.0.0.1:{vault.port}"), ("127.0.0.1:9000", f"127.0.0.1:{provider.port}"),
                             ("127.0.0.1:8080", f"127.0.0.1:{self.port}"), ("127.0.0.1:8201", f"127.0.0.1:{self.loopback}"),
                             ("acme/openai-prod", customer.path)):
                text = text.replace(old, new)
            if include and file.name == "nginx.conf":
                text = text.replace("http {\n", f"http {{\n    include {include};\n")
            (self.base / file.name).write_text(text)
        who = customer.gateway
        for source, name in ((who.certificate, "gateway.crt"), (who.key, "gateway.key"), (vault.ca, "ca.crt")):
            shutil.copy(source, self.base / "strongroom" / name)
        self.process = subprocess.Popen(
            ["nginx", "-p", str(self.base), "-c", "nginx.conf", "-e", "logs/error.log", "-g", "daemon off;"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        await_that("nginx listens", self._listens)

    def _listens(self):
        assert self.process.poll() is None, self.log("error")
        with contextlib.suppress(OSError):
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=5).connect()
            return True

    def log(self, name):
        return (self.base / f"logs/{name}.log").read_text()

    def post(self, path="/v1/chat/completions", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, b'{"model":"gpt-5"}', headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def proxied(vault):
    customer, provider = vault.customer(), Provider()
    nginx = Nginx(vault, customer, provider)
    yield vault, customer, provider, nginx
    nginx.close()
    provider.close()


def test_behind_nginx_the_provider_gets_the_key_and_the_client_never_sees_it(proxied):
    vault, customer, provider, nginx = proxied
    forged = {"Authorization": "Bearer sk-of-the-client", "x-api-key": "mine", "api-key": "mine", "x-goog-api-key": "mine",
              "Strongroom-Model": "forged"}
    for n in range(1, 4):
        status, headers, body = nginx.post(**forged)
        assert (status, body) == (200, b"ok"), nginx.log("error")
        assert customer.value not in json.dumps(headers)
        got, sent = provider.seen[-1]
        assert got["authorization"] == f"Bearer {customer.value}" and sent == b'{"model":"gpt-5"}'
        assert not {"x-api-key", "api-key", "x-goog-api-key"} & set(got)
        record = issued(vault, customer.name)[-1]
        assert len(issued(vault, customer.name)) == n and record["lease_id"] == headers["strongroom-lease"]
        assert "model" not in record
    # nginx writes it after the answer.
    await_that("the last lease is in its log", lambda: headers["strongroom-lease"] in nginx.log("access"))
    assert customer.value not in nginx.log("access") + nginx.log("error")


def test_behind_nginx_a_shared_lease_is_one_record_for_all_requests(proxied):
    vault, customer, provider, nginx = proxied
    for _ in range(5):
        assert nginx.post("/shared/v1/chat/completions", Authorization="Bearer mine")[0] == 200, nginx.log("error")
        assert provider.seen[-1][0]["authorization"] == f"Bearer {customer.value}"
    assert len(issued(vault, customer.name)) == 1


def test_behind_nginx_a_revoked_key_is_403_and_the_provider_is_not_asked(proxied):
    vault, customer, provider, nginx = proxied
    assert nginx.post("/shared/v1/chat/completions")[0] == nginx.post()[0] == 200
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    asked = len(provider.seen)
    assert nginx.post("/shared/v1/chat/completions")[0] == nginx.post()[0] == 403
    assert len(provider.seen) == asked
