"""Reads a keyring file without any code of the product, and with a recovery code opens everything in it.

What an operator with the card could do with paper and this page; the tests use it to know what must
not be found in memory or in files.
"""

import base64
import struct
import sys
from pathlib import Path

from nacl.public import PrivateKey, SealedBox

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "golden"))

from check_vectors import derive, hkdf_extract, label, mac, u16, u32, u64, unseal  # noqa: E402

SUPER_SIZE, SLOT_SIZE, SLOT_PLACES, CELL_SIZE = 4096, 2048, 66, 256
SLOTS_AT = 2 * SUPER_SIZE
CELLS_AT = SLOTS_AT + SLOT_PLACES * SLOT_SIZE
RECOVERY = 2
SEED, DATA_KEY, ENGAGEMENT, SYSTEM, REKEY, TOMBSTONE = 1, 2, 3, 4, 5, 0xFE
SYSTEM_NAMES = {1: "database key", 2: "ledger seed", 3: "intake private key", 4: "CA private key", 5: "audit root",
                6: "lease MAC key", 7: "head MAC key", 8: "next database key", 9: "delivery seed"}


class Fields:
    """Big-endian fields one after the other."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def raw(self, size):
        self._at += size
        return self._data[self._at - size:self._at]

    def number(self, size):
        return int.from_bytes(self.raw(size), "big")


class Super:
    def __init__(self, data):
        f = Fields(data)
        assert f.raw(8) == b"SRKEYRNG" and f.number(2) == 1
        self.generation = f.number(8)
        self.vault, self.region, self.epoch = f.raw(16), f.raw(16).rstrip(b"\0"), f.number(4)
        self.k, self.n, self.root_check = f.number(1), f.number(1), f.raw(32)


class Slot:
    def __init__(self, data):
        f = Fields(data)
        self.live = f.number(1) == 1
        form, _ = f.number(1), f.number(8)
        assert not self.live or form == 2
        self.id, self.kind, self.verified = f.raw(16), f.number(1), f.number(1)
        self.x, self.used = f.number(1), f.number(1)
        self.generation, self.epoch = f.number(4), f.number(4)
        self.label, self.aaguid = f.raw(64).rstrip(b"\0"), f.raw(16)
        length = f.number(2)
        self.credential, self.cose = f.raw(512)[:length], f.raw(64)
        self.salt, self.salt_next, self.public = f.raw(32), f.raw(32), f.raw(32)
        self.sealed_private, self.sealed_share, self.created = f.raw(120), f.raw(33 + 48), f.number(8)

    def root(self, vault, code):
        """The root key, from the 32 bytes that open this slot."""
        key = derive(hkdf_extract(self.salt, code), "slot-key", [vault, self.id, u32(self.generation)], 32)
        context = label("aad.slot", [
            vault, self.id, u16(self.kind), u16(self.verified), u32(self.generation), u64(self.created), self.label,
            self.credential, self.cose, self.aaguid, self.salt, self.salt_next, self.public])
        share = SealedBox(PrivateKey(unseal(key, context, self.sealed_private))).decrypt(self.sealed_share)
        return share[1:]


class Cell:
    def __init__(self, data):
        f = Fields(data)
        self.type, self.was, self.reason = f.number(1), f.number(1), f.number(1)
        f.raw(1)
        self.epoch, self.id, self.parent, self.engagement = f.number(4), f.raw(16), f.raw(16), f.raw(16)
        self.version = f.number(4)
        f.raw(4)
        self.created, self.due = f.number(8), f.number(8)
        f.raw(8)
        self.sealed = f.raw(120)


class Keyring:
    def __init__(self, path):
        self.data = data = Path(path).read_bytes()
        self.info = max((Super(data[at:at + SUPER_SIZE]) for at in (0, SUPER_SIZE) if data[at:at + 8] == b"SRKEYRNG"),
                        key=lambda s: s.generation)
        self.slots = [slot for slot in (Slot(data[at:at + SLOT_SIZE]) for at in range(SLOTS_AT, CELLS_AT, SLOT_SIZE))
                      if slot.live]
        self.cells = [Cell(data[at:at + CELL_SIZE]) for at in range(CELLS_AT, len(data), CELL_SIZE)]

    def of(self, kind):
        return [cell for cell in self.cells if cell.type == kind]

    def open(self, code):
        """{name: key} of everything, from the code of the recovery card."""
        info = self.info
        slot = next(s for s in self.slots if s.kind == RECOVERY)
        root = slot.root(info.vault, code)
        assert derive(root, "root-check", [info.vault, u32(info.epoch)], 32) == info.root_check
        keys = {"root key": root}
        for purpose, regional in [("tenant-root", True), ("seed-wrap", True), ("system-wrap", False),
                                  ("keyring-mac", False)]:
            keys[purpose] = derive(
                root, purpose, [info.vault] + [info.region] * regional + [u32(info.epoch)], 32)
        for cell in self.of(SYSTEM):
            context = label("aad.system", [info.vault, u16(cell.id[15]), u32(info.epoch)])
            keys[SYSTEM_NAMES[cell.id[15]]] = unseal(keys["system-wrap"], context, cell.sealed)
        return keys

    def superblock_is_authentic(self, key):
        """The MAC of the newer superblock under the keyring's MAC key."""
        copies = [self.data[at:at + SUPER_SIZE] for at in (0, SUPER_SIZE)]
        newest = next(c for c in copies if struct.unpack(">Q", c[10:18])[0] == self.info.generation)
        covered, expected = newest[:-64], newest[-64:-32]
        return mac(key, "keyring-super", [self.info.vault], covered) == expected


def card_code(text):
    """The 32 bytes of a recovery code as it is printed."""
    letters = text.replace(" ", "")
    assert len(letters) == 56
    return base64.b32decode(letters[:52] + "====")


def keyring_of(vault):
    """Today's keyring of a vault of the harness."""
    return Keyring(next(path for path in vault.data.rglob("keyring") if path.is_file()))
