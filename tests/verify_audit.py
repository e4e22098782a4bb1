#!/usr/bin/python3
"""Verifies an exported audit log without any code of the product.

A second implementation, written from docs/DESIGN.md and the contracts in include/ledger, so that a
mistake in one of the two shows as a disagreement. Standard library, and one library for Ed25519.

    verify_audit.py BUNDLE [--public-key BASE64] [--mac-key HEX --macs FILE]

BUNDLE is what `strongroom audit export` writes: a header line, the records, a checkpoint line. FILE
holds one hexadecimal MAC a line, in the order of the records.

Exit status: 0 the log verifies, 1 it does not (the first bad record is named), 2 unusable input.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import hmac
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECORD_LIMIT = 4096  # bytes of one line
SIZE_LIMIT = 2**40 - 1  # records of one log
SIGNATURE_LINES_LIMIT = 16
DOMAIN = b"strongroom/v1/"

TYPES = set(
    """
    vault.created vault.unlocked vault.unlock_failed vault.locked server.started recovery.unanswered
    clock.jumped clock.confirmed tombstone.alarm operator.enrolled unlock.share card.used
    operator.removed quorum.changed cards.renewed rekey.begun rekey.done slot.destroyed
    tenant.created engagement.started engagement.ended purge.keys_destroyed purge.done
    tenant.seed_destroyed engagement.held engagement.lifted purge.hastened
    key.put key.rotated key.revoked key.destroyed
    lease.issued lease.renewed lease.released lease.refused
    gateway.added gateway.removed grant.added grant.removed certificate.issued certificate.revoked
    request.refused requests.refused audit.exported operation.failed
    operation.approved operation.proposed operation.withdrawn
    """.split()
)

WHOLE = r"(?:0|[1-9][0-9]*)"
HEAD = re.compile(
    r'\{"v":1,"log":"(?P<log>[0-9a-f]{32})","seq":(?P<seq>' + WHOLE + r'),"prev":"(?P<prev>[0-9a-f]{64})",'
    r'"time":"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)",'
    r'"type":"(?P<type>[a-z_.]+)","outcome":"(?:ok|denied|failed)"'
)
FIELD = re.compile(
    r',"[a-z_]{1,32}":(?:"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
    r"|(?:0|[1-9][0-9]{0,14})|true|false)"
)


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


def record_mac(key, line):
    return hmac.new(key, label("record-mac") + line, hashlib.sha256).digest()


# --- records ---------------------------------------------------------------------------------------


def parse_time(text):
    """Microseconds since 1970; ValueError for an instant that no calendar has."""
    when = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    since = when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
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
        if "\x00" in value or any(0xD800 <= ord(c) <= 0xDFFF for c in value):
            raise ValueError(f"{name} is not text")
    seq = int(head["seq"])
    if head["type"] not in TYPES or seq > SIZE_LIMIT:
        raise ValueError("head")
    return {
        "log": bytes.fromhex(head["log"]),
        "seq": seq,
        "prev": bytes.fromhex(head["prev"]),
        "time": parse_time(head["time"]),
    }


def check_records(vault, log, lines, mac_key=None, macs=()):
    """The leaf hashes of lines; Bad at the first that does not continue the log."""
    prev, time, leaves = genesis(vault, log), 0, []
    for seq, line in enumerate(lines):
        try:
            record = parse_record(line)
        except ValueError:
            raise Bad("malformed", seq) from None
        if record["log"] != log:
            raise Bad("wrong log", seq)
        if record["seq"] != seq:
            raise Bad("wrong sequence", seq)
        if record["prev"] != prev:
            raise Bad("prev does not match", seq)
        if record["time"] < time:
            raise Bad("time runs backwards", seq)
        if mac_key is not None and not hmac.compare_digest(record_mac(mac_key, line), macs[seq]):
            raise Bad("mac differs", seq)
        prev, time = leaf_hash(line), record["time"]
        leaves.append(prev)
    return leaves


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


def check_checkpoint(note, origin, key):
    """(size, root) that the holder of key signed under origin; Bad otherwise."""
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
    if lines[0] != origin:
        raise Bad("checkpoint of another log")
    body, signatures = "\n".join(lines[:3]) + "\n", lines[4:-1]
    good = 0
    for count, line in enumerate(signatures):
        if count == SIGNATURE_LINES_LIMIT:
            raise Bad("malformed checkpoint")
        good += is_signature(body, line, origin, key) is True
    if good == 0:
        raise Bad("bad signature")
    return size, root


def check_log(vault, log, key, lines, note, **macs):
    """The root of a log whose records and checkpoint agree; Bad otherwise."""
    leaves = check_records(vault, log, lines, **macs)
    size, signed_root = check_checkpoint(note, f"strongroom/{vault.hex()}/{log.hex()}", key)
    if size != len(leaves):
        raise Bad("size differs from checkpoint", min(size, len(leaves)))
    root = tree_root(leaves)
    if root != signed_root:
        # The chain is whole, so if just one record was changed it is the last.
        raise Bad("root differs", max(len(leaves) - 1, 0))
    return root


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


def read_header(line):
    try:
        header = object_of(line.decode("utf-8"))
    except ValueError:
        raise Unusable("the first line is not a bundle header") from None
    if set(header) != {"strongroom_export", "vault", "log", "name", "public_key", "size"}:
        raise Unusable("the bundle header does not have the fields of version 1")
    version, size = header["strongroom_export"], header["size"]
    # bool is a number to Python, but not to JSON.
    if type(version) is not int or version != 1 or type(size) is not int or not 0 <= size <= SIZE_LIMIT:
        raise Unusable("the bundle header has another version, or no size")
    return {
        "vault": bytes.fromhex(fixed(header["vault"], "[0-9a-f]{32}", "vault")),
        "log": bytes.fromhex(fixed(header["log"], "[0-9a-f]{32}", "log")),
        "public_key": public_key_of(header["public_key"], "public_key"),
        "size": size,
    }


def read_bundle(data):
    """(header, record lines, note)"""
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) < 2:
        raise Unusable("a bundle has at least a header and a checkpoint")
    header = read_header(lines[0])
    try:
        last = object_of(lines[-1].decode("utf-8"))
    except ValueError:
        raise Unusable("the last line is cut off") from None
    if set(last) != {"checkpoint"} or not isinstance(last["checkpoint"], str):
        raise Unusable("the last line is not a checkpoint")
    return header, lines[1:-1], last["checkpoint"]


def read_macs(path, count):
    with open(path, encoding="ascii") as file:
        lines = file.read().split()
    if len(lines) != count:
        raise Unusable(f"{len(lines)} MACs for {count} records")
    return [bytes.fromhex(fixed(line, "[0-9a-f]{64}", "a MAC")) for line in lines]


def verify(options):
    with open(options.bundle, "rb") as file:
        header, lines, note = read_bundle(file.read())
    key = public_key_of(options.public_key, "--public-key") if options.public_key else header["public_key"]
    macs = {}
    if options.mac_key:
        macs["mac_key"] = bytes.fromhex(fixed(options.mac_key, "[0-9a-f]{64}", "--mac-key"))
        macs["macs"] = read_macs(options.macs, len(lines))
    root = check_log(header["vault"], header["log"], key, lines, note, **macs)
    # Last, because it is the least: nothing in the header is signed.
    if header["size"] != len(lines):
        raise Bad("size differs from header", min(header["size"], len(lines)))
    if header["public_key"] != key:
        raise Bad("public key is not the one given", where="header")
    print(f"OK {header['log'].hex()} {len(lines)} records, root {base64.b64encode(root).decode()}")
    if macs:
        print("every MAC matches")
    if not options.public_key:
        print("the public key was taken from the bundle itself: compare it with one you trust, or give --public-key")
        print(f"public key {base64.b64encode(key).decode()}")


def main():
    parser = argparse.ArgumentParser(description="Verify an exported Strongroom audit log.")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--public-key", metavar="BASE64", help="the vault's signing key, from a source you trust")
    parser.add_argument("--mac-key", metavar="HEX", help="the log's audit key; needs --macs")
    parser.add_argument("--macs", metavar="FILE", help="one hexadecimal MAC a line")
    options = parser.parse_args()
    if bool(options.mac_key) != bool(options.macs):
        parser.error("--mac-key and --macs go together")
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
