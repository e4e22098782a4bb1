#!/bin/sh
# Leases a provider key, calls the provider with it, and gives it back. With curl and jq alone.
#
#   STRONGROOM_URL=https://vault.example:8200 STRONGROOM_DIR=/etc/strongroom lease.sh acme/openai-prod URL [CURL-OPTION...]
#
# STRONGROOM_DIR holds gateway.crt, gateway.key and ca.crt. The key is never an argument (ps shows those) and
# never in a file: curl reads the header from its standard input.
set -eu

key=$1 url=$2
shift 2

vault() {
    curl -sS --fail-with-body --tlsv1.3 --max-time 30 --cacert "$STRONGROOM_DIR/ca.crt" \
        --cert "$STRONGROOM_DIR/gateway.crt" --key "$STRONGROOM_DIR/gateway.key" "$@"
}

# The answer is a shell variable, which is memory of this process and of nobody else.
answer=$(vault -H 'Content-Type: application/json' -d "{\"key\":\"$key\",\"ttl_s\":60}" "$STRONGROOM_URL/v1/leases")
lease=$(printf '%s' "$answer" | jq -r .lease)
trap 'vault -X POST "$STRONGROOM_URL/v1/leases/$lease/release" > /dev/null' EXIT

printf '%s' "$answer" | jq -r '"header = \"Authorization: Bearer " + .value + "\""' |
    curl -sS --fail-with-body --config - "$@" "$url"
