#!/usr/bin/python3
"""One request to a provider with a leased key.

    STRONGROOM_URL=https://vault.example:8200 STRONGROOM_DIR=/etc/strongroom ask.py acme/openai-prod URL < body.json
"""

import os
import sys
import urllib.parse
import urllib.request

from strongroom import Vault


def main():
    key, url = sys.argv[1:]
    where, files = urllib.parse.urlsplit(os.environ["STRONGROOM_URL"]), os.environ["STRONGROOM_DIR"]
    vault = Vault(where.hostname, where.port, f"{files}/ca.crt", f"{files}/gateway.crt", f"{files}/gateway.key")
    with vault.lease(key, ttl_s=60) as lease:
        request = urllib.request.Request(url, sys.stdin.buffer.read(), {
            "Authorization": f"Bearer {lease.value}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            sys.stdout.buffer.write(answer.read())


if __name__ == "__main__":
    main()
