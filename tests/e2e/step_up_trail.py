"""Trails with privileged operations in them, composed and signed here without any code of the product.

A Story is a list of records of one log: (type, fields). Tests change it and write it out as a bundle
whose chain and checkpoint hold, so that only what the records say can give it away.
"""

import hashlib
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import ledger_make  # noqa: E402

VAULT_LOG, TENANT = bytes(16), bytes(range(0x10, 0x20))
ENGAGEMENT, GATEWAY = "33" * 16, "44" * 16
SECOND_US = 1000000
TOUCHED, VERIFIED, ATTESTED, EXTENDED = 0x01, 0x04, 0x40, 0x80


def name_hash(name, size=32):
    return hashlib.sha256(name.encode()).digest()[:size]


class Operator:
    """Someone with a hardware key."""

    def __init__(self, name, key_name=None):
        self.name, self.slot = name, name_hash(f"slot {key_name or name}", 16).hex()
        self.private = ec.derive_private_key(int.from_bytes(name_hash(f"key {key_name or name}"), "big") >> 1, ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.public_key = (numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")).hex()
        self.touches = 0

    def enrolled(self, share):
        return {"operator": self.name, "slot_id": self.slot, "share": share, "public_key": self.public_key, "aaguid": "77" * 16}

    def auth_data(self, relying_party="strongroom", flags=TOUCHED | VERIFIED | EXTENDED, sealed=80):
        extension = b"\xa1\x6bhmac-secret\x58" + bytes([sealed]) + b"\x5a" * sealed if flags & EXTENDED else b""
        return name_hash(relying_party) + bytes([flags]) + self.touches.to_bytes(4, "big") + extension

    def assertion(self, client_data_hash, **shape):
        self.touches += 1
        data = self.auth_data(**shape)
        return {"auth_data": data.hex(), "signature": self.private.sign(data + client_data_hash, ec.ECDSA(hashes.SHA256())).hex()}

    def approval(self, text, have, need, **shape):
        operation, context = operation_hash(text), name_hash(f"context of {self.slot} {self.touches} {text}")
        return {
            **approval_head(text, have, need, self.slot, self.name),
            "public_key": self.public_key,
            "context": context.hex(),
            "actor": f"operator:{self.name}",
            **self.assertion(hashlib.sha256(ledger_make.label(b"step-up", operation, context)).digest(), **shape),
        }


def approval_head(text, have, need, slot, operator):
    operation = operation_hash(text).hex()
    return {"operation": operation, "text": text, "have": have, "need": need, "slot_id": slot, "operator": operator}


def card_approval(text, have, need, card="card"):
    return {**approval_head(text, have, need, name_hash(f"slot {card}", 16).hex(), "recovery"), "recovery": True}


def operation_hash(text):
    return hashlib.sha256(ledger_make.label(b"operation", text.encode())).digest()


def text_of(name, number, members=""):
    return f"{name} id={name_hash(f'operation {number}', 16).hex()}" + (" " + members if members else "")


class Story:
    def __init__(self, log, step_us=60 * SECOND_US, start_us=ledger_make.START_US):
        self.log, self.records, self.step_us, self.start_us = log, [], step_us, start_us

    def add(self, kind, **fields):
        self.records.append((kind, fields))
        return self

    def time(self, seq):
        return ledger_make.time_text(self.start_us + seq * self.step_us)

    def operation(self, text, by, effect, need=None, **fields):
        """Proposed, approved by each in turn, carried out."""
        self.add("operation.proposed", actor="operator:alice", proposal=text)
        for count, operator in enumerate(by, 1):
            self.add("operation.approved", **operator.approval(text, count, need or len(by)))
        return self.add(effect, operation=operation_hash(text).hex(), **fields)

    def find(self, kind, which=0):
        """Position of the which-th record of a type."""
        return [seq for seq, (other, _) in enumerate(self.records) if other == kind][which]

    def composed(self):
        log = ledger_make.Log(ledger_make.VAULT, self.log)
        for seq, (kind, fields) in enumerate(self.records):
            log.add(kind, self.start_us + seq * self.step_us, keeper=ledger_make.fragment(**fields))
        return log

    def bundle(self, path, operators=None, **header):
        """operators: a story of the vault's log whose records of operators the bundle has, too."""
        data = ledger_make.bundle(self.composed(), **{"name": "acme" if self.log == TENANT else "vault", **header})
        if operators is not None:
            kinds = ("vault.created", "operator.enrolled", "operator.removed", "quorum.changed", "rekey.done")
            chosen = [seq for seq, (kind, _) in enumerate(operators.records) if kind in kinds]
            lines = data.splitlines()
            data = b"\n".join(lines[:-1] + ledger_make.operator_lines(operators.composed(), chosen) + lines[-1:]) + b"\n"
        path.write_bytes(data)
        return path
