"""What examples/ says about real clients, run as it stands there."""

import json
import re
import shutil
import subprocess
import sys
import threading

import pytest
from harness import ROOT, await_that, unique
from test_forward_auth import Nginx, Provider, issued

EXAMPLES = ROOT / "examples"
LITELLM = ROOT / "build/litellm/bin/python"


@pytest.fixture
def scene(vault):
    """(vault, customer, provider, environment of a client, directory)"""
    customer, provider = vault.customer(), Provider()
    directory = vault.base / unique("client")
    directory.mkdir()
    who = customer.gateway
    for source, name in ((who.certificate, "gateway.crt"), (who.key, "gateway.key"), (vault.ca, "ca.crt")):
        shutil.copy(source, directory / name)
    environment = {**vault.environment(), "STRONGROOM_URL": vault.url, "STRONGROOM_DIR": str(directory)}
    yield vault, customer, provider, environment, directory
    provider.close()


def ran(command, environment, stdin=b""):
    done = subprocess.run([str(word) for word in command], input=stdin, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def types(vault, customer):
    return [kind for kind in vault.types(customer.name) if kind.startswith("lease.")]


def test_the_shell_script_leases_calls_and_gives_back(scene):
    vault, customer, provider, environment, _ = scene
    url = f"http://127.0.0.1:{provider.port}/v1/chat/completions"
    out = ran([EXAMPLES / "curl/lease.sh", customer.path, url, "-d", "{}"], environment)
    assert out == b"ok" and provider.seen[0][0]["authorization"] == f"Bearer {customer.value}"
    assert types(vault, customer) == ["lease.issued", "lease.released"]


def test_the_python_program_does_the_same(scene):
    vault, customer, provider, environment, _ = scene
    url = f"http://127.0.0.1:{provider.port}/v1/chat/completions"
    out = ran(["/usr/bin/python3", EXAMPLES / "python/ask.py", customer.path, url], environment, b"{}")
    assert out == b"ok" and provider.seen[0][0]["authorization"] == f"Bearer {customer.value}"
    assert types(vault, customer) == ["lease.issued", "lease.released"]


def test_the_python_module_follows_revocations_and_acknowledges_them(scene, monkeypatch):
    vault, customer, _, _, directory = scene
    monkeypatch.syspath_prepend(EXAMPLES / "python")
    from strongroom import Refused, Vault

    client = Vault("127.0.0.1", vault.port, *(directory / name for name in ("ca.crt", "gateway.crt", "gateway.key")))
    with client.lease(customer.path, purpose="test") as lease:
        assert lease.value == customer.value and customer.value not in repr(lease)
    heard, begun = [], threading.Event()

    def stop():
        if heard:
            return True
        begun.set()
        return False

    def follow():
        for event in client.revocations(stop):
            heard.append(event)

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(30)
    await_that("an event", lambda: heard or vault.rotate_key(customer.name, grace_s=60) and None)
    thread.join(60)
    assert heard[0]["what"] == "key.rotated" and heard[0]["key"] == customer.key
    client.acknowledge(*heard)
    assert "revocation.acknowledged" in vault.types(customer.name)
    vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
    with pytest.raises(Refused, match="403 denied"), client.lease(customer.path):
        pass


def test_gateways_without_a_certificate_ask_through_a_port_on_loopback(scene):
    vault, customer, provider, environment, _ = scene
    nginx = Nginx(vault, customer, provider, include="loopback.conf")
    try:
        out = ran(["curl", "-sS", "-D", "-", f"http://127.0.0.1:{nginx.loopback}/v1/authz/{customer.path}?ttl_s=60"],
                  environment).decode()
        assert f"authorization: Bearer {customer.value}" in out.replace("Authorization", "authorization")
        assert issued(vault, customer.name)[0]["lease_id"] in out
    finally:
        nginx.close()


def claims(vault, customer, path):
    who = customer.gateway
    out = ran(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", vault.ca, "--cert", who.certificate, "--key",
               who.key, f"{vault.url}{path}"], vault.environment())
    assert out == b"200"
    return {name for name in ("purpose", "model", "environment", "classification") if name in issued(vault, customer.name)[-1]}


def test_what_a_client_asks_of_envoy_is_no_claim_of_the_gateway(scene):
    vault, customer, _, _, _ = scene
    text = (EXAMPLES / "envoy-ai-gateway/strongroom.yaml").read_text()
    path = re.search(r"path: (/v1/authz/\S+)", text).group(1).replace("acme/openai-prod", customer.path)
    path = path.replace("style=aigw", "style=provider")  # the header's name is not what this is about
    told = "&purpose=theirs&model=theirs&environment=theirs&classification=theirs"
    assert claims(vault, customer, path.partition("?")[0] + "?request=/v1/chat" + told) == {
        "purpose", "model", "environment", "classification"}
    assert claims(vault, customer, path + "/v1/chat?share=1" + told) == set()


def test_litellm_leases_for_each_request_when_it_has_chosen_a_deployment(scene):
    vault, customer, provider, environment, directory = scene
    if not LITELLM.exists():
        pytest.skip("LiteLLM is not installed in build/litellm")
    program, elsewhere = directory / "program.py", f"http://127.0.0.1:{provider.port}/elsewhere"
    program.write_text(f"""
import asyncio, sys
sys.path[:0] = [{str(EXAMPLES / "litellm")!r}, {str(EXAMPLES / "python")!r}]
import litellm
import strongroom_lease
litellm.callbacks = [strongroom_lease.handler]
router = litellm.Router(num_retries=0, model_list=[{{"model_name": "gpt-5", "litellm_params": {{
    "model": "openai/gpt-5", "api_key": "leased", "api_base": "http://127.0.0.1:{provider.port}/v1",
    }}, "model_info": {{
        "strongroom_key": {customer.path!r}, "strongroom_base": "http://127.0.0.1:{provider.port}/v1"}}}}])
async def ask(**more):
    return await router.acompletion(model="gpt-5", messages=[{{"role": "user", "content": "hello"}}],
                                    strongroom_key="another/key", **more)  # a caller's, which counts for nothing
for _ in range(2):
    print(asyncio.run(ask()).choices[0].message.content)
for more in ({{"api_base": {elsewhere!r}}}, {{"base_url": {elsewhere!r}}}, {{"custom_llm_provider": "deepseek"}},
             {{"fallbacks": [{{"model": "gpt-5", "api_base": {elsewhere!r}}}], "mock_testing_fallbacks": True}}):
    try:
        asyncio.run(ask(**more))
    except Exception as problem:
        print("may not go" in str(problem))
""")
    provider.answer = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-5", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}]}).encode()
    out = ran([LITELLM, program], {**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert out.split() == [b"hello"] * 2 + [b"True"] * 4 and len(provider.seen) == 2
    assert {seen["authorization"] for seen, _ in provider.seen} == {f"Bearer {customer.value}"}
    assert [record["model"] for record in issued(vault, customer.name)] == ["gpt-5", "gpt-5"]
