#!/usr/bin/python3
"""Verifies an exported audit log without any code of the product.

A second implementation, written from docs/DESIGN.md and the contracts in include/ledger, so that a
mistake in one of the two shows as a disagreement. Standard library, and one library for signatures.

    verify_audit.py FILE [--public-key BASE64] [--witness VKEY]... [--from N] [--to N]
                    [--mac-key HEX --macs FILE] [--step-ups [--vault-bundle FILE]]

FILE is what `strongroom audit export` writes (include/ledger/bundle.h says what is in it), or the
proof of one record in the C2SP tlog-proof form. --macs names a file with one hexadecimal MAC a line,
in the order of the records. With --step-ups each privileged operation must have been approved by
enough operators' hardware keys, for exactly that operation (include/wire/operation.h); whose keys
they are is known from the vault's own log only: from the records of it that the bundle has, or, with
--vault-bundle, from all of them.

Exit status: 0 the log verifies, 1 it does not (the first bad record is named), 2 unusable input.
"""

import argparse
import base64
import binascii
import copy
import datetime
import hashlib
import hmac
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECORD_LIMIT = 4096  # bytes of one line
SIZE_LIMIT = 2**40 - 1  # records of one log
SIGNATURE_LINES_LIMIT = 16
LINE_LIMIT = 65536  # bytes of any line of a bundle
PROOF_LIMIT = 80  # hashes of a proof
PROOF_FILE_LIMIT = 32768
NUMBER_LIMIT = 10**15 - 1
COMMITMENT_LEVELS = 17
NAME = "[a-z0-9][-a-z0-9_.]{0,62}"
DOMAIN = b"strongroom/v1/"
NO_LOG = bytes(16)  # the vault's own
TREE_LOG = b"\xff" * 16  # that of the commitments
SLOTS_LIMIT = 64
TEXT_LIMIT = 512  # bytes of an operation's text
AUTH_DATA_LIMIT, SIGNATURE_LIMIT = 512, 128

TYPES = set(
    """
    vault.created vault.unlocked vault.unlock_failed vault.locked server.started recovery.unanswered
    clock.jumped clock.confirmed tombstone.alarm operator.enrolled unlock.share card.used
    operator.removed quorum.changed cards.renewed rekey.begun rekey.done slot.destroyed
    tenant.created engagement.started engagement.ended purge.keys_destroyed purge.done
    tenant.seed_destroyed engagement.held engagement.lifted purge.hastened
    key.put key.rotated key.revoked key.destroyed
    lease.issued lease.renewed lease.released lease.refused
    lease.revoked lease.repeated usage.reported usage.gap revocation.acknowledged
    gateway.added gateway.removed grant.added grant.removed certificate.issued certificate.revoked
    request.refused requests.refused audit.exported operation.failed
    operation.approved operation.proposed operation.withdrawn
    tree.committed rollback.accepted alert.raised retention.set records.dropped person.erased
    auditor.assigned auditor.unassigned
    policy.set compat.set approle.added approle.removed token.issued token.revoked
    """.split()
)

WHOLE = r"(?:0|[1-9][0-9]*)"
HEAD = re.compile(
    r'\{"v":1,"log":"(?P<log>[0-9a-f]{32})","seq":(?P<seq>' + WHOLE + r'),"prev":"(?P<prev>[0-9a-f]{64})",'
    r'"time":"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)",'
    r'"type":"(?P<type>[a-z_.]+)","outcome":"(?:ok|denied|failed)"'
)
FIELD = re.compile(
    r',"(?P<name>[a-z_]{1,32})":(?P<value>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
    r"|(?:0|[1-9][0-9]{0,14})|true|false)"
)


OPERATOR_TYPES = {"vault.created", "operator.enrolled", "operator.removed", "quorum.changed", "rekey.done"}
PROOF_BEGINS = b"c2sp.org/tlog-proof@v1\n"


NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # NUL, and halves of pairs


class Bad(Exception):
    """The log does not verify. seq is the position of the record to look at; None: none of them."""

    def __init__(self, reason, seq=None, where="checkpoint"):
        super().__init__(reason)
        self.reason, self.seq, self.where = reason, seq, where

    def __str__(self):
        place = self.where if self.seq is None else f"record {self.seq}"
        return f"BAD {place}: {self.reason}"


class Unusable(Exception):
    """The input is not a bundle at all."""


# --- JSON ------------------------------------------------------------------------------------------


def unique(pairs):
    """For json.loads: an object in which a name occurs twice means two things to two readers."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def object_of(text):
    value = json.loads(text, object_pairs_hook=unique)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


# --- hashes ----------------------------------------------------------------------------------------


def label(purpose, *fields):
    """LBL(purpose; fields): u8 length and domain, u8 count, then each field after its u16 length."""
    name = DOMAIN + purpose.encode()
    out = bytes([len(name)]) + name + bytes([len(fields)])
    for field in fields:
        out += len(field).to_bytes(2, "big") + field
    return out


def genesis(vault, log):
    return hashlib.sha256(label("genesis", vault, log)).digest()


def leaf_hash(line):
    return hashlib.sha256(b"\x00" + line).digest()


def tree_root(leaves):
    """RFC 6962 section 2.1, as it is written there: split at the largest power of two below n."""

    def root(start, end):
        if end - start == 1:
            return leaves[start]
        half = 1
        while half * 2 < end - start:
            half *= 2
        return hashlib.sha256(b"\x01" + root(start, start + half) + root(start + half, end)).digest()

    return root(0, len(leaves)) if leaves else hashlib.sha256(b"").digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def row(start, end):
    """(level, start) of the largest perfect subtrees that [start, end) consists of, from the left."""
    while start < end:
        level = 0
        while start % 2 ** (level + 1) == 0 and start + 2 ** (level + 1) <= end:
            level += 1
        yield level, start
        start += 2**level


def root_of(known, size):
    """RFC 6962 root of a tree of size, of which known has perfect subtrees: (level, start) -> hash."""

    def root(start, end):
        width = end - start
        if width & (width - 1) == 0 and (width.bit_length() - 1, start) in known:
            return known[width.bit_length() - 1, start]
        half = 1 << ((width - 1).bit_length() - 1)
        return node_hash(root(start, start + half), root(start + half, end))

    return root(0, size) if size else hashlib.sha256(b"").digest()


def inclusion_root(leaf, seq, size, proof):
    """The root that leaf at seq has in a tree of size; None if the proof has another length."""
    steps, start, end = [], 0, size
    if seq >= size:
        return None
    while end - start > 1:  # from the root down: which half seq is in
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        steps.append(seq < middle)
        start, end = (start, middle) if seq < middle else (middle, end)
    if len(steps) != len(proof):
        return None
    for left, other in zip(reversed(steps), proof):
        leaf = node_hash(leaf, other) if left else node_hash(other, leaf)
    return leaf


def record_mac(key, line):
    return hmac.new(key, label("record-mac") + line, hashlib.sha256).digest()


# --- records ---------------------------------------------------------------------------------------


def parse_time(text):
    """Microseconds since 1970; ValueError for an instant that no calendar has."""
    when = datetime.datetime(*(int(text[a:b]) for a, b in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19), (20, 26))))
    since = when - datetime.datetime(1970, 1, 1)
    micro = (since.days * 86400 + since.seconds) * 1000000 + since.microseconds
    if micro < 0:
        raise ValueError("before 1970")
    return micro


def parse_record(line):
    """The head of a line as a dict; ValueError unless every byte of the line is as it has to be."""
    if len(line) > RECORD_LIMIT:
        raise ValueError("too long")
    text = line.decode("utf-8")  # UnicodeDecodeError is a ValueError
    head = HEAD.match(text)
    if head is None:
        raise ValueError("head")
    at = head.end()
    while (field := FIELD.match(text, at)) is not None:
        at = field.end()
    if text[at:] != "}":
        raise ValueError("fields")
    for name, value in object_of(text).items():
        if not isinstance(value, str):
            continue
        if NO_TEXT.search(value):
            raise ValueError(f"{name} is not text")
    seq = int(head["seq"])
    if head["type"] not in TYPES or seq > SIZE_LIMIT:
        raise ValueError("head")
    return {
        "log": bytes.fromhex(head["log"]),
        "seq": seq,
        "prev": bytes.fromhex(head["prev"]),
        "time": parse_time(head["time"]),
        "type": head["type"],
    }


def raw_field(line, name):
    """The value of a field of a parsed record as it is written, without quotes; None if there is none."""
    for field in FIELD.finditer("," + line.decode()[1:]):
        if field["name"] == name:
            return field["value"].strip('"') if field["value"].startswith('"') else field["value"]
    return None


class Chain:
    """Where a log stands between two records. Copyable."""

    def __init__(self, vault, log, seq=0):
        self.log, self.seq, self.time = log, seq, 0
        self.prev = genesis(vault, log) if seq == 0 else None

    def take(self, line):
        """Bad unless line continues the log; returns (record, leaf hash)."""
        try:
            record = parse_record(line)
        except ValueError:
            raise Bad("malformed", self.seq) from None
        if record["log"] != self.log:
            raise Bad("wrong log", self.seq)
        if record["seq"] != self.seq:
            raise Bad("wrong sequence", self.seq)
        if self.prev is not None and record["prev"] != self.prev:
            raise Bad("prev does not match", self.seq)
        if record["time"] < self.time:
            raise Bad("time runs backwards", self.seq)
        self.prev, self.time, self.seq = leaf_hash(line), record["time"], self.seq + 1
        return record, self.prev


def check_records(vault, log, lines):
    """The leaf hashes of lines; Bad at the first that does not continue the log."""
    chain = Chain(vault, log)
    return [chain.take(line)[1] for line in lines]


# --- checkpoint ------------------------------------------------------------------------------------


def strict_base64(text):
    """RFC 4648 section 4 with padding; ValueError for any text that an encoder would not write."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("base64") from None
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64")
    return raw


def is_signature(body, line, origin, key):
    """Whether line is a good signature with key; None for one by another key, Bad for a false one."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not parts[1] or not parts[2]:
        raise Bad("malformed checkpoint")
    try:
        blob = strict_base64(parts[2])
    except ValueError:
        return None
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    if parts[1] != origin or len(blob) != 4 + 64 or blob[:4] != key_id:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(blob[4:], body.encode())
    except (InvalidSignature, ValueError):
        raise Bad("bad signature") from None
    return True


def parse_checkpoint(note):
    """(origin, size, root, what is signed, lines of signatures); Bad otherwise."""
    try:
        note.encode("utf-8")
    except UnicodeEncodeError:
        raise Bad("malformed checkpoint") from None
    if any(ord(c) < 0x20 and c != "\n" for c in note):
        raise Bad("malformed checkpoint")
    lines = note.split("\n")
    # Three lines of text, the blank one, signatures, and nothing after the last newline.
    if len(lines) < 5 or lines[3] != "" or lines[-1] != "" or not re.fullmatch(WHOLE, lines[1], re.ASCII):
        raise Bad("malformed checkpoint")
    try:
        size, root = int(lines[1]), strict_base64(lines[2])
    except ValueError:
        raise Bad("malformed checkpoint") from None
    if size > SIZE_LIMIT or len(root) != 32:
        raise Bad("malformed checkpoint")
    return lines[0], size, root, "\n".join(lines[:3]) + "\n", lines[4:-1]


def check_checkpoint(note, origin, key):
    """(size, root) that the holder of key signed under origin; Bad otherwise."""
    named, size, root, body, signatures = parse_checkpoint(note)
    if named != origin:
        raise Bad("checkpoint of another log")
    good = 0
    for count, line in enumerate(signatures):
        if count == SIGNATURE_LINES_LIMIT:
            raise Bad("malformed checkpoint")
        good += is_signature(body, line, origin, key) is True
    if good == 0:
        raise Bad("bad signature")
    return size, root


def parse_vkey(text):
    """(name, type, key) of a C2SP verifier key."""
    try:
        name, key_id, blob = text.split("+", 2)
        blob = strict_base64(blob)
    except ValueError:
        raise Unusable("malformed verifier key") from None
    kind, key = blob[:1], blob[1:]
    if not re.fullmatch("[!-*,-~]{1,255}", name, re.ASCII) or kind not in (b"\x01", b"\x04") or len(key) != 32:
        raise Unusable("malformed verifier key")
    if hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4].hex() != key_id:
        raise Unusable("verifier key does not fit its name")
    return name, kind, key


def has_signed(note, vkey):
    """Whether the holder of vkey has signed note, which is well-formed. Bad for a false signature."""
    name, kind, key = vkey
    body, _, rest = note.partition("\n\n")
    key_id = hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]
    signed = False
    for line in rest.split("\n")[:-1]:
        _, by, code = line.split(" ")
        try:
            blob = strict_base64(code)
        except ValueError:
            continue
        text, timed = f"{body}\n".encode(), kind == b"\x04"
        if by != name or len(blob) != 4 + 64 + 8 * timed or blob[:4] != key_id:
            continue
        if timed:
            when = int.from_bytes(blob[4:12], "big")
            text = f"cosignature/v1\ntime {when}\n".encode() + text
        try:
            if timed and when >= 2**63:
                raise ValueError
            Ed25519PublicKey.from_public_bytes(key).verify(blob[-64:], text)
        except (InvalidSignature, ValueError):
            raise Bad("bad signature of a witness") from None
        signed = True
    return signed


def origin_of(vault, log):
    return f"strongroom/{vault.hex()}/{log.hex()}"


def check_log(vault, log, key, lines, note):
    """The root of a log whose records and checkpoint agree; Bad otherwise."""
    leaves = check_records(vault, log, lines)
    size, signed_root = check_checkpoint(note, origin_of(vault, log), key)
    if size != len(leaves):
        raise Bad("size differs from checkpoint", min(size, len(leaves)))
    root = tree_root(leaves)
    if root != signed_root:
        # The chain is whole, so if just one record was changed it is the last.
        raise Bad("root differs", max(len(leaves) - 1, 0))
    return root


# --- step-ups: operations and their texts ------------------------------------------------------------

# What is approved; by how many: one, two (or the quorum, if that is more), the quorum; may a recovery
# card approve it; the type of the effect and its "what"; members of the text in order, each with the
# field of the effect that says the same.
OPERATIONS = {
    name: {"people": people, "card": card, "effect": effect, "what": what, "members": members}
    for name, people, card, effect, what, members in [
        ("operator.add", "quorum", True, "operator.enrolled", None,
         [("operator", "operator"), ("slot", "slot_id"), ("public_key", "public_key")]),
        ("operator.remove", "quorum", True, "operator.removed", None, [("operator", "operator"), ("slot", "slot_id")]),
        ("quorum.set", "quorum", True, "quorum.changed", None, [("number", "quorum")]),
        ("card.renew", "quorum", True, "cards.renewed", None, [("number", "cards"), ("recovery_key", None)]),
        ("rekey.root", "quorum", False, "rekey.begun", "root", []),
        ("rekey.tenant", "one", False, "rekey.begun", "tenant", [("tenant", "log")]),
        ("rekey.database", "one", False, "rekey.begun", "database", []),
        ("purge.now", "two", False, "purge.hastened", None, [("tenant", "log"), ("engagement", "engagement_id")]),
        ("hold.set", "two", False, "engagement.held", None, [("tenant", "log"), ("engagement", "engagement_id")]),
        ("hold.lift", "two", False, "engagement.lifted", None, [("tenant", "log"), ("engagement", "engagement_id")]),
        ("grant.add", "one", False, "grant.added", None,
         [("tenant", "log"), ("gateway", "gateway_id"), ("key", "pattern"), ("max_ttl", "max_ttl_s")]),
        ("rollback.accept", "quorum", False, "rollback.accepted", None,
         [("size", "size"), ("root", "root"), ("known_size", "known_size"), ("known_root", "known_root")]),
        ("retention.set", "two", False, "retention.set", None, [("number", "days"), ("tenant", "tenant_id")]),
        ("policy.set", "one", False, "policy.set", None, [("tenant", "log"), ("document", "document")]),
    ]
}  # fmt: skip
EFFECTS = {row["effect"] for row in OPERATIONS.values()}


def operation_hash(text):
    return hashlib.sha256(label("operation", text.encode())).digest()


def operation_signed(operation, context):
    return hashlib.sha256(label("step-up", operation, context)).digest()


def parse_text(text):
    """(row of OPERATIONS, its name, the values of its members); Bad unless text is composed of just these."""
    name, *words = text.split(" ")
    row = OPERATIONS.get(name)
    if row is None or len(text.encode()) > TEXT_LIMIT:
        raise Bad("text is no operation")
    names = ["id"] + [member for member, _ in row["members"]]
    if len(words) != len(names):
        raise Bad("text is no operation")
    values = []
    for word, member in zip(words, names):
        if not word.startswith(member + "=") or word == member + "=":
            raise Bad("text is no operation")
        values.append(word[len(member) + 1 :])
    return row, name, values[1:]


def check_effect(row, values, kind, record):
    if kind != row["effect"] or (row["what"] is not None and record.get("what") != row["what"]):
        raise Bad("operation is for another effect")
    for (member, field), value in zip(row["members"], values):
        said = record.get(field)
        if type(said) is int:
            said = str(said)
        if field is None or (member == "slot" and kind == "operator.removed" and value == "all"):
            continue
        if member == "max_ttl" and not isinstance(said, str):
            said = "0"  # a bound that was not given is not recorded
        if said != value:
            raise Bad("effect is not what was approved")


# --- step-ups: assertions ----------------------------------------------------------------------------


def check_assertion(public_key, client_data_hash, auth_data, signature):
    """WebAuthn level 2, section 7.2, for what our hardware keys answer: user verified, hmac-secret, ES256."""
    if not 37 <= len(auth_data) <= AUTH_DATA_LIMIT or not 0 < len(signature) <= SIGNATURE_LIMIT:
        raise Bad("assertion has the wrong size")
    if auth_data[:32] != hashlib.sha256(b"strongroom").digest():
        raise Bad("assertion is for another relying party")
    present, verified, attested, extended = (bool(auth_data[32] & 1 << bit) for bit in (0, 2, 6, 7))
    if not present:
        raise Bad("assertion was made without a touch")
    if not verified:
        raise Bad("assertion was made without user verification")
    # CBOR: a map of one, "hmac-secret", and a byte string of 64 or 80 bytes.
    head, size, sealed = auth_data[37:51], auth_data[51:52], auth_data[52:]
    ours = head == b"\xa1\x6bhmac-secret\x58" and size in (b"\x40", b"\x50") and size[0] == len(sealed)
    if attested or not extended or not ours:
        raise Bad("assertion has other extensions than hmac-secret")
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    except ValueError:
        raise Bad("assertion is malformed") from None
    try:
        point.verify(signature, auth_data + client_data_hash, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Bad("assertion is not signed by this key") from None


# --- step-ups: who could approve ---------------------------------------------------------------------


class Roster:
    """The operators of a vault over time, and the fewest approvals that could be asked for."""

    def __init__(self):
        self.slots = {}  # slot id -> operator, public_key, from, until
        self.steps = []  # (time, least quorum that may be in force, number of operators)
        self.least = self.wanted = self.first = None
        self.wanted_at = ""

    def take(self, kind, record):
        handler = {
            "vault.created": self.created,
            "operator.enrolled": self.enrolled,
            "operator.removed": self.removed,
            "quorum.changed": self.quorum_changed,
            "rekey.done": self.rekeyed,
        }.get(kind)
        if (kind == "vault.created") != (self.least is None):
            raise Bad("malformed record of operators")
        if handler is not None:
            handler(record)
            operators = {slot["operator"] for slot in self.slots.values() if slot["until"] is None}
            self.steps.append((record["time"], self.least, len(operators)))

    def is_first(self, kind, record):
        """Of the keys that came with the vault, which nobody could approve."""
        return kind == "operator.enrolled" and self.first is not None and record["seq"] == self.first

    def created(self, record):
        self.least = self.wanted = quorum_field(record)
        self.first = record["seq"] + 1

    def enrolled(self, record):
        operator, slot, key = (record.get(name) for name in ("operator", "slot_id", "public_key"))
        if not all(isinstance(value, str) for value in (operator, slot, key)):
            raise Bad("malformed record of operators")
        if slot in self.slots:
            raise Bad("slot is enrolled twice")
        if self.is_first("operator.enrolled", record):
            self.first += 1
        self.slots[slot] = {"operator": operator, "public_key": key, "from": record["time"], "until": None}

    def removed(self, record):
        operator, only = record.get("operator"), record.get("slot_id")
        number = number_field(record, "number", "malformed record of operators")
        if not isinstance(operator, str):
            raise Bad("malformed record of operators")
        one = only if number == 1 and isinstance(only, str) else None
        gone = [
            slot
            for name, slot in self.slots.items()
            if slot["operator"] == operator and slot["until"] is None and one in (None, name)
        ]
        for slot in gone:
            slot["until"] = record["time"]
        if not gone or len(gone) != number:
            raise Bad("no such keys to remove")

    def quorum_changed(self, record):
        self.wanted = quorum_field(record)
        self.wanted_at = record["time"]
        self.least = min(self.least, self.wanted)

    def rekeyed(self, record):
        """The rotation took the wish of the moment it ended, which may lie before this record's time."""
        happened = record.get("happened")
        if record.get("what") == "root" and isinstance(happened, str) and self.wanted_at <= happened:
            self.least = self.wanted

    def least_at(self, people, time):
        """Of all that held just before that time or began at it; 0 if nothing did."""
        held = [step for step in self.steps if step[0] < time][-1:] + [step for step in self.steps if step[0] == time]
        if people == "one":
            return 1 if held else 0
        return min((max(quorum, min(n, 2)) if people == "two" else quorum for _, quorum, n in held), default=0)

    def check(self, approval, time):
        slot = self.slots.get(approval["slot"])
        if approval["key"] is None:
            if slot is not None:
                raise Bad("slot is no recovery card")
            return
        if slot is None or not (slot["from"] <= time and (slot["until"] is None or time <= slot["until"])):
            raise Bad("slot was not enrolled then")
        if (slot["operator"], slot["public_key"]) != (approval["operator"], approval["key"]):
            raise Bad("slot has another operator or key")


# --- step-ups: a log ---------------------------------------------------------------------------------


def number_field(record, name, reason):
    value = record.get(name)
    if type(value) is not int or value > SLOTS_LIMIT:
        raise Bad(reason)
    return value


def quorum_field(record):
    quorum = number_field(record, "quorum", "malformed record of operators")
    if quorum == 0:
        raise Bad("malformed record of operators")
    return quorum


def hex_of(text, limit):
    """The bytes of an assertion's part."""
    if not isinstance(text, str):
        raise Bad("approval has no signature")
    if len(text.encode()) // 2 > limit:
        raise Bad("assertion has the wrong size")
    if not re.fullmatch("(?:[0-9a-fA-F]{2})*", text, re.ASCII):
        raise Bad("approval is malformed")
    return bytes.fromhex(text)


class StepUps:
    """Every approval and every privileged effect of one log, in order."""

    def __init__(self, log, vault_roster=None):
        self.log, self.own = log, Roster() if log == NO_LOG else None
        self.roster = self.own or vault_roster
        self.seen = {}  # without a roster: slot id -> operator and public key
        self.open, self.contexts = {}, set()
        self.done, self.approvals, self.cards, self.plain_grants = [], 0, 0, 0

    def take(self, kind, record):
        if kind == "operation.approved":
            self.approve(record)
            return
        if kind in EFFECTS:
            self.effect(kind, record)
        if self.own is not None and (kind in EFFECTS or kind in ("vault.created", "rekey.done")):
            self.own.take(kind, record)

    def read(self, record):
        approval = {"slot": record.get("slot_id"), "operator": record.get("operator"), "key": record.get("public_key")}
        texts = [record.get("operation"), record.get("text"), approval["slot"], approval["operator"]]
        have, need = (number_field(record, name, "approval is malformed") for name in ("have", "need"))
        if not all(isinstance(text, str) for text in texts) or have == 0 or need == 0:
            raise Bad("approval is malformed")
        approval.update(have=have, need=need, hash=operation_hash(record["text"]))
        if not isinstance(approval["key"], str):
            approval["key"] = None
            if record.get("recovery") is not True:
                raise Bad("approval is malformed")
            return approval
        for name, size in (("public_key", 64), ("context", 32)):
            if not re.fullmatch(f"[0-9a-fA-F]{{{2 * size}}}", str(record.get(name)), re.ASCII):
                raise Bad("approval is malformed")
        approval["auth_data"] = hex_of(record.get("auth_data"), AUTH_DATA_LIMIT)
        approval["signature"] = hex_of(record.get("signature"), SIGNATURE_LIMIT)
        return approval

    def approve(self, record):
        approval = self.read(record)
        if approval["hash"].hex() != record["operation"]:
            raise Bad("operation is not the hash of its text")
        row, name, values = parse_text(record["text"])
        members = dict(zip((member for member, _ in row["members"]), values))
        in_vault = name == "retention.set"  # what allows to drop records outlives them
        if (NO_LOG.hex() if in_vault else members.get("tenant", NO_LOG.hex())) != self.log.hex():
            raise Bad("operation belongs to another log")
        if approval["key"] is None:
            if not row["card"]:
                raise Bad("a recovery card does not approve this")
        else:
            self.check_touch(approval, bytes.fromhex(record["context"]))
        self.check_slot(approval, record["time"])
        if self.roster is not None and approval["need"] < self.roster.least_at(row["people"], record["time"]):
            raise Bad("fewer approvals were asked for than the quorum")
        self.collect(record["operation"], approval, (row, name, values))
        self.approvals += 1
        self.cards += approval["key"] is None

    def check_touch(self, approval, context):
        signed = operation_signed(approval["hash"], context)
        check_assertion(bytes.fromhex(approval["key"]), signed, approval["auth_data"], approval["signature"])
        if context in self.contexts:
            raise Bad("approval repeats an earlier one")
        self.contexts.add(context)

    def check_slot(self, approval, time):
        if self.roster is not None:
            self.roster.check(approval, time)
            return
        holder = (approval["operator"], approval["key"])
        if self.seen.setdefault(approval["slot"], holder) != holder:
            raise Bad("slot has another operator or key")

    def collect(self, operation, approval, text):
        """have counts them; it begins anew when the keeper has forgotten the earlier ones."""
        if approval["have"] == 1:
            self.open[operation] = {"text": text, "by": [], "used": False}
        found = self.open.get(operation)
        if found is None or found["used"] or approval["have"] != len(found["by"]) + 1:
            raise Bad("approvals are not counted one by one")
        for other in found["by"]:
            keys = None not in (other["key"], approval["key"])
            if other["slot"] == approval["slot"] or (
                keys and (other["operator"] == approval["operator"] or other["key"] == approval["key"])
            ):
                raise Bad("operator has approved already")
        found["by"].append(approval)
        found["need"] = approval["need"]

    def effect(self, kind, record):
        if "operation" not in record:
            if kind == "grant.added":
                self.plain_grants += 1
            elif kind == "rollback.accepted" and record["log"] != "0" * 32:
                pass  # a tenant's log is told of what was approved in the vault's
            elif self.own is None or not self.own.is_first(kind, record):
                raise Bad("effect names no operation")
            return
        found = self.open.get(record["operation"]) if isinstance(record["operation"], str) else None
        if found is None:
            raise Bad("operation was not approved")
        if found["used"]:
            raise Bad("approvals were used before")
        if len(found["by"]) < found["need"]:
            raise Bad("too few operators have approved")
        row, name, values = found["text"]
        check_effect(row, values, kind, record)
        found["used"] = True
        self.done.append((record["seq"], name, [a["operator"] if a["key"] else "recovery card" for a in found["by"]]))


def check_step_ups(log, lines, vault_roster=None, start=0):
    """The StepUps of a log whose records verify otherwise; Bad at the first that was not approved."""
    step_ups = StepUps(log, vault_roster)
    for seq, line in enumerate(lines, start):
        record = object_of(line.decode())
        try:
            step_ups.take(record["type"], record)
        except Bad as bad:
            raise Bad(bad.reason, seq) from None
    return step_ups


# --- bundle ----------------------------------------------------------------------------------------


def fixed(text, pattern, what):
    if not isinstance(text, str) or not re.fullmatch(pattern, text, re.ASCII):
        raise Unusable(f"{what} is not what it should be")
    return text


def public_key_of(text, what):
    try:
        key = strict_base64(text)
    except (ValueError, AttributeError):
        key = b""
    if len(key) != 32:
        raise Unusable(f"{what} is not 32 bytes in base64")
    return key


def members(line, **wanted):
    """The values of an object of exactly these members in this order, written without white space; ValueError."""
    text = line.decode("utf-8")
    if len(text) < 2 or text[0] != "{" or text[-1] != "}":
        raise ValueError("object")
    inside, at, found = "," + text[1:-1], 0, []
    while (field := FIELD.match(inside, at)) is not None:
        found.append(field["name"])
        at = field.end()
    values = object_of(text)
    if at != len(inside) or found != list(wanted):
        raise ValueError("members")
    for name, pattern in wanted.items():
        value = values[name]
        if isinstance(pattern, int):
            if type(value) is not int or value > pattern:
                raise ValueError(name)
        elif not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII | re.DOTALL):
            raise ValueError(name)
        elif NO_TEXT.search(value):
            raise ValueError(name)
        elif pattern.startswith("(?:[0-9a-fA-F]"):
            if f'"{name}":"{value}"' not in text:
                raise ValueError(name)  # hexadecimal is not written in escapes
            values[name] = bytes.fromhex(value)
    return [values[name] for name in wanted]


def hex_size(least, most=None):
    return f"(?:[0-9a-fA-F]{{2}}){{{least},{least if most is None else most}}}"


HEX32, HEX64, HASHES, TEXT = hex_size(16), hex_size(32), f"(?:[0-9a-fA-F]{{64}}){{0,{PROOF_LIMIT}}}", ".*"


def split_hashes(blob):
    return [blob[at : at + 32] for at in range(0, len(blob), 32)]


def read_header(line):
    try:
        if len(line) > LINE_LIMIT:
            raise ValueError("too long")
        version, vault, log, name, key, size, start, end = members(
            line, strongroom_export=2, vault=HEX32, log=HEX32, name=NAME, public_key="[+/=0-9A-Za-z]*",
            size=SIZE_LIMIT, **{"from": SIZE_LIMIT, "to": SIZE_LIMIT},
        )  # fmt: skip
        if f'"name":"{name}","public_key":"{key}"' not in line.decode():
            raise ValueError("escapes")
    except ValueError:
        raise Unusable("the first line is no header of a bundle of version 2") from None
    if version != 2 or not start <= end <= size:
        raise Unusable("the first line is no header of a bundle of version 2")
    return {"vault": vault, "log": log, "name": name, "public_key": public_key_of(key, "public_key"), "size": size,
            "from": start, "to": end}  # fmt: skip


# Kinds of lines in the order in which they stand, by their first bytes. Whatever has none of these is a record.
KINDS = ["left", "record", "right", "person", "operator_record", "vault_checkpoint", "commitment", "checkpoint"]
KIND = re.compile(b'{"(left|right|person|operator_record|vault_checkpoint|commitment|checkpoint)":')
ONCE = {"vault_checkpoint", "commitment", "checkpoint"}


def kind_of(line):
    found = KIND.match(line)
    return found[1].decode() if found else "record"


class Bundle:
    """Lines in order, then end(). Bad or Unusable for the first that is not as it has to be. copy() is cheap."""

    def __init__(self, key=None, witnesses=(), wanted=None, on_record=None):
        self.key, self.witnesses, self.wanted, self.on_record = key, witnesses, wanted, on_record
        self.header = self.chain = None
        self.stage = 0  # least kind that may come
        self.left, self.right, self.leaves = [], [], []
        self.from_root = self.root = self.commitment = self.operator_tree = None
        self.stated = self.operators_open = False
        self.operators, self.persons, self.witnessed = [], {}, set()

    def copy(self):
        other = Bundle.__new__(Bundle)
        other.__dict__.update(self.__dict__)
        other.chain = copy.copy(self.chain)
        for name in ("left", "right", "leaves", "operators"):
            setattr(other, name, list(getattr(self, name)))
        other.persons, other.witnessed = dict(self.persons), set(self.witnessed)
        return other

    def next(self):
        return self.header["from"] + len(self.leaves)

    def line(self, line):
        if self.header is None:
            self.header = read_header(line)
            if self.key is None:
                self.key = self.header["public_key"]
            if self.header["public_key"] != self.key:
                raise Bad("public key is not the one given", self.header["from"])
            return
        if len(line) > LINE_LIMIT:
            raise Bad("malformed", self.next())
        kind = kind_of(line)
        if self.stage == 0 and kind != "left":
            self.begin_records()
        if self.stage <= KINDS.index("record") and kind in ("left", "record") and not (self.stage == 0 and kind == "left"):
            self.record(line)
            return
        try:
            self.section(kind, line)
        except Bad as bad:
            raise Bad(bad.reason, self.next() if bad.seq is None else bad.seq) from None
        except ValueError:
            raise Bad("malformed line", self.next()) from None

    def begin_records(self):
        self.stage = KINDS.index("record")
        start = self.header["from"]
        places = list(row(0, start))
        if len(places) != len(self.left):
            raise Bad("wrong number of hashes on the left", start)
        self.known = dict(zip(places, self.left))
        self.from_root = root_of(self.known, start)
        self.chain = Chain(self.header["vault"], self.header["log"], start)
        if start % 2 == 1:  # the last one before stands alone in the tree
            self.chain.prev = self.left[-1]

    def record(self, line):
        record, leaf = self.chain.take(line)
        if self.next() == self.header["to"]:
            raise Bad("more records than the header says", self.next())
        self.leaves.append(leaf)
        if record["type"] == "records.dropped":
            self.dropped(record["seq"], line)
        if self.on_record:
            self.on_record(record["seq"], line)

    def dropped(self, seq, line):
        last, root = raw_field(line, "last_seq"), raw_field(line, "root")
        if last is None or root is None or not re.fullmatch(WHOLE, last, re.ASCII) or int(last) > SIZE_LIMIT \
                or not re.fullmatch(HEX64, root, re.ASCII):  # fmt: skip
            raise Bad("malformed statement of dropped records", seq)
        if int(last) + 1 == self.header["from"]:
            if bytes.fromhex(root) != self.from_root:
                raise Bad("dropped records had another root", seq)
            self.stated = True

    def section(self, kind, line):
        place = KINDS.index(kind)
        if kind != "left" and self.stage <= KINDS.index("record") and self.next() < self.header["to"]:
            raise Bad("a record is missing")
        if place < self.stage or kind == "record":
            raise Bad("line is out of place")
        self.stage = place + 1 if kind in ONCE else place
        getattr(self, "take_" + kind)(line)

    def take_left(self, line):
        if len(self.left) == PROOF_LIMIT:
            raise ValueError("too many")
        self.left += members(line, left=HEX64)

    def take_right(self, line):
        if len(self.right) == PROOF_LIMIT:
            raise ValueError("too many")
        self.right += members(line, right=HEX64)

    def take_person(self, line):
        tag, salt, name = members(line, person=HEX32, salt=HEX32, name=TEXT)
        if len(name.encode()) > 63:
            raise ValueError("too long")
        if hashlib.sha256(label("person", salt, name.encode())).digest()[:16] != tag:
            raise Bad("name does not belong to its tag")
        self.persons[tag] = name

    def take_operator_record(self, line):
        text, seq, size, proof = members(line, operator_record=TEXT, seq=SIZE_LIMIT, size=SIZE_LIMIT, proof=HASHES)
        try:
            record = parse_record(text.encode())
        except ValueError:
            raise Bad("malformed record of operators") from None
        if record["log"] != NO_LOG or record["seq"] != seq or record["type"] not in OPERATOR_TYPES:
            raise Bad("malformed record of operators")
        if self.operators and seq <= self.operators[-1][0]:
            raise Bad("operators' records are out of order")
        if self.operators and size != self.operator_tree[0]:
            raise Bad("operators' records are of several trees")
        root = inclusion_root(leaf_hash(text.encode()), seq, size, split_hashes(proof))
        if root is None or (self.operators and root != self.operator_tree[1]):
            raise Bad("inclusion proof does not hold")
        self.operator_tree, self.operators_open = (size, root), True
        self.operators.append((seq, text.encode()))

    def take_vault_checkpoint(self, line):
        if not self.operators_open:
            raise Bad("line is out of place")
        (note,) = members(line, vault_checkpoint=TEXT)
        if check_checkpoint(note, origin_of(self.header["vault"], NO_LOG), self.key) != self.operator_tree:
            raise Bad("operators' records are not in the vault's log")
        self.operators_open = False

    def take_commitment(self, line):
        blind, number, index, siblings, text, size, proof, note = members(
            line, commitment=HEX64, round=NUMBER_LIMIT, index=2**COMMITMENT_LEVELS - 1,
            siblings=hex_size(32 * COMMITMENT_LEVELS), record=TEXT, tree_size=SIZE_LIMIT, proof=HASHES, tree_checkpoint=TEXT,
        )  # fmt: skip
        text = text.encode()
        try:
            record = parse_record(text)
            said, root = raw_field(text, "round"), raw_field(text, "root")
            if record["log"] != TREE_LOG or record["type"] != "tree.committed" or said != str(number) \
                    or root is None or not re.fullmatch(HEX64, root, re.ASCII):  # fmt: skip
                raise ValueError("round")
        except ValueError:
            raise Bad("malformed record of a commitment") from None
        signed = check_checkpoint(note, origin_of(self.header["vault"], TREE_LOG), self.key)
        if signed != (size, inclusion_root(leaf_hash(text), record["seq"], size, split_hashes(proof))):
            raise Bad("commitment is not in the vault's tree")
        self.commitment = (number, index, blind, split_hashes(siblings), bytes.fromhex(root))
        self.take_witnesses(note)

    def take_witnesses(self, note):
        for vkey in self.witnesses:
            if has_signed(note, vkey):
                self.witnessed.add(vkey)

    def take_checkpoint(self, line):
        if self.operators_open:
            raise Bad("no checkpoint for the operators' records")
        (note,) = members(line, checkpoint=TEXT)
        header, reached = self.header, self.next()
        size, signed_root = check_checkpoint(note, origin_of(header["vault"], header["log"]), self.key)
        if size != header["size"]:
            raise Bad("size differs from checkpoint", min(size, reached))
        places = list(row(reached, size))
        if len(places) != len(self.right):
            raise Bad("wrong number of hashes on the right")
        known = {(0, header["from"] + at): leaf for at, leaf in enumerate(self.leaves)}
        self.root = root_of({**self.known, **known, **dict(zip(places, self.right))}, size)
        if self.root != signed_root:
            # The chain is whole, so if just one record was changed it is the last.
            raise Bad("root differs", max(reached - 1, 0))
        self.check_commitment(note)
        self.check_range()
        self.take_witnesses(note)
        if len(self.witnessed) != len(set(self.witnesses)):
            raise Bad("not signed by a witness that was asked for")

    def check_commitment(self, note):
        if self.commitment is None:
            return
        number, index, blind, siblings, root = self.commitment
        text = note[: note.index("\n\n") + 1].encode()
        at = leaf_hash(label("tree-leaf", number.to_bytes(8, "big"), hashlib.sha256(text).digest(), blind))
        for level, other in enumerate(siblings):
            at = node_hash(other, at) if index >> level & 1 else node_hash(at, other)
        if at != root:
            raise Bad("commitment does not hold")

    def check_range(self):
        start, end, size = (self.header[name] for name in ("from", "to", "size"))
        if self.wanted is not None:
            if start > self.wanted[0]:
                raise Bad("record was asked for and is missing", self.wanted[0])
            if end < self.wanted[1]:
                raise Bad("record was asked for and is missing", end)
            return
        if start > 0 and not self.stated:
            raise Bad("records are missing without a statement", 0)
        if end < size:
            raise Bad("records are missing without a statement", end)

    def end(self):
        if self.header is None:
            raise Unusable("it is empty")
        if self.stage != len(KINDS):
            raise Bad("bundle is cut off", self.next())


def lines_of(data):
    """As a reader that looks for newlines sees them: the last one need not end with one."""
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def check_bundle(data, **options):
    bundle = Bundle(**options)
    for line in lines_of(data):
        bundle.line(line)
    bundle.end()
    return bundle


def check_proof(data, key, witnesses=()):
    """(sequence number, size, line) of a C2SP tlog-proof with a record of ours."""
    text, blank, note = data.partition(b"\n\n")
    lines = text.split(b"\n")
    if len(data) > PROOF_FILE_LIMIT or not blank or lines[0] + b"\n" != PROOF_BEGINS or len(lines) < 3:
        raise Unusable("the proof is malformed")
    if not lines[1].startswith(b"extra ") or not lines[2].startswith(b"index "):
        raise Unusable("the proof is malformed")
    try:
        line, proof = strict_base64(lines[1][6:].decode()), [strict_base64(hash.decode()) for hash in lines[3:]]
        index = int(lines[2][6:]) if re.fullmatch(WHOLE.encode(), lines[2][6:]) else -1
    except ValueError:
        raise Unusable("the proof is malformed") from None
    if not 0 <= index <= SIZE_LIMIT or len(proof) > PROOF_LIMIT or any(len(hash) != 32 for hash in proof) or len(line) > RECORD_LIMIT:
        raise Unusable("the proof is malformed")
    try:
        record = parse_record(line)
    except ValueError:
        raise Bad("malformed", index) from None
    if record["seq"] != index:
        raise Bad("wrong sequence", index)
    try:
        note = note.decode("utf-8")
        origin = parse_checkpoint(note)[0]
        ours = re.fullmatch("strongroom/[0-9a-f]{32}/([0-9a-f]{32})", origin, re.ASCII)
        if ours is None:
            raise Bad("malformed checkpoint")
        if ours[1] != record["log"].hex():
            raise Bad("wrong log")
        size, root = check_checkpoint(note, origin, key)
        if inclusion_root(leaf_hash(line), index, size, proof) != root:
            raise Bad("inclusion proof does not hold")
        if not all([has_signed(note, vkey) for vkey in witnesses]):
            raise Bad("not signed by a witness that was asked for")
    except UnicodeDecodeError:
        raise Bad("malformed checkpoint", index) from None
    except Bad as bad:
        raise Bad(bad.reason, index) from None
    return index, size, line


def read_macs(path, count):
    with open(path, encoding="ascii") as file:
        lines = file.read().split()
    if len(lines) != count:
        raise Unusable(f"{len(lines)} MACs for {count} records")
    return [bytes.fromhex(fixed(line, "[0-9a-f]{64}", "a MAC")) for line in lines]


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def records_of(bundle, data):
    """The lines of its records: between the header with the left side and what follows."""
    start = 1 + len(bundle.left)
    return lines_of(data)[start : start + len(bundle.leaves)]


def vault_roster(path, vault, key):
    """Who the operators were, from the vault's own log, itself verified with its step-ups."""
    data = read_file(path)
    header = read_header(lines_of(data)[0] if data else b"")
    if header["log"] != NO_LOG or header["vault"] != vault or header["public_key"] != key:
        raise Unusable("--vault-bundle is not the log of this vault")
    try:
        bundle = check_bundle(data, key=key)
        return check_step_ups(NO_LOG, records_of(bundle, data)).own
    except Bad as bad:
        where = "vault" if bad.seq is None else f"vault record {bad.seq}"
        raise Bad(bad.reason, where=where) from None


def bundle_roster(bundle):
    """Who the operators were, from the records of the vault's log in the bundle; None without any."""
    if not bundle.operators:
        return None
    roster = Roster()
    for seq, line in bundle.operators:
        record = object_of(line.decode())
        try:
            roster.take(record["type"], record)
        except Bad as bad:
            raise Bad(bad.reason, where=f"vault record {seq}") from None
    return roster


def say_step_ups(step_ups):
    whose = "the operators' enrolled keys" if step_ups.roster else "the keys that they name: give --vault-bundle"
    signed = step_ups.approvals - step_ups.cards
    print(f"{len(step_ups.done)} privileged operations, all approved; {signed} approvals signed by {whose}")
    if step_ups.cards:
        print(f"{step_ups.cards} approvals by recovery card: no signature, the keeper's word")
    if step_ups.plain_grants:
        print(f"{step_ups.plain_grants} grants took no step-up")
    for seq, name, operators in step_ups.done:
        print(f"record {seq}: {name}, approved by {', '.join(operators)}")


def check_macs(bundle, data, mac_key, path):
    lines = records_of(bundle, data)
    key = bytes.fromhex(fixed(mac_key, "[0-9a-f]{64}", "--mac-key"))
    for at, (line, mac) in enumerate(zip(lines, read_macs(path, len(lines)))):
        if not hmac.compare_digest(record_mac(key, line), mac):
            raise Bad("mac differs", bundle.header["from"] + at)


def verify_proof(data, options):
    if not options.public_key:
        raise Unusable("a proof needs --public-key")
    index, size, line = check_proof(
        data, public_key_of(options.public_key, "--public-key"), [parse_vkey(text) for text in options.witness]
    )
    print(f"OK record {index} of {size}: {line.decode()}")


def verify(options):
    data = read_file(options.bundle)
    if data.startswith(PROOF_BEGINS):
        verify_proof(data, options)
        return
    header = read_header(lines_of(data)[0] if data else b"")
    wanted = None
    if options.start is not None or options.end is not None:
        wanted = (options.start or 0, max(options.end or 0, options.start or 0))
    key = public_key_of(options.public_key, "--public-key") if options.public_key else header["public_key"]
    roster = None
    if options.vault_bundle:
        if header["log"] == NO_LOG:
            raise Unusable("--vault-bundle goes with the log of a tenant")
        roster = vault_roster(options.vault_bundle, header["vault"], key)
    bundle = check_bundle(data, key=key, witnesses=[parse_vkey(text) for text in options.witness], wanted=wanted)
    if options.mac_key:
        check_macs(bundle, data, options.mac_key, options.macs)
    step_ups = None
    if options.step_ups:
        step_ups = check_step_ups(header["log"], records_of(bundle, data), roster or bundle_roster(bundle), header["from"])
    print(f"OK {header['log'].hex()} {len(bundle.leaves)} records, root {base64.b64encode(bundle.root).decode()}")
    if options.mac_key:
        print("every MAC matches")
    if step_ups:
        say_step_ups(step_ups)
    if not options.public_key:
        print("the public key was taken from the bundle itself: compare it with one you trust, or give --public-key")
        print(f"public key {base64.b64encode(key).decode()}")


def main():
    parser = argparse.ArgumentParser(description="Verify an exported Strongroom audit log.")
    parser.add_argument("bundle", metavar="FILE")
    parser.add_argument("--public-key", metavar="BASE64", help="the vault's signing key, from a source you trust")
    parser.add_argument("--witness", metavar="VKEY", action="append", default=[], help="a witness that must have signed")
    parser.add_argument("--from", dest="start", metavar="N", type=int, help="be content with records from N on")
    parser.add_argument("--to", dest="end", metavar="N", type=int, help="be content with records before N")
    parser.add_argument("--mac-key", metavar="HEX", help="the log's audit key; needs --macs")
    parser.add_argument("--macs", metavar="FILE", help="one hexadecimal MAC a line")
    parser.add_argument("--step-ups", action="store_true", help="check that privileged operations were approved")
    parser.add_argument("--vault-bundle", metavar="FILE", help="the vault's own log: whose keys approved")
    options = parser.parse_args()
    if bool(options.mac_key) != bool(options.macs):
        parser.error("--mac-key and --macs go together")
    if options.vault_bundle and not options.step_ups:
        parser.error("--vault-bundle goes with --step-ups")
    try:
        verify(options)
    except Bad as bad:
        print(bad)
        return 1
    except (Unusable, OSError, ValueError) as problem:
        print(f"unusable: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
