"""Sealed delivery: what a gateway makes of it with PyNaCl and docs/API.md alone, and what a server that was
taken over can still do."""

import base64
import datetime
import hashlib
import http.server
import json
import os
import re
import ssl
import struct
import threading
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from harness import HERE, SLOW, await_that, new_provider_key
from memory import copies_in, found_in
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import VerifyKey

OK, UNVERIFIED = 0, 7

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read the memory of another process")
plain_build = pytest.mark.skipif(SLOW > 1, reason="sanitizers keep freed memory and bring their own libraries")

MEMBERS = ("vault", "lease", "gateway", "certificate", "nonce", "key", "version", "expires", "sealed")


class Ask:
    """A gateway's one-time key and nonce."""

    def __init__(self):
        self.private, self.nonce = PrivateKey.generate(), os.urandom(32)

    @property
    def body(self):
        return {"seal_to": bytes(self.private.public_key).hex(), "nonce": self.nonce.hex()}

    def open(self, reply):
        return SealedBox(self.private).decrypt(bytes.fromhex(reply["sealed_value"])).decode()


def microseconds(text):
    since = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime.datetime.fromtimestamp(
        0, datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1)


def claimed(gateway, ask, reply):
    """What the gateway expects to be signed: some of it from its certificate, some from the reply."""
    certificate = x509.load_pem_x509_certificate(gateway.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uri = urllib.parse.urlsplit(names.get_values_for_type(x509.UniformResourceIdentifier)[0])
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"vault": bytes.fromhex(uri.netloc), "lease": bytes.fromhex(reply["lease"])[:16],
            "gateway": bytes.fromhex(reply["gateway_id"]), "certificate": hashlib.sha256(public).digest(),
            "nonce": ask.nonce, "key": bytes.fromhex(reply["key_id"]),
            "version": struct.pack(">I", reply["version"]), "expires": struct.pack(">Q", microseconds(reply["expires"])),
            "sealed": hashlib.sha256(bytes.fromhex(reply["sealed_value"])).digest()}


def signed_bytes(members):
    fields = [members[name] for name in MEMBERS]
    domain = b"strongroom/v1/delivery"
    return (bytes([len(domain)]) + domain + bytes([len(fields)])
            + b"".join(struct.pack(">H", len(field)) + field for field in fields))


def verifies(signer, members, signature):
    try:
        signer.verify(signed_bytes(members), bytes.fromhex(signature))
    except BadSignatureError:
        return False
    return True


def signer_of(vault, who=None):
    return VerifyKey(bytes.fromhex(vault.api("GET", "/v1/keys", who=who)["delivery_key"]))


def forms(value):
    """The key as it might stand in memory."""
    raw = value.encode()
    found = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    for shift in range(3):
        found[f"base64 +{shift}"] = base64.b64encode(bytes(shift) + raw)[(8 * shift + 5) // 6:-4]
    return found


# --- a gateway's view ------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_gateway_opens_and_verifies_with_public_documentation_only(vault, customer):
    ask = Ask()
    reply = customer.leased(**ask.body)
    assert "value" not in reply
    assert customer.value not in json.dumps(reply)
    assert verifies(signer_of(vault, customer.gateway), claimed(customer.gateway, ask, reply), reply["signature"])
    assert ask.open(reply) == customer.value
    shown = vault.api("GET", f"/v1/tenants/{customer.name}/keys/{customer.key}")
    assert reply["key_id"] == shown["id"]


def test_with_any_member_changed_the_signature_does_not_verify(vault, customer):
    ask, signer = Ask(), signer_of(vault)
    reply = customer.leased(**ask.body)
    good = claimed(customer.gateway, ask, reply)
    assert verifies(signer, good, reply["signature"])
    for name in MEMBERS:
        for at in range(len(good[name])):
            changed = bytearray(good[name])
            changed[at] ^= 1
            assert not verifies(signer, {**good, name: bytes(changed)}, reply["signature"]), name
    assert not verifies(signer, {**good, "lease": good["gateway"], "gateway": good["lease"]}, reply["signature"])


def test_a_delivery_answers_one_nonce_only(vault, customer):
    """Replayed, it is for a request that nobody made."""
    first, second, signer = Ask(), Ask(), signer_of(vault)
    old = customer.leased(**first.body)
    assert verifies(signer, claimed(customer.gateway, first, old), old["signature"])
    assert not verifies(signer, claimed(customer.gateway, second, old), old["signature"])
    with pytest.raises(CryptoError):
        second.open(old)


def test_the_record_says_which_leases_were_sealed(vault, customer):
    customer.leased(**Ask().body)
    customer.leased()
    sealed, plain = (record for _, record in vault.records(customer.name)[-2:])
    assert (sealed["type"], sealed["delivery"]) == ("lease.issued", "sealed")
    assert plain["type"] == "lease.issued" and "delivery" not in plain


def test_a_sealed_lease_is_renewed_and_released_like_any_other(vault, customer):
    lease = customer.leased(ttl_s=30, **Ask().body)
    renewed = vault.api("POST", f"/v1/leases/{lease['lease']}/renew", {"ttl_s": 60}, customer.gateway)
    assert not {"value", "sealed_value", "signature"} & set(renewed)
    vault.api("POST", f"/v1/leases/{lease['lease']}/release", {}, customer.gateway)


def test_the_largest_key_is_delivered_sealed(vault, customer):
    value = vault.put_key(customer.name, "large", value="k" * 8192)
    gateway, ask = vault.add_gateway(f"{customer.name}/large"), Ask()
    reply = vault.api("POST", "/v1/leases", {"key": f"{customer.name}/large", **ask.body}, gateway)
    assert ask.open(reply) == value
    assert verifies(signer_of(vault), claimed(gateway, ask, reply), reply["signature"])


def test_the_delivery_key_is_the_same_after_a_lock(own):
    before = signer_of(own)
    own.lock()
    own.unlock()
    assert signer_of(own) == before


SMALL_ORDER = ["00" * 32, "01" + "00" * 31, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"]


@pytest.mark.sanitize
@pytest.mark.parametrize("body", [
    {"seal_to": "11" * 32}, {"nonce": "11" * 32},
    {"seal_to": "11" * 31, "nonce": "11" * 32}, {"seal_to": "11" * 32, "nonce": "11" * 33},
    {"seal_to": "zz" * 32, "nonce": "11" * 32}, {"seal_to": "", "nonce": ""},
    {"seal_to": None, "nonce": None}, {"seal_to": 7, "nonce": "11" * 32},
    *({"seal_to": key, "nonce": "11" * 32} for key in SMALL_ORDER)], ids=lambda body: json.dumps(body)[:40])
def test_half_or_degenerate_wishes_get_nothing_rather_than_a_plain_key(vault, customer, body):
    reply = customer.lease(**body)
    assert reply.status == 400
    assert reply.json["title"] == "bad-input"
    assert vault.types(customer.name)[-1] != "lease.issued"


# --- the command line ------------------------------------------------------------------------------


class Rogue:
    """A taken-over server: it has the real one's TLS key, and changes what it passes on."""

    def __init__(self, vault, gateway, change):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(vault.call("GET", self.path, who=gateway))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = vault.call("POST", self.path, body, gateway)
                self.answer(reply, change(dict(reply.json), body))

            def answer(self, reply, changed=None):
                content = reply.body if changed is None else json.dumps(changed).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = next(vault.data.rglob("server.key")).parent
        context.load_cert_chain(tls / "server.crt", tls / "server.key")
        context.load_verify_locations(vault.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def profile(vault, customer, tmp_path):
    directory = tmp_path / "gateway"
    vault.cli("--url", vault.url, "profile", "create", "--ca", vault.ca, "--certificate",
              customer.gateway.certificate, "--key", customer.gateway.key, profile=directory)
    return directory


def pinned(profile):
    return json.loads((profile / "profile.json").read_text()).get("delivery_key")


def test_the_cli_prints_a_sealed_lease_as_any_other(vault, customer, profile):
    assert pinned(profile) is None
    lease = vault.cli_json("lease", "get", customer.path, "--ttl", "30", "--sealed", profile=profile)
    assert (lease["value"], lease["ttl_s"]) == (customer.value, 30)
    assert not {"sealed_value", "signature"} & set(lease)
    assert vault.records(customer.name)[-1][1]["delivery"] == "sealed"
    assert pinned(profile) == bytes(signer_of(vault)).hex()
    again = vault.cli_json("lease", "get", customer.path, "--sealed", profile=profile)
    assert again["value"] == customer.value and again["lease"] != lease["lease"]


def test_whoever_made_the_vault_has_its_delivery_key_pinned(vault):
    assert pinned(vault.profile) == bytes(signer_of(vault)).hex()


def flipped(text):
    return ("1" if text[0] == "0" else "0") + text[1:]


def own_key(reply, body):
    """Sealed as asked, but another key."""
    value = new_provider_key().encode()
    sealed = SealedBox(PublicKey(bytes.fromhex(body["seal_to"]))).encrypt(value)
    return {**reply, "sealed_value": sealed.hex()}


CHANGES = {
    "nothing": lambda reply, body: reply,
    "a key of its own": own_key,
    "lease": lambda reply, body: {**reply, "lease": flipped(reply["lease"])},
    "gateway": lambda reply, body: {**reply, "gateway_id": flipped(reply["gateway_id"])},
    "key": lambda reply, body: {**reply, "key_id": flipped(reply["key_id"])},
    "version": lambda reply, body: {**reply, "version": 2},
    "expires": lambda reply, body: {**reply, "expires": reply["issued"]},
    "signature": lambda reply, body: {**reply, "signature": flipped(reply["signature"])},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_cli_believes_no_server_that_changes_a_delivery(vault, customer, profile, what):
    vault.cli("lease", "get", customer.path, "--sealed", profile=profile)
    with Rogue(vault, customer.gateway, CHANGES[what]) as rogue:
        expected = OK if what == "nothing" else UNVERIFIED
        done = vault.cli("--url", rogue.url, "lease", "get", customer.path, "--sealed", profile=profile, expect=expected)
    assert (customer.value in done.out) == (what == "nothing")
    assert what == "nothing" or not re.search("sk-test", done.out + done.err)


def test_the_cli_takes_no_old_delivery_for_a_new_one(vault, customer, profile):
    """Another lease of the same key, genuinely signed: for another nonce."""
    kept = []

    def replay(reply, body):
        kept.append(reply)
        # Same key to seal to, so that only the nonce tells them apart.
        return vault.api("POST", "/v1/leases", {**body, "nonce": os.urandom(32).hex()}, customer.gateway)

    vault.cli("lease", "get", customer.path, "--sealed", profile=profile)
    with Rogue(vault, customer.gateway, replay) as rogue:
        vault.cli("--url", rogue.url, "lease", "get", customer.path, "--sealed", profile=profile, expect=UNVERIFIED)
    assert kept, "the request came through"


def test_the_cli_takes_no_plain_key_when_it_asked_for_a_sealed_one(vault, customer, profile):
    def plain(reply, body):
        return vault.api("POST", "/v1/leases", {"key": body["key"]}, customer.gateway)

    vault.cli("lease", "get", customer.path, "--sealed", profile=profile)
    with Rogue(vault, customer.gateway, plain) as rogue:
        done = vault.cli("--url", rogue.url, "lease", "get", customer.path, "--sealed", profile=profile, expect=None)
    assert done.code != OK and customer.value not in done.out


# --- the server's memory ---------------------------------------------------------------------------


@pytest.fixture
def exposed(new_vault):
    """A vault on a kernel without memfd_secret: its keys lie in memory that root can search."""
    return new_vault(launcher=[HERE / "older_kernel"])


class Leasing(threading.Thread):
    """One lease after the other on a connection of its own, until told to stop."""

    def __init__(self, vault, customer, sealed):
        super().__init__(daemon=True)
        self.vault, self.customer, self.sealed = vault, customer, sealed
        self.count, self.done, self.wrong = 0, False, None

    def run(self):
        client = self.vault.client(self.customer.gateway)
        while not self.done and self.wrong is None:
            ask = Ask()
            reply = client("POST", "/v1/leases", {"key": self.customer.path, **(ask.body if self.sealed else {})})
            value = None
            if reply.status == 201:
                value = ask.open(reply.json) if self.sealed else reply.json["value"]
            self.wrong = None if value == self.customer.value else reply
            self.count += 1
        client.close()


@as_root
@plain_build
def test_a_sealed_key_is_nowhere_in_the_servers_memory_afterwards(exposed):
    customer, ask = exposed.customer(), Ask()
    reply = customer.leased(**ask.body)
    assert ask.open(reply) == customer.value
    pid = exposed.pid("server")
    assert found_in(pid, {**forms(customer.value), "tenant": customer.name.encode()}) == {"tenant"}
    assert not found_in(exposed.pid("supervisor"), forms(customer.value))
    assert not found_in(exposed.pid("keeper"), forms(customer.value)), "the keeper wiped what it sealed, at once"


@as_root
@plain_build
def test_a_sealed_key_is_not_in_the_servers_memory_while_it_is_delivered_either(exposed):
    """Beside it another key is leased in clear: that the search finds this one shows that it looks in time."""
    plain, sealed = exposed.customer(), exposed.customer()
    pid = exposed.pid("server")
    secrets = {"in clear": plain.value.encode(), "tenant": sealed.name.encode(),
               **{f"sealed, {form}": value for form, value in forms(sealed.value).items()}}
    threads = [Leasing(exposed, plain, False), Leasing(exposed, sealed, True)]
    for thread in threads:
        thread.start()
    seen = []

    def look():
        found = copies_in(pid, secrets)
        assert "tenant" in found
        assert not [name for name in found if name.startswith("sealed")], found
        seen.append("in clear" in found)
        return seen.count(True) >= 5 and len(seen) >= 20

    try:
        await_that("the search finds what is delivered in clear", look, seconds=120)
    finally:
        for thread in threads:
            thread.done = True
            thread.join(30)
    assert [thread.wrong for thread in threads] == [None, None]
    assert min(thread.count for thread in threads) >= len(seen) // 2, "leases flowed all the while"
