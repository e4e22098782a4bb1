"""LiteLLM's own proxy, started as its users start it, before a provider that is a part of the test: with the callback
of examples/litellm, and under exec with nothing but an environment variable and its own report of usage."""

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import textwrap

import pytest
import yaml
from harness import BIN, DENIED, ROOT, await_that, free_port, unique
from terminal import die_with_parent
from test_exec import profile_of
from test_forward_auth import Provider, issued
from test_usage import PROMPT, proxied, sums, usage_of  # noqa: F401: proxied is a fixture

LITELLM = ROOT / "build/litellm"
MASTER_KEY = "sk-of-the-proxy"  # what its clients show it
PATIENCE = 120  # seconds for a start: most of it imports, and slow where other tests run


class Model(Provider):
    """A provider with a model that always says the same."""

    @property
    def answer(self):  # asked for its length and for itself: the id is another one each time, and as long
        return json.dumps({
            "id": f"chatcmpl-{os.urandom(8).hex()}", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "good day"}}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}}).encode()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def shown(self):
        """The credentials of its requests, in their order."""
        return [headers["authorization"].removeprefix("Bearer ") for headers, _ in self.seen]


class LiteLLM:
    """The proxy in a directory of its own; models: {name: (api_key, model_info)}."""

    def __init__(self, directory, models, provider, environment, launcher=(), **config):
        if not (LITELLM / "ready").exists():
            pytest.skip("LiteLLM is not installed: ./dev deps could not reach PyPI")
        self.port, self.log_path = free_port(), directory / "log"
        (directory / "config.yaml").write_text(json.dumps({
            "model_list": [{
                "model_name": name, "model_info": info,
                "litellm_params": {"model": f"openai/{name}", "api_key": key, "api_base": provider.base},
            } for name, (key, info) in models.items()],
            "general_settings": {"master_key": MASTER_KEY}, "router_settings": {"num_retries": 0}, **config}))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*launcher, LITELLM / "bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port",
                 str(self.port), "--telemetry", "False"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=directory, env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}, preexec_fn=die_with_parent)

    def log(self):
        return self.log_path.read_text()

    def request(self, method, path, body=None):
        """(status, what came)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body and json.dumps(body), {
                "Content-Type": "application/json", "Authorization": f"Bearer {MASTER_KEY}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ask(self, model="gpt-4o", **more):
        return self.request("POST", "/v1/chat/completions", {
            "model": model, "messages": [{"role": "user", "content": "hello"}], **more})

    def asked(self, *what, **more):
        """The same, and it has to succeed."""
        status, text = self.ask(*what, **more)
        assert status == 200 and "good day" in text, f"{text}\n{self.log()[-3000:]}"

    def await_ready(self, starts=1):
        """Until it has started so often, and answers."""
        def ready():
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError):
                return (self.log().count("Application startup complete") == starts
                        and self.request("GET", "/health/readiness")[0] == 200)

        await_that("the proxy is ready", ready, PATIENCE)
        return self

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()


def directory_of(vault):
    directory = vault.base / unique("litellm")
    directory.mkdir()
    return directory


# --- examples/litellm ------------------------------------------------------------------------------


class Scene:
    def __init__(self, vault):
        self.vault, self.customer, self.other = vault, vault.customer(), vault.customer()
        self.provider, self.elsewhere, directory = Model(), Model(), directory_of(vault)
        who = vault.add_gateway(self.customer.path, self.other.path)
        for source, name in ((who.certificate, "gateway.crt"), (who.key, "gateway.key"), (vault.ca, "ca.crt")):
            shutil.copy(source, directory / name)
        for source in ("litellm/strongroom_lease.py", "python/strongroom.py"):
            shutil.copy(ROOT / "examples" / source, directory)
        self.proxy = LiteLLM(directory, {
            name: ("leased", {"strongroom_key": customer.path, "strongroom_base": self.provider.base})
            for name, customer in (("gpt-4o", self.customer), ("gpt-4o-mini", self.other))
        }, self.provider, {**vault.environment(), "STRONGROOM_URL": vault.url, "STRONGROOM_DIR": str(directory)},
            litellm_settings={"callbacks": "strongroom_lease.handler"})

    def close(self):
        self.proxy.close()
        self.provider.close()
        self.elsewhere.close()


@pytest.fixture(scope="module")
def scene(vault):
    scene = Scene(vault)
    try:
        scene.proxy.await_ready()
        yield scene
    finally:
        scene.close()


def test_the_provider_behind_the_proxy_gets_the_vaults_key_and_the_trail_the_lease_and_what_it_was_used_for(scene):
    vault, customer = scene.vault, scene.customer
    scene.proxy.asked()
    assert scene.provider.shown() == [customer.value]
    lease, = issued(vault, customer.name)
    assert (lease["key"], lease["model"], lease["ttl_s"]) == (customer.path, "gpt-4o", 120)
    used = vault.await_record(customer.name, type="usage.reported", lease=lease["lease_id"])
    assert (used["status_ok"], used["input_tokens"], used["output_tokens"]) == (1, 1000, 100)
    assert "inferred" not in used and "dropped" not in used, "nothing of what was said went along"
    row, = sums(vault, customer.name)
    assert (row["model"], row["requests"], row["input_tokens"], row["output_tokens"]) == ("gpt-4o", 1, 1000, 100)
    assert row["cost_micro"] > 0, "as LiteLLM reckons it"
    assert customer.value not in scene.proxy.log()


def test_no_credential_of_a_caller_goes_to_the_provider(scene):
    given = {"authorization": "Bearer mine", "X-Api-Key": "mine", "api-key": "mine", "x-other": "1"}
    for name in ("headers", "extra_headers"):
        scene.proxy.asked(**{name: given})
        headers, body = scene.provider.seen[-1]
        assert headers["authorization"] == f"Bearer {scene.customer.value}" and headers["x-other"] == "1"
        assert "mine" not in headers.values() and b"mine" not in body


def test_a_caller_of_the_proxy_can_neither_choose_the_key_nor_where_it_goes(scene):
    there, leases = scene.elsewhere.base, len(issued(scene.vault, scene.customer.name))
    deployment = {"model_name": "gpt-4o",
                  "litellm_params": {"model": "openai/gpt-4o", "api_key": "leased", "api_base": there},
                  "model_info": {"strongroom_key": scene.customer.path, "strongroom_base": there}}
    for more in ({"api_key": "leased", "api_base": there}, {"api_key": "leased", "base_url": there},
                 {"api_key": "mine"},
                 {"fallbacks": [{"model": "gpt-4o", "api_base": there}], "mock_testing_fallbacks": True},
                 {"user_config": {"model_list": [deployment]}}, {"custom_llm_provider": "deepseek"},
                 {"model_info": deployment["model_info"]}):
        status, text = scene.proxy.ask(**more)
        assert status == 400 and "a caller may not say" in text, (more, text)
    assert len(issued(scene.vault, scene.customer.name)) == leases
    asked = len(scene.provider.seen)
    for _ in range(4):  # LiteLLM would remember the address for others who ask for that model
        scene.proxy.asked(metadata={"model_info": deployment["model_info"], "deployment": "deepseek/x"})
    assert scene.provider.shown()[asked:] == [scene.customer.value] * 4 and scene.elsewhere.seen == []


def test_the_next_request_has_the_rotated_key_and_none_has_a_revoked_one(scene):
    vault, other = scene.vault, scene.other
    scene.proxy.asked("gpt-4o-mini")
    value = vault.rotate_key(other.name)
    scene.proxy.asked("gpt-4o-mini")
    assert scene.provider.shown()[-2:] == [other.value, value]
    vault.cli("key", "revoke", other.path, "--yes")
    asked = len(scene.provider.seen)
    status, text = scene.proxy.ask("gpt-4o-mini")
    assert status == 403 and "denied" in text and len(scene.provider.seen) == asked
    assert vault.types(other.name)[-1] == "lease.refused"


def test_where_the_proxy_asks_nobody_about_a_request_the_key_still_goes_to_no_other_address(scene):
    there, leases = scene.elsewhere.base, len(issued(scene.vault, scene.customer.name))
    status, _ = scene.proxy.request("POST", "/v1beta/models/gpt-4o:generateContent", {
        "model": "gpt-4o", "contents": [{"role": "user", "parts": [{"text": "hello"}]}], "api_key": "leased",
        "api_base": there})
    assert status == 500 and len(issued(scene.vault, scene.customer.name)) == leases
    # From here on LiteLLM sends some requests of others there too, which is why this test is the last of the scene.
    assert {scene.proxy.ask()[0] for _ in range(6)} <= {200, 403} and scene.elsewhere.seen == []


# --- exec ------------------------------------------------------------------------------------------


def launcher_of(vault, customer, *options):
    profile = profile_of(vault, customer)
    return [BIN / "strongroom", "--profile", profile, "exec", "--lease", customer.path, "--ttl", "60", *options, "--"]


def test_under_exec_the_proxy_has_the_key_in_its_environment_starts_anew_with_another_and_ends_without(vault, customer):
    provider, launcher = Model(), launcher_of(vault, customer, "--restart", "--kill-on-revoke")

    def start():
        return LiteLLM(directory_of(vault), {"gpt-4o": ("os.environ/OPENAI_API_KEY", {})}, provider,
                       vault.environment(), launcher)

    proxy = start()
    try:
        proxy.await_ready().asked()
        assert [lease["key"] for lease in issued(vault, customer.name)] == [customer.path]
        value = vault.rotate_key(customer.name)
        proxy.await_ready(starts=2).asked()
        assert provider.shown() == [customer.value, value]
        vault.cli("key", "revoke", customer.path, "--yes")
        await_that("the proxy is told to end", lambda: proxy.process.poll() is not None)
        proxy.close()
        proxy = start()
        assert proxy.process.wait(30) == DENIED and "Started" not in proxy.log()
    finally:
        proxy.close()
        provider.close()


# --- its own callback, as docs/OPERATIONS.md has it ------------------------------------------------


def documented(customer, address):
    """Its configuration there, with the address of nginx and the name of the key."""
    document = (ROOT / "docs/OPERATIONS.md").read_text()
    text = textwrap.dedent(re.search(r"^    litellm_settings:\n(?:    .*\n)+", document, re.MULTILINE).group())
    for old, new in (("http://127.0.0.1:8210", address), ("acme/openai-prod", customer.path)):
        assert old in text, old
        text = text.replace(old, new)
    return yaml.safe_load(text)


def test_the_proxys_own_callback_reports_through_nginx_and_what_was_said_stays_out_of_the_vault(
        vault, customer, proxied):  # noqa: F811
    provider, witness, config = Model(), Provider(), documented(customer, proxied)
    assert config["litellm_settings"]["turn_off_message_logging"] is True
    # The same once more to somebody who keeps it, to know what came to nginx.
    config["litellm_settings"]["callbacks"].append("witness")
    config["callback_settings"]["witness"] = {
        "callback_type": "generic_api", "endpoint": f"http://127.0.0.1:{witness.port}", "headers": {"x-other": "1"}}
    # All at once, when there are three: by the clock, LiteLLM loses what comes while it sends.
    environment = {**vault.environment(), "DEFAULT_BATCH_SIZE": "3", "DEFAULT_FLUSH_INTERVAL_SECONDS": "3600"}
    proxy = LiteLLM(directory_of(vault), {"gpt-4o": ("os.environ/OPENAI_API_KEY", {})}, provider, environment,
                    launcher_of(vault, customer), **config)

    def ask(**more):
        return proxy.ask(messages=[{"role": "user", "content": PROMPT}], **more)[0]

    try:
        proxy.await_ready()
        assert ask() == 200
        assert ask(turn_off_message_logging=False) == 200  # a caller may have it sent nevertheless
        assert usage_of(vault, customer.name) == []
        provider.status = 429
        assert ask() == 429
        used = vault.await_record(customer.name, type="usage.reported")
        await_that("the same came to the other", lambda: witness.seen)
    finally:
        proxy.close()
        provider.close()
        witness.close()
    assert customer.value in provider.shown() and PROMPT.encode() in provider.seen[0][1]
    told = [PROMPT in json.dumps(payload) for payload in json.loads(witness.seen[0][1])]
    assert sorted(told) == [False, False, True]
    assert (used["key"], used["inferred"], used["requests"], used["failures"], used["status_throttled"]) == (
        customer.path, True, 3, 1, 1)
    row, = sums(vault, customer.name)
    assert (row["requests"], row["failures"], row["input_tokens"], row["output_tokens"]) == (3, 1, 2000, 200)
    kept = [json.dumps([record for _, record in vault.records(log)]) for log in (customer.name, "vault")]
    kept += [vault.export(customer.name).read_text(), vault.log()]
    assert "usage.reported" in kept[0] and "usage.reported" in kept[2]
    assert not any("Ottilie" in text or "good day" in text for text in kept)
