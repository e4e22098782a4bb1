"""A LiteLLM callback that leases the provider key of each request, when its deployment is known, and reports its use.

config.yaml, beside this file and examples/python/strongroom.py:

    model_list:
      - model_name: gpt-5
        litellm_params:
          model: openai/gpt-5
          api_key: leased            # never sent: the callback replaces it
          api_base: https://api.openai.com/v1
        model_info:
          strongroom_key: acme/openai-prod
          strongroom_base: https://api.openai.com/v1   # where that key may go; anywhere else is refused
    litellm_settings:
      callbacks: strongroom_lease.handler

The key goes into extra_headers and not into api_key: LiteLLM would make a client, and keep it, for every new
api_key. A request without a lease fails; there is no key to fall back to. What LiteLLM translates, such as
/v1/messages for a model of OpenAI, it brings here twice, and that is two leases. Environment: STRONGROOM_URL and
STRONGROOM_DIR with gateway.crt, gateway.key and ca.crt.

Callers of the proxy may not say where a request goes. The routes of Gemini's own API (/v1beta) do not ask: there a
caller can have LiteLLM remember an address for a model. No key goes to it, but other requests for that model that
LiteLLM sends there fail until it is started anew. Close these routes if callers are not to be trusted.
"""

import asyncio
import os
import urllib.parse

from litellm.integrations.custom_logger import CustomLogger
from strongroom import Refused, Vault

TTL_S = 120  # longer than a request may take
HEADERS = {  # by the provider that the vault says the key is of
    "anthropic": lambda value: {"x-api-key": value},
    "azure-openai": lambda value: {"api-key": value},
    "google": lambda value: {"x-goog-api-key": value},
}
CREDENTIALS = {"authorization", "x-api-key", "api-key", "x-goog-api-key"}
# By each of these a caller can have LiteLLM send a request elsewhere, and some it remembers for other callers.
DIRECTIONS = {"api_key", "api_base", "base_url", "custom_llm_provider", "model_info", "user_config",
              "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"}
REPORTED = ("id", "status", "model", "prompt_tokens", "completion_tokens", "response_cost", "startTime", "endTime")


def bearer(value):
    return {"Authorization": f"Bearer {value}"}


def refusal(status, detail):
    refused = Refused(status, "denied" if status == 403 else "invalid", detail)
    refused.status_code = status  # what LiteLLM answers with
    return refused


class StrongroomLease(CustomLogger):
    def __init__(self):
        super().__init__()
        where, files = urllib.parse.urlsplit(os.environ["STRONGROOM_URL"]), os.environ["STRONGROOM_DIR"]
        self.vault = Vault(where.hostname, where.port, f"{files}/ca.crt", f"{files}/gateway.crt",
                           f"{files}/gateway.key")

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        """What a caller of the proxy asks for, before LiteLLM does anything about it."""
        directions = DIRECTIONS & data.keys()
        if directions:
            raise refusal(400, f"a caller may not say {', '.join(sorted(directions))}")

    def _lease(self, key, model):
        # Not given back: the request that it is for is still to come. It ends by itself.
        try:
            return self.vault._call("POST", "/v1/leases", {"key": key, "ttl_s": TTL_S, "model": model})
        except Refused as refused:
            refused.status_code = refused.status
            raise

    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        # The router sets model_info; anything beside it may come from the caller, who does not choose the key.
        info = kwargs.get("model_info") or {}
        key = info.get("strongroom_key")
        if key is None:
            return kwargs
        bases = {kwargs.get("api_base"), kwargs.get("base_url")} - {None}
        # The router names the deployment in one of the two, and a caller may have in the other.
        deployments = [(kwargs.get(name) or {}).get("deployment") for name in ("metadata", "litellm_metadata")]
        providers = {str(deployment).partition("/")[0] for deployment in deployments if deployment}
        other = kwargs.get("custom_llm_provider")
        if bases != {info.get("strongroom_base")} or (other and providers != {other}):
            raise refusal(403, "the key may not go where this request goes")
        model = str(kwargs.get("model", "")).rpartition("/")[2]
        answer = await asyncio.to_thread(self._lease, key, model)  # a Refused ends the request
        given = {**(kwargs.pop("headers", None) or {}), **(kwargs.get("extra_headers") or {})}
        headers = {name: value for name, value in given.items() if name.lower() not in CREDENTIALS}
        headers.update(HEADERS.get(answer["provider"], bearer)(answer["value"]))
        told = "litellm_metadata" if "litellm_metadata" in kwargs else "metadata"
        return {**kwargs, "extra_headers": headers,
                told: {**(kwargs.get(told) or {}), "strongroom_lease": answer["lease"][:32]}}

    async def _report(self, kwargs):
        told = kwargs.get("litellm_params") or {}
        metadata = {**(told.get("metadata") or {}), **(told.get("litellm_metadata") or {})}
        payload, lease = kwargs.get("standard_logging_object"), metadata.get("strongroom_lease")
        if payload and lease and (told.get("model_info") or {}).get("strongroom_key"):
            code = (payload.get("error_information") or {}).get("error_code")
            await asyncio.to_thread(self.vault._call, "POST", "/v1/usage/litellm", {
                **{name: payload.get(name) for name in REPORTED}, "error_information": {"error_code": code},
                "request_tags": [f"strongroom_lease:{lease}"]})

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        await self._report(kwargs)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        await self._report(kwargs)


handler = StrongroomLease()
