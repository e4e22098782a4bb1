#!/usr/bin/python3
"""Makes the golden files of the ledger, and the seeds of its fuzzers, without any code of the product.

    ledger_make.py            writes ledger_*.json, ledger_bundle.jsonl and the fuzz seeds
    ledger_make.py --check    says whether the files are what this script would write

The tree here is built by folding whole levels, which is a third way beside the right edge of the
product and the recursion of tests/verify_audit.py. What a tampered log must be called is worked out
by that verifier, so the C test that reads ledger_tampered.json compares the two.
"""

import base64
import hashlib
import hmac
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "fuzz" / "corpus"
sys.dont_write_bytecode = True  # leaves nothing in the source tree
sys.path.insert(0, str(HERE.parent))
import verify_audit  # noqa: E402

VAULT = bytes(range(0x00, 0x10))
LOG = bytes(range(0x10, 0x20))
OTHER_LOG = bytes(range(0x20, 0x30))
AUDIT_ROOT = bytes([0x47]) * 32
HEAD_KEY = bytes([0x4B]) * 32
SEED = bytes([0x49]) * 32
START_US = 1795251633123456  # 2026-11-21T09:00:33.123456Z

# Codes by hundreds as in include/ledger/record_type.h; K marks those that only the keeper may write.
TYPES = """
1 vault.created K; 2 vault.unlocked K; 3 vault.unlock_failed K; 4 vault.locked; 5 server.started;
6 recovery.unanswered; 7 clock.jumped K; 8 clock.confirmed K; 9 tombstone.alarm K; 10 operator.enrolled K;
11 unlock.share K; 12 card.used K; 13 operator.removed K; 14 quorum.changed K; 15 cards.renewed K;
16 rekey.begun K; 17 rekey.done K; 18 slot.destroyed K;
100 tenant.created K; 101 engagement.started K; 102 engagement.ended K; 103 purge.keys_destroyed K;
104 purge.done; 105 tenant.seed_destroyed K; 106 engagement.held K; 107 engagement.lifted K; 108 purge.hastened K;
200 key.put K; 201 key.rotated K; 202 key.revoked; 203 key.destroyed K;
300 lease.issued K; 301 lease.renewed K; 302 lease.released K; 303 lease.refused;
304 lease.revoked; 305 lease.repeated K; 306 usage.reported; 307 usage.gap; 308 revocation.acknowledged;
400 gateway.added; 401 gateway.removed; 402 grant.added; 403 grant.removed; 404 certificate.issued;
405 certificate.revoked; 406 request.refused; 407 requests.refused; 408 audit.exported; 409 operation.failed K;
410 operation.approved K; 411 operation.proposed; 412 operation.withdrawn;
19 tree.committed K; 20 rollback.accepted K; 413 alert.raised; 414 retention.set K; 415 records.dropped K;
416 person.erased; 417 auditor.assigned; 418 auditor.unassigned;
419 policy.set; 420 compat.set; 421 approle.added; 422 approle.removed; 423 token.issued; 424 token.revoked
"""


def types():
    rows = [row.split() for row in TYPES.split(";")]
    return [{"code": int(r[0]), "name": r[1], "keeper_only": r[2:] == ["K"]} for r in rows]


def sha(data):
    return hashlib.sha256(data).digest()


def label(purpose, *fields):
    name = b"strongroom/v1/" + purpose
    parts = [bytes([len(name)]), name, bytes([len(fields)])]
    parts += [len(f).to_bytes(2, "big") + f for f in fields]
    return b"".join(parts)


def expand(key, info, length):
    """HKDF-Expand for up to 32 bytes: one block."""
    return hmac.new(key, info + length.to_bytes(2, "big") + b"\x01", hashlib.sha256).digest()[:length]


def levels_root(leaf_hashes):
    level = list(leaf_hashes)
    if not level:
        return sha(b"")
    while len(level) > 1:
        # A last one without a partner rises unchanged.
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha(b"\x01" + p[0] + p[1]) if len(p) == 2 else p[0] for p in pairs]
    return level[0]


def right_edge(leaf_hashes):
    """Roots of the perfect subtrees, the lowest level (rightmost) first."""
    edge, end = [], len(leaf_hashes)
    for bit in range(40):
        if len(leaf_hashes) >> bit & 1:
            edge.append(levels_root(leaf_hashes[end - (1 << bit) : end]))
            end -= 1 << bit
    return edge


def time_text(time_us):
    when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=time_us)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def fragment(**fields):
    return "".join(f',"{name}":{json.dumps(value, ensure_ascii=False)}' for name, value in fields.items())


def public_key(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signature_line(name, seed, body, kind=b"\x01"):
    key_id = sha(name.encode() + b"\n" + kind + public_key(seed))[:4]
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(body.encode())
    return f"\u2014 {name} {base64.b64encode(key_id + signature).decode()}\n"


def checkpoint(origin, size, root, seed=SEED):
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    return body + "\n" + signature_line(origin, seed, body)


def origin_of(vault, log):
    return f"strongroom/{vault.hex()}/{log.hex()}"


class Log:
    def __init__(self, vault, log):
        self.vault, self.log = vault, log
        self.prev, self.lines, self.leaves, self.entries = sha(label(b"genesis", vault, log)), [], [], []

    def add(self, kind, time_us, outcome="ok", keeper="", engine=""):
        line = (
            f'{{"v":1,"log":"{self.log.hex()}","seq":{len(self.lines)},"prev":"{self.prev.hex()}",'
            f'"time":"{time_text(time_us)}","type":"{kind}","outcome":"{outcome}"{keeper}{engine}}}'
        ).encode()
        self.prev = sha(b"\x00" + line)
        self.lines.append(line)
        self.leaves.append(self.prev)
        self.entries.append(
            {"type": kind, "time_us": time_us, "outcome": outcome, "keeper_fields": keeper, "engine_fields": engine}
        )

    def note(self):
        return checkpoint(origin_of(self.vault, self.log), len(self.lines), levels_root(self.leaves))


# --- RFC 6962 --------------------------------------------------------------------------------------


# Published for the same eight inputs; sequence numbers from 0. Copied, not computed.
A, B, C = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
D, E, F = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
I = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"  # noqa: E741
PUBLISHED_INCLUSION = [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, F]), (2, 3, [G]), (1, 5, [H, B, D])]
PUBLISHED_CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [I, E, F]), (2, 5, [B, D])]


def rfc6962():
    """The customary eight inputs; the roots of sizes 0, 1, 2 and 8 are known from many projects."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", bytes(range(0x50, 0x58)).hex(), bytes(range(0x60, 0x70)).hex()]
    hashes = [sha(b"\x00" + bytes.fromhex(i)) for i in inputs]
    roots = [levels_root(hashes[:n]).hex() for n in range(9)]
    assert roots[0] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert roots[1] == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert roots[2] == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert roots[8] == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    # Beyond eight only the shape is new: the inputs are the numbers 0, 1, 2... as two bytes.
    many = [sha(b"\x00" + n.to_bytes(2, "big")) for n in range(130)]
    return {
        "inputs": inputs,
        "roots": roots,
        "proofs_source": "proof/verify_test.go of transparency-dev/merkle, which has them from certificate-transparency-go",
        "inclusion": [{"seq": seq, "size": size, "proof": proof} for seq, size, proof in PUBLISHED_INCLUSION],
        "consistency": [{"from": old, "size": size, "proof": proof} for old, size, proof in PUBLISHED_CONSISTENCY],
        "numbered_roots": [levels_root(many[:n]).hex() for n in range(131)],
    }


# --- our own format --------------------------------------------------------------------------------


def vectors():
    log = Log(VAULT, LOG)
    log.add("tenant.created", START_US, keeper=fragment(tenant_id=LOG.hex()), engine=fragment(actor="operator:1"))
    log.add(
        "lease.issued",
        START_US + 1000,
        keeper=fragment(
            key_id=(b"\x21" * 16).hex(), version=7, lease_id=(b"\x55" * 16).hex(), expires=time_text(START_US + 300000000)
        ),
        engine=fragment(actor="gateway:edge-1", request_id=(b"\x54" * 16).hex(), provider="openai", sealed=True),
    )
    log.add("lease.refused", START_US + 1000, "denied", engine=fragment(key="gpt", why='"\\\u00e9\U0001f511/', count=999999999999999))
    key = expand(AUDIT_ROOT, label(b"audit-mac", VAULT, LOG), 32)
    for line, leaf, entry in zip(log.lines, log.leaves, log.entries):
        entry["line"] = line.decode()
        entry["leaf"] = leaf.hex()
        entry["mac"] = hmac.new(key, label(b"record-mac") + line, hashlib.sha256).hexdigest()
    size = len(log.lines)
    head = LOG + size.to_bytes(8, "big") + (START_US + 1000).to_bytes(8, "big") + log.prev
    head += b"".join(right_edge(log.leaves))
    head += hmac.new(HEAD_KEY, label(b"ledger-head") + head, hashlib.sha256).digest()
    return {
        "vault": VAULT.hex(),
        "log": LOG.hex(),
        "genesis": sha(label(b"genesis", VAULT, LOG)).hex(),
        "audit_root": AUDIT_ROOT.hex(),
        "audit_key": key.hex(),
        "seed": SEED.hex(),
        "public_key": public_key(SEED).hex(),
        "records": log.entries,
        "root": levels_root(log.leaves).hex(),
        "checkpoint": log.note(),
        "empty_checkpoint": checkpoint(origin_of(VAULT, LOG), 0, sha(b"")),
        "head_key": HEAD_KEY.hex(),
        "head": head.hex(),
        "types": types(),
        "escapes": [
            {"text": text, "fragment": ',"why":' + json.dumps(text, ensure_ascii=False)}
            for text in ["", "plain", 'a"b\\c/d', "\b\f\n\r\t", "".join(map(chr, range(1, 0x20))), "\x7f\u00e9\u20ac\U0001f511"]
        ],
    }


# --- a log of fifty records, and what becomes of it --------------------------------------------------


def fifty():
    log, time_us = Log(VAULT, LOG), START_US
    log.add("tenant.created", time_us, keeper=fragment(tenant_id=LOG.hex()), engine=fragment(actor="operator:1"))
    for n in range(1, 50):
        time_us += 250000 * (n % 4)  # now and then two records share their time
        lease = sha(b"lease %d" % (n // 3))[:16].hex()
        actor = fragment(actor=f"gateway:edge-{n % 5}", request_id=sha(b"request %d" % n)[:16].hex())
        if n % 7 == 0:
            log.add("lease.refused", time_us, "denied", engine=actor + fragment(key="gpt", why="no grant \u2013 refused"))
        elif n % 11 == 0:
            log.add("audit.exported", time_us, engine=actor + fragment(count=n, whole=True))
        else:
            kind = ["lease.issued", "lease.renewed", "lease.released"][n % 3]
            log.add(kind, time_us, keeper=fragment(lease_id=lease, number=n), engine=actor)
    return log


def bundle(log, note=None, **header):
    first = {
        "strongroom_export": 2,
        "vault": log.vault.hex(),
        "log": log.log.hex(),
        "name": "acme",
        "public_key": base64.b64encode(public_key(SEED)).decode(),
        "size": len(log.lines),
        "from": 0,
        "to": len(log.lines),
    }
    first.update(header)
    lines = [json.dumps(first, separators=(",", ":")).encode()] + log.lines
    lines.append(json.dumps({"checkpoint": note or log.note()}, separators=(",", ":"), ensure_ascii=False).encode())
    return b"\n".join(lines) + b"\n"


# --- a bundle with everything that one can have ------------------------------------------------------

WITNESS = "witness.example/w1"
WITNESS_SEED = bytes([0x57]) * 32
WITNESS_TIME = 1795255233


def compact(**members):
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def perfect(leaves, start, end):
    """Roots of the largest perfect subtrees that [start, end) consists of, from left to right."""
    while start < end:
        width = 1
        while start % (2 * width) == 0 and start + 2 * width <= end:
            width *= 2
        yield levels_root(leaves[start : start + width])
        start += width


def path(leaves, seq):
    """PATH(seq, leaves) of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if seq < half:
        return path(leaves[:half], seq) + [levels_root(leaves[half:])]
    return path(leaves[half:], seq - half) + [levels_root(leaves[:half])]


def joined(hashes):
    return b"".join(hashes).hex()


def vkey():
    blob = b"\x04" + public_key(WITNESS_SEED)
    key_id = sha(WITNESS.encode() + b"\n" + blob)[:4].hex()
    return f"{WITNESS}+{key_id}+{base64.b64encode(blob).decode()}"


def cosigned(note):
    body = note.split("\n\n")[0] + "\n"
    blob = b"\x04" + public_key(WITNESS_SEED)
    signature = Ed25519PrivateKey.from_private_bytes(WITNESS_SEED).sign(f"cosignature/v1\ntime {WITNESS_TIME}\n{body}".encode())
    line = sha(WITNESS.encode() + b"\n" + blob)[:4] + WITNESS_TIME.to_bytes(8, "big") + signature
    return f"{note}\u2014 {WITNESS} {base64.b64encode(line).decode()}\n"


def vault_log():
    log = Log(VAULT, bytes(16))
    log.add("vault.created", START_US, keeper=fragment(quorum=1))
    log.add("operator.enrolled", START_US, keeper=fragment(operator="alice", slot_id="11" * 16, public_key="22" * 64))
    for n in range(5):
        log.add("server.started", START_US + n, engine=fragment(actor="system"))
    log.add("quorum.changed", START_US + 9, keeper=fragment(quorum=2))
    log.add("vault.locked", START_US + 9, engine=fragment(actor="system"))
    return log


def commitment(note, rounds=6, number=4, index=0x1A2B3 % 2**17):
    """The line about a checkpoint's place in a round, whose other leaves nobody knows."""
    body = (note.split("\n\n")[0] + "\n").encode()
    blind, siblings = sha(b"blind"), [sha(b"sibling %d" % level) for level in range(17)]
    at = sha(b"\x00" + label(b"tree-leaf", number.to_bytes(8, "big"), sha(body), blind))
    for level, sibling in enumerate(siblings):
        at = sha(b"\x01" + (sibling + at if index >> level & 1 else at + sibling))
    log = Log(VAULT, b"\xff" * 16)
    for n in range(rounds):
        root = at if n == number else sha(b"round %d" % n)
        log.add("tree.committed", START_US + n, keeper=fragment(round=n, root=root.hex()))
    return compact(
        commitment=blind.hex(), round=number, index=index, siblings=joined(siblings), record=log.lines[number].decode(),
        tree_size=rounds, proof=joined(path(log.leaves, number)), tree_checkpoint=cosigned(log.note()),
    )  # fmt: skip


def person(name):
    salt = sha(name.encode())[:16]
    return compact(person=sha(label(b"person", salt, name.encode()))[:16].hex(), salt=salt.hex(), name=name)


def operator_lines(vault, seqs):
    size = len(vault.lines)
    lines = [
        compact(operator_record=vault.lines[seq].decode(), seq=seq, size=size, proof=joined(path(vault.leaves, seq))) for seq in seqs
    ]
    return [*lines, compact(vault_checkpoint=vault.note())]


def rich(start=21, end=30):
    """Records start to end of the fifty, and all that may stand around them."""
    log, vault = fifty(), vault_log()
    lines = bundle(log, **{"from": start, "to": end}).splitlines()[:1]
    lines += [compact(left=left.hex()) for left in perfect(log.leaves, 0, start)]
    lines += log.lines[start:end]
    lines += [compact(right=right.hex()) for right in perfect(log.leaves, end, len(log.leaves))]
    lines += [person("alice"), person('b\u00e9a "x" \U0001f511\\')]
    lines += operator_lines(vault, (0, 1, 7))
    lines += [commitment(log.note()), compact(checkpoint=log.note())]
    return b"\n".join(lines) + b"\n"


def dropped():
    """The last thirty of the fifty, and one that says what became of the others."""
    log, start = fifty(), 20
    log.add(
        "records.dropped", START_US + 10**9,
        keeper=fragment(first_seq=0, last_seq=start - 1, records=start, root=levels_root(log.leaves[:start]).hex()),
    )  # fmt: skip
    lines = bundle(log, **{"from": start}).splitlines()
    left = [compact(left=left.hex()) for left in perfect(log.leaves, 0, start)]
    return b"\n".join(lines[:1] + left + log.lines[start:] + lines[-1:]) + b"\n"


def proof(seq=33):
    log = fifty()
    lines = ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(log.lines[seq]).decode(), f"index {seq}"]
    lines += [base64.b64encode(hash).decode() for hash in path(log.leaves, seq)]
    return ("\n".join(lines) + "\n\n" + cosigned(log.note())).encode()


def apply(lines, note, edit):
    """The same few edits that tests/unit/test_ledger_golden.c makes."""
    lines, at = list(lines), edit.get("record", 0)
    match edit["op"]:
        case "none":
            pass
        case "flip":
            line = bytearray(lines[at])
            line[edit["at"]] ^= edit["xor"]
            lines[at] = bytes(line)
        case "delete":
            del lines[at]
        case "duplicate":
            lines.insert(at, lines[at])
        case "swap":
            lines[at], lines[edit["with"]] = lines[edit["with"]], lines[at]
        case "keep":
            del lines[at:]
        case "shorten":
            lines[at] = lines[at][: edit["at"]]
        case "replace":
            lines[at] = edit["line"].encode()
        case "append":
            lines.append(edit["line"].encode())
        case "note":
            note = edit["note"]
    return lines, note


def record_edits(log):
    """Edits of records: some of each kind everywhere, bytes on a grid that meets every field."""
    n = len(log.lines)
    for at in range(n):
        yield {"op": "delete", "record": at}
        yield {"op": "duplicate", "record": at}
        yield {"op": "keep", "record": at}
        yield {"op": "swap", "record": at, "with": (at * 7 + 3) % n} if at != (at * 7 + 3) % n else {"op": "none"}
        size = len(log.lines[at])
        yield {"op": "shorten", "record": at, "at": at * size // n}
        for k in range(at % 5, size, 5 if at in (0, 7, n - 1) else 37):
            yield {"op": "flip", "record": at, "at": k, "xor": (1, 2, 4, 0x20, 0x80)[(k + at) % 5]}


def line_edits(log):
    """Lines that are nearly right, each put in the place of record 3."""
    line = log.lines[3].decode()
    body = line[:-1]
    rewritten = [
        line.replace('"v":1', '"v":2'), line.replace('"v":1', '"v": 1'), line.replace('"v":1', '"v":01'),
        line.replace(LOG.hex(), OTHER_LOG.hex()), line.replace('"seq":3', '"seq":03'), line.replace('"seq":3', '"seq":4'),
        line.replace('"seq":3', '"seq":"3"'), line.replace('"seq":3', '"seq":1099511627776'),
        line.replace('"seq":3', '"seq":18446744073709551619'), line.replace('"seq":3', '"seq":-3'),
        line.replace("T09:", "T24:"), line.replace("2026-11-21", "2026-11-31"), line.replace("2026-11-21", "1969-11-21"),
        line.replace("2026-11-21", "2027-11-21"), line.replace("2026-11-21", "2025-11-21"), line.replace("Z\"", "z\""),
        line.replace('"outcome":"ok"', '"outcome":"good"'), line.replace('"outcome":"ok"', '"outcome":"denied"'),
        line.replace('"type":"lease.issued"', '"type":"lease.stolen"'), line.replace('"type":', '"tYpe":'),
        line.upper(), line + "\n", line + "\r", " " + line, line + " ", line + "{}", body, "", "{}", "null", "[" + line + "]",
    ]  # fmt: skip
    endings = [
        "", ",", ',"a"', ',"a":', ',"a":null', ',"a":1', ',"a":-1', ',"a":01', ',"a":0', ',"a":1.0', ',"a":1e3',
        ',"a":999999999999999', ',"a":1000000000000000', ',"a":{}', ',"a":[]', ',"a":true', ',"a":TRUE', ',"a":falsey',
        ',"a":"x","a":"y"', ',"seq":3', ',"v":1', ',"log":"x"', ',"actor":"x"', ',"A":1', ',"a1":1', ',"":1', ', "a":1', ',"a" :1',
        ',"a": 1', ',"a":"\\u0000"', ',"a":"\\u0001"', ',"a":"\\u00E9"', ',"a":"\\ud800"', ',"a":"\\udc00"',
        ',"a":"\\ud83d\\udd11"', ',"a":"\\ud83d\\u0041"', ',"a":"\\ud83dx"', ',"a":"\\ud83d\\ud83d\\udd11"', ',"a":"\\u12g4"',
        ',"a":"\\x41"', ',"a":"\\/"', ',"a":"\\"', ',"a":"\t"', ',"a":"\x7f"', ',"a":"\u2028"', ',"\\u0061":1', ",'a':1",
        ',"' + "a" * 32 + '":1', ',"' + "a" * 33 + '":1', ',"a":"' + "x" * (4096 - len(line) - 7) + '"',
        ',"a":"' + "x" * (4096 - len(line) - 6) + '"', "}", ',"a":1}',
    ]  # fmt: skip
    for text in rewritten + [body + end + "}" for end in endings]:
        yield {"op": "replace", "record": 3, "line": text}
    yield {"op": "append", "line": log.lines[-1].decode()}
    more = Log(VAULT, LOG)
    more.prev, more.lines = log.prev, list(log.lines)
    more.add("purge.done", START_US + 3600000000)
    yield {"op": "append", "line": more.lines[-1].decode()}
    early = Log(VAULT, LOG)
    early.prev, early.lines = log.prev, list(log.lines)
    early.add("purge.done", START_US)
    yield {"op": "append", "line": early.lines[-1].decode()}


def note_edits(log):
    origin, root, size = origin_of(VAULT, LOG), levels_root(log.leaves), len(log.lines)
    good = log.note()
    body, signature = good.split("\n\n")
    own_body = body + "\n"
    witness = signature_line("witness.example/w1", b"\x61" * 32, own_body, b"\x04")
    same_name = signature_line(origin, b"\x62" * 32, own_body)
    own = bytearray(base64.b64decode(signature.split(" ")[2]))
    own[40] ^= 1
    false_line = f"\u2014 {origin} {base64.b64encode(bytes(own)).decode()}\n"
    yield from (
        {"op": "note", "note": note}
        for note in [
            good + witness, own_body + "\n" + witness + signature, good + same_name, own_body + "\n" + witness, own_body + "\n",
            own_body + "\n" + same_name, own_body, good + false_line, own_body + "\n" + false_line + signature, good + good, good + "\n",
            good + signature, good + witness * 15, good + witness * 16, good[:-1], good + "x\n", good + "\u2014 a\n", good + "\u2014 a b c\n",
            good + "\u2014  b\n", good + "\u2014 a \n", good + "- a b\n", good.replace("\u2014", "-"), good.replace("\n", "\r\n"), "", "\n",
            "\n\n\n\n", good.replace("\n50\n", "\n050\n"), good.replace("\n50\n", "\n+50\n"), good.replace("\n50\n", "\n\u0665\u0660\n"),
            good.replace("\n50\n", "\n1099511627776\n"), good.replace("\n50\n", "\n49\n"), own_body + "extension\n\n" + signature,
            own_body + "\n\n" + signature, good.replace("=\n\n", "\n\n"), good + "\x00", good.replace(" strongroom", " strongroon"),
            checkpoint(origin, size, root, b"\x63" * 32), checkpoint(origin, size - 1, levels_root(log.leaves[:-1])),
            checkpoint(origin, size + 1, root), checkpoint(origin, size, sha(b"other")), checkpoint(origin, 0, sha(b"")),
            checkpoint(origin_of(VAULT, OTHER_LOG), size, root), checkpoint(origin_of(OTHER_LOG, LOG), size, root),
            checkpoint("example.com/log", size, root), good.replace("\n\n", "\nextension\n"), good.replace("\n\n", "\n \n"),
        ]  # fmt: skip
    )
    for at in range(0, len(good), 3):
        yield {"op": "note", "note": good[:at] + chr(ord(good[at]) ^ 1) + good[at + 1 :]}
        yield {"op": "note", "note": good[:at]}


def tampered(log):
    cases = []
    for edit in [{"op": "none"}, *record_edits(log), *line_edits(log), *note_edits(log)]:
        lines, note = apply(log.lines, log.note(), edit)
        case = {"edit": edit, "bad": None}
        try:
            verify_audit.check_log(VAULT, LOG, public_key(SEED), lines, note)
        except verify_audit.Bad as bad:
            case["bad"] = {"record": len(lines) if bad.seq is None else bad.seq, "why": bad.reason}
        cases.append(case)
    # What can be said without any verifier is said here, so that the two cannot be wrong alike.
    for case in cases:
        edit, bad, at = case["edit"], case["bad"], case["edit"].get("record")
        match edit["op"]:
            case "none":
                assert bad is None
            case "delete":
                last = at == len(log.lines) - 1
                assert bad == {"record": at, "why": "size differs from checkpoint" if last else "wrong sequence"}
            case "duplicate":
                assert bad == {"record": at + 1, "why": "wrong sequence"}
            case "swap":
                assert bad == {"record": min(at, edit["with"]), "why": "wrong sequence"}
            case "keep":
                assert bad == {"record": at, "why": "size differs from checkpoint"}
            case "shorten":
                assert bad == {"record": at, "why": "malformed"}
            case "flip":
                assert bad["record"] in (at, min(at + 1, len(log.lines) - 1))
    return {"vault": VAULT.hex(), "log": LOG.hex(), "public_key": public_key(SEED).hex(), "cases": cases}


# --- files -----------------------------------------------------------------------------------------


def check_maker():
    """The signing of notes against one that was made before this script and for another origin."""
    origin = "vault.example/eu1/t/101112131415161718191a1b1c1d1e1f"
    root = bytes.fromhex("5a0298e08fadf11dd4f3f45be641300b011a5bd89248426002d96b0a9b821e43")
    assert checkpoint(origin, 2, root).endswith(
        " 5MuUbzqbR6hcvFomAyPUkV8bliViD+JyMiT+direAuX9XZ9otUIIN3rHxKVSPzU7e1b9RB5okH4K7K4eRZjLuhJgFQc=\n"
    )


def pretty(value):
    """One line for each entry of each list, so that a change shows as the lines it changes."""

    def compact(part):
        return json.dumps(part, ensure_ascii=False)

    members = []
    for name, part in value.items():
        text = compact(part)
        if isinstance(part, list):
            text = "[\n  " + ",\n  ".join(map(compact, part)) + "\n ]"
        members.append(f' "{name}": {text}')
    return ("{\n" + ",\n".join(members) + "\n}\n").encode()


def files():
    log = fifty()
    made = {
        HERE / "ledger_rfc6962.json": pretty(rfc6962()),
        HERE / "ledger_v1.json": pretty(vectors()),
        HERE / "ledger_bundle.jsonl": bundle(log),
        HERE / "ledger_bundle_rich.jsonl": rich(),
        HERE / "ledger_bundle_dropped.jsonl": dropped(),
        HERE / "ledger_proof.txt": proof(),
        CORPUS / "fuzz_bundle" / "rich": rich(),
        CORPUS / "fuzz_bundle" / "rich_short": rich(1, 2),
        CORPUS / "fuzz_bundle" / "dropped": dropped(),
        CORPUS / "fuzz_proof" / "good": proof(),
        CORPUS / "fuzz_proof" / "first": proof(0),
        HERE / "ledger_tampered.json": pretty(tampered(log)),
    }
    for name, line in zip(("first", "keeper", "engine"), (log.lines[0], log.lines[1], log.lines[7])):
        made[CORPUS / "fuzz_record" / name] = line
    for entry, name in zip(vectors()["records"], ("tenant", "lease", "escaped")):
        made[CORPUS / "fuzz_record" / name] = entry["line"].encode()
    for number, edit in enumerate(e for e in line_edits(log) if e["op"] == "replace" and len(e["line"]) < 1000):
        if number % 9 == 0:
            made[CORPUS / "fuzz_record" / f"odd-{number:02}"] = edit["line"].encode()
    made[CORPUS / "fuzz_record" / "fragment"] = fragment(actor="gateway:edge-1", why='"\\\u00e9/', count=3, whole=True).encode()
    made[CORPUS / "fuzz_record" / "pair"] = b',"a":"\\ud83d\\udd11\\u00e9","b":false,"c":0'
    made[CORPUS / "fuzz_checkpoint" / "good"] = log.note().encode()
    for number, edit in enumerate(note_edits(log)):
        if number < 44 and number % 3 == 0:
            made[CORPUS / "fuzz_checkpoint" / f"odd-{number:02}"] = edit["note"].encode()
    return made


def main():
    check_maker()
    stale = [path for path, data in files().items() if not path.exists() or path.read_bytes() != data]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"not what ledger_make.py writes: {path}")
        return 1 if stale else 0
    for path, data in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
