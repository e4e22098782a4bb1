"""Runs under an interpreter that has LiteLLM: reads secrets with its own client of HashiCorp Vault and prints them.

On stdin a list of {"environment": {...}, "reads": [["sync" or "async", name], ...]}, on stdout a list of lists of values.

Its class asks the proxy for a licence; as its own tests do, a module of that name stands in, so that the proxy's many
dependencies are not needed.
"""

import asyncio
import json
import os
import sys
import types

proxy = types.ModuleType("litellm.proxy.proxy_server")
proxy.premium_user = True
proxy.CommonProxyErrors = types.SimpleNamespace(not_premium_user=types.SimpleNamespace(value=""))
sys.modules["litellm.proxy.proxy_server"] = proxy

from litellm.secret_managers.hashicorp_secret_manager import HashicorpSecretManager  # noqa: E402


def read(manager, how, name):
    manager.cache.flush_cache()
    if how == "async":
        return asyncio.run(manager.async_read_secret(name))
    return manager.sync_read_secret(name)


def run(environment, reads):
    os.environ.update(environment)
    try:
        manager = HashicorpSecretManager()
        return [read(manager, how, name) for how, name in reads]
    finally:
        for name in environment:
            del os.environ[name]


print(json.dumps([run(**configuration) for configuration in json.load(sys.stdin)]))
