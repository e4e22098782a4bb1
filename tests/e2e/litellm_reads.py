"""Runs under an interpreter that has LiteLLM: reads secrets with its own client of HashiCorp Vault and prints them.

    litellm_reads.py (sync|async) NAME ...

Its class asks the proxy for a licence; as its own tests do, a module of that name stands in, so that the proxy's many
dependencies are not needed.
"""

import asyncio
import sys
import types

proxy = types.ModuleType("litellm.proxy.proxy_server")
proxy.premium_user = True
proxy.CommonProxyErrors = types.SimpleNamespace(not_premium_user=types.SimpleNamespace(value=""))
sys.modules["litellm.proxy.proxy_server"] = proxy

from litellm.secret_managers.hashicorp_secret_manager import HashicorpSecretManager  # noqa: E402


def read(how, name):
    manager.cache.flush_cache()
    if how == "async":
        return asyncio.run(manager.async_read_secret(name))
    return manager.sync_read_secret(name)


manager = HashicorpSecretManager()
words = sys.argv[1:]
for how, name in zip(words[::2], words[1::2]):
    print(read(how, name))
