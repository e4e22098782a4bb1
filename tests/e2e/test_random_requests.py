"""Random requests after docs/openapi.yaml: nearly right ones, boundaries and nonsense, by every role in turn.

Whatever is asked, the answer is one that the document describes, and the vault goes on. STRONGROOM_SEED repeats a
run, STRONGROOM_REQUESTS makes it longer.
"""

import http.client
import json
import os
import random
import re
import ssl
from urllib.parse import quote

import pytest
import yaml
from harness import ROOT, SLOW, Identity, Vault, make_request, verify_bundle
from web import LocalConnection

SEED = int(os.environ.get("STRONGROOM_SEED") or random.SystemRandom().randrange(1 << 32))
COUNT = int(os.environ.get("STRONGROOM_REQUESTS") or (3000 if SLOW == 1 else 1500))
METHODS = ("get", "post", "delete")
MAY_FAIL = {503, 507}  # what is not the caller's fault and yet no trouble

NUMBERS = [0, 1, -1, 2, 59, 60, 61, 300, 500, 501, 86400, 86401, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30,
           1.5, -0.0, 1e308]
TEXTS = ["", " ", "a", "A", "-", ".", "..", "a" * 63, "a" * 64, "a" * 72, "x" * 5000, "acme", "vault", "tree", "~0", "*",
         "acme/*", "acme/openai-prod", "/", "a/b/c", "\0", "a\0b", "\n", '"', "\\", "\u00e9", "\u202e", "\ufeff", "\U0001f511", "\ud800",
         "%", "%00", "%2f", "' OR 1=1 --", "${x}", "{}", "null", "0" * 32, "f" * 64, "0" * 63, "gateway:", "2026-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"]
BROKEN = [b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}}", b"{'a':1}", b'{"a":1,"a":2}', b'{"key":"acme/openai-prod","key":"x"}',
          b'{"a":\x00}', b'{"\xff":1}', b'{"a":"\xc0\x80"}', b'{"a":"\\ud800"}', b'{"a":NaN}', b'{"a":1e999}', b"\xef\xbb\xbf{}",
          b"[" * 5000, b'{"a":' * 3000, b'{"a":"' + b"x" * 65530 + b'"}', b" " * 66000, b"{}" + b" " * 65000, b"\x1f\x8b\x08\x00"]
TYPES = ["application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded",
         "multipart/form-data; boundary=x", "application/octet-stream", ""]


# --- the document ----------------------------------------------------------------------------------


class Document:
    def __init__(self):
        self.tree = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
        self.operations = [(method.upper(), path, operation, item.get("parameters", []))
                           for path, item in self.tree["paths"].items()
                           for method, operation in item.items() if method in METHODS]

    def resolve(self, schema):
        while "$ref" in schema:
            at = self.tree
            for word in schema["$ref"].split("/")[1:]:
                at = at[word]
            schema = at
        return schema

    def complaint(self, schema, value, at="$"):
        """Why the value is not of the schema, or None. Knows what the document uses."""
        schema = self.resolve(schema)
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int}
        wanted = schema.get("type")
        if wanted:
            names = wanted if isinstance(wanted, list) else [wanted]
            if not any(isinstance(value, kinds[name]) and (name == "boolean" or value is not True and value is not False)
                       for name in names):
                return f"{at} is no {wanted}"
        if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
            return f"{at} is {value!r}"
        if "anyOf" in schema and all(self.complaint(choice, value, at) for choice in schema["anyOf"]):
            return f"{at} is none of its kinds"
        if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            return f"{at} is {value!r}"
        if isinstance(value, dict):
            known = schema.get("properties", {})
            for name in schema.get("required", []):
                if name not in value:
                    return f"{at} has no {name}"
            if schema.get("additionalProperties") is False and set(value) - set(known) or \
                    len(value) > schema.get("maxProperties", len(value)):
                return f"{at} has {sorted(value)}"
            found = [self.complaint(known[name], value[name], f"{at}.{name}") for name in value if name in known]
            return next(filter(None, found), None)
        if isinstance(value, list) and "items" in schema:
            found = [self.complaint(schema["items"], entry, f"{at}[{i}]") for i, entry in enumerate(value)]
            return next(filter(None, found), None)
        return None


# --- what is asked ---------------------------------------------------------------------------------


class Maker:
    """Makes requests from the document and from what the vault has answered so far."""

    def __init__(self, document, pools, rng):
        self.document, self.pools, self.rng = document, pools, rng

    def often(self, percent):
        return self.rng.random() * 100 < percent

    def anything(self, depth=0):
        rng = self.rng
        kind = rng.randrange(8 if depth < 3 else 4)
        if kind == 0:
            return rng.choice(NUMBERS)
        if kind == 1:
            return rng.choice([True, False, None])
        if kind < 5:
            return rng.choice(TEXTS)
        if kind == 5:
            return [self.anything(depth + 1) for _ in range(rng.randrange(4))]
        if kind == 6:
            return {rng.choice(TEXTS): self.anything(depth + 1) for _ in range(rng.randrange(4))}
        deep = []
        for _ in range(rng.choice([10, 100, 400])):
            deep = [deep]
        return deep

    def right(self, name, schema):
        """A value that may well be accepted."""
        rng, schema = self.rng, self.document.resolve(schema)
        if self.pools.get(name) and self.often(90):
            return rng.choice(self.pools[name])
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
            return rng.choice([low, high, rng.randint(low, high)])
        if kind == "array":
            return [self.right(name, schema["items"]) for _ in range(rng.randint(1, 3))]
        if kind == "object":
            return self.object(schema)
        length = {"^[0-9a-f]{32}$": 32, "^[0-9a-f]{64}$": 64}.get(schema.get("pattern"))
        if length or "0-9a-f]{2}" in schema.get("pattern", ""):
            return "".join(rng.choice("0123456789abcdef") for _ in range(length or 2 * rng.randrange(80)))
        return rng.choice(self.pools["any"])

    def object(self, schema):
        members = schema.get("properties", {})
        return {name: self.right(name, members[name]) for name in members
                if name in schema.get("required", []) or self.often(40)}

    def body(self, operation):
        """(bytes, content type)."""
        rng = self.rng
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        if self.often(7):
            return rng.choice(BROKEN), rng.choice(TYPES)
        value = self.object(schema)
        while self.often(30):
            spot = rng.choice([*value, "unknown", *schema.get("properties", {})] or ["unknown"])
            if self.often(20):
                value.pop(spot, None)
            else:
                value[spot] = self.anything()
        text = json.dumps(value, ensure_ascii=self.often(50))
        return text.encode("utf-8", "surrogatepass"), TYPES[0] if self.often(90) else rng.choice(TYPES)

    def path(self, path, parameters, arguments):
        for parameter in parameters:
            value = self.right(parameter["name"], parameter["schema"]) if self.often(85) else self.rng.choice(TEXTS)
            path = path.replace("{%s}" % parameter["name"], quote(str(value), safe="", errors="surrogatepass"))
        asked = []
        for argument in map(self.document.resolve, arguments):
            if not self.often(40):
                continue
            if argument["name"] == "wait":  # it would
                value = self.rng.choice([0, 61, -1, "x"])
            else:
                value = self.right(argument["name"], argument["schema"]) if self.often(70) else \
                    self.rng.choice([*NUMBERS, *TEXTS])
            asked.append(f"{argument['name']}={quote(str(value), safe='', errors='surrogatepass')}")
        if self.often(2):
            path += self.rng.choice(["/", "//", "/x", "%00", "%2f", "/..", "?", "?x", "?=&&=", "?limit=1&limit=2", "?from", "?%00=%00"])
        elif asked:
            path += "?" + "&".join(asked)
        return path


class Asker:
    """A role's connection."""

    def __init__(self, vault, who):
        self.vault, self.who = vault, who
        self.connection = None

    def dial(self):
        if self.who == "local":
            return LocalConnection(self.vault.socket)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.vault.ca)
        if self.who:
            context.load_cert_chain(self.who.certificate, self.who.key)
        return http.client.HTTPSConnection("127.0.0.1", self.vault.port, timeout=60, context=context)

    def __call__(self, method, path, body, kind):
        """(status, headers, body). A connection that was closed with the answer before is opened again."""
        if self.connection is None:
            self.connection = self.dial()
        headers = {} if body is None or not kind else {"Content-Type": kind}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        heads = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, heads, answer.read()


# --- what is answered ------------------------------------------------------------------------------


def check(document, operation, method, target, status, headers, body):
    """Raises AssertionError unless the document describes this answer."""
    assert status < 500 or status in MAY_FAIL
    assert re.fullmatch("[0-9a-f]{32}", headers["strongroom-request-id"])
    kind = headers["content-type"].partition(";")[0]
    if method == "HEAD":
        return
    if status >= 400:
        schema = document.tree["components"]["schemas"]["Problem"]
        problem = json.loads(body)
        assert kind == "application/problem+json"
        assert not document.complaint(schema, problem), document.complaint(schema, problem)
        assert problem["request_id"] == headers["strongroom-request-id"]
        meant = schema["x-statuses"][problem["title"]]
        told = {meant, 403 if meant < 500 else 503} if target.startswith("/v1/authz/") else {meant}  # as proxies read it
        assert problem["status"] == status and status in told
        return
    assert operation, "succeeded, and is not in the document"
    content = operation["responses"][str(status)]["content"]
    assert kind in content
    if kind == "application/json":
        complaint = document.complaint(content[kind]["schema"], json.loads(body))
        assert not complaint, complaint


@pytest.fixture(scope="module")
def own():
    vault = Vault.opened(gateway_rate=100000)
    yield vault
    vault.close()


def limited_auditor(vault, tenant):
    key, csr = make_request(vault.files, "limited")
    made = vault.api("POST", "/v1/certificates",
                     {"role": "auditor", "name": "limited", "csr": csr.read_text(), "tenants": [tenant]})
    (vault.files / "limited.pem").write_text(made["certificate"])
    return Identity("limited", key, vault.files / "limited.pem")


def scene(vault):
    """(role's letter, who) of all, and pools of values that fit."""
    acme, bolt = vault.customer("acme"), vault.customer("bolt")
    vault.put_key("acme", "spare")
    roles = [("L", "local"), ("O", vault.operator), ("A", vault.certify("admin", "ada")), ("T", vault.certify("tenant", "acme")),
             ("G", acme.gateway), ("G", bolt.gateway), ("U", vault.certify("auditor", "una")),
             ("U", limited_auditor(vault, "acme")), ("N", None)]
    csrs = [make_request(vault.files, name)[1].read_text() for name in ("one", "two")]
    slots = [slot["id"] for slot in vault.local("GET", "/v1/slots").json["slots"]]
    return roles, {
        "any": ["acme", "bolt", "one", "two", "three", "four", "x-1", "x.2"],
        "owner": ["acme", "vault"], "tenant": ["acme", "bolt", "acme", "nobody"], "log": ["acme", "bolt", "vault", "tree"], "key": ["acme/openai-prod", "bolt/openai-prod"],
        "engagement": ["first", "second"], "gateway": ["one", "two"], "auditor": ["limited", "una"], "role": ["admin", "auditor"],
        "csr": csrs, "sealed_key": [vault.seal("sk-test-" + "v" * 20)], "provider": ["openai", "anthropic"], "slot": slots,
        "operator": ["alice", "bob"], "lease": [], "operation": [], "region": ["eu", "eu", "us"], "from": [0, 1, 5], "to": [3, 4],
        "seq": [0, 1], "size": [3, 5], "session": [], "scope": ["inference"], "class": ["static", "killable"], "spki": [],
        "name": ["one", "two", "acme", "bolt", "second"]}


def learn(pools, name, path, reply):
    """What an answer names can be asked for next."""
    if name == "lease.issue":
        pools["lease"].append(reply["lease"])
    if name == "operation.propose":
        pools["operation"].append(reply["id"])
    if name in ("operator.session", "operation.session"):
        pools["session"] = [reply["session"]]


@pytest.mark.sanitize
def test_whatever_is_asked_the_answer_is_as_described_and_the_vault_goes_on(own):
    print(f"STRONGROOM_SEED={SEED} STRONGROOM_REQUESTS={COUNT}")
    document, rng = Document(), random.Random(SEED)
    roles, pools = scene(own)
    askers = [(letter, Asker(own, who)) for letter, who in roles]
    processes, succeeded = own.processes(), set()
    maker = Maker(document, pools, rng)
    for number in range(COUNT):
        method, path, operation, parameters = rng.choice(document.operations)
        name = operation["operationId"]
        fitting = [asker for letter, asker in askers if letter in operation["x-roles"]]
        ask = rng.choice(fitting) if maker.often(75) else rng.choice(askers)[1]
        if name == "vault.lock" and not maker.often(10):
            continue
        names = {"key": ["openai-prod", "spare", "new-1", "new-2"]} if "/keys/{key}" in path else {}
        maker.pools = {**pools, **names, "operation": pools["operation"] if "{operation}" in path else None}
        target = maker.path(path, parameters, operation.get("parameters", []))
        body, kind = maker.body(operation) if "requestBody" in operation else (None, None)
        if maker.often(2):
            method, body = rng.choice(["PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "GET", "POST", "FOO"]), None
            operation = document.tree["paths"][path].get(method.lower())
            name = operation["operationId"] if operation else "none"
        try:
            status, headers, answer = ask(method, target, body, kind)
            check(document, operation, method, target, status, headers, answer)
        except (AssertionError, OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise AssertionError(f"request {number} of seed {SEED}: {method} {target} by {ask.who} with {body!r:.300}: "
                                 f"{error!r}\n{own.log()[-2000:]}") from error
        if status < 300 and method != "HEAD":
            succeeded.add(name)
            if headers["content-type"] == "application/json":
                learn(pools, name, path, json.loads(answer))
        if name == "vault.lock" and own.state != "unlocked":
            own.unlock()
    print(f"succeeded: {len(succeeded)} of {len(document.operations)}: {' '.join(sorted(succeeded))}")
    assert own.processes() == processes
    assert own.state == "unlocked"
    assert len(succeeded) >= 20 or COUNT < 2000
    for log in ("vault", "acme", "bolt"):
        assert verify_bundle(own.export(log))[0] == 0
