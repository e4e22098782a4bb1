"""A LiteLLM callback that leases the provider key of each request, when its deployment is known.

config.yaml, beside this file and examples/python/strongroom.py:

    model_list:
      - model_name: gpt-5
        litellm_params:
          model: openai/gpt-5
          api_key: leased            # never sent: the callback replaces it
        model_info:
          strongroom_key: acme/openai-prod
    litellm_settings:
      callbacks: strongroom_lease.handler

The key goes into extra_headers and not into api_key: LiteLLM would make a client, and keep it, for every new
api_key. A request without a lease fails; there is no key to fall back to. Environment: STRONGROOM_URL and
STRONGROOM_DIR with gateway.crt, gateway.key and ca.crt.
"""

import asyncio
import os
import urllib.parse

from litellm.integrations.custom_logger import CustomLogger
from strongroom import Vault

TTL_S = 120  # longer than a request may take
HEADERS = {  # by the provider that the vault says the key is of
    "anthropic": lambda value: {"x-api-key": value},
    "azure-openai": lambda value: {"api-key": value},
    "google": lambda value: {"x-goog-api-key": value},
}


def bearer(value):
    return {"Authorization": f"Bearer {value}"}


class StrongroomLease(CustomLogger):
    def __init__(self):
        super().__init__()
        where, files = urllib.parse.urlsplit(os.environ["STRONGROOM_URL"]), os.environ["STRONGROOM_DIR"]
        self.vault = Vault(where.hostname, where.port, f"{files}/ca.crt", f"{files}/gateway.crt",
                           f"{files}/gateway.key")

    def _lease(self, key, model):
        # Not given back: the request that it is for is still to come. It ends by itself.
        return self.vault._call("POST", "/v1/leases", {"key": key, "ttl_s": TTL_S, "model": model})

    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        # The router sets model_info; anything beside it may come from the caller, who does not choose the key.
        key = (kwargs.get("model_info") or {}).get("strongroom_key")
        if key is None:
            return kwargs
        model = str(kwargs.get("model", "")).rpartition("/")[2]
        answer = await asyncio.to_thread(self._lease, key, model)  # a Refused ends the request
        headers = HEADERS.get(answer["provider"], bearer)(answer["value"])
        return {**kwargs, "extra_headers": {**(kwargs.get("extra_headers") or {}), **headers}}


handler = StrongroomLease()
