#!/usr/bin/python3
"""Strongroom's own known-answer vectors, from a second implementation of the format.

    check_vectors.py          recompute everything in this directory and compare
    check_vectors.py --write  write strongroom_v1.json anew

Written from the description of the format in include/crypto/crypto.h, not from the C code, and with other
libraries: a mistake would have to be made twice to go unseen. The .rsp files beside it hold published vectors;
their form is ours, so they are recomputed here as well.
"""

import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).resolve().parent
OWN = HERE / "strongroom_v1.json"


# --- the format -----------------------------------------------------------------------------------


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf_extract(salt, ikm):
    return hmac_sha256(salt, ikm)


def hkdf_expand(prk, info, length):
    blocks, last = b"", b""
    while len(blocks) < length:
        last = hmac_sha256(prk, last + info + bytes([len(blocks) // 32 + 1]))
        blocks += last
    return blocks[:length]


def label(purpose, fields):
    """u8(len d) | d | u8(n) | (u16(len f) | f)*, all integers big-endian."""
    domain = b"strongroom/v1/" + purpose.encode("ascii")
    head = struct.pack(">B", len(domain)) + domain + struct.pack(">B", len(fields))
    return head + b"".join(struct.pack(">H", len(field)) + field for field in fields)


def derive(key, purpose, fields, length):
    return hkdf_expand(key, label(purpose, fields) + struct.pack(">H", length), length)


def mac(key, purpose, fields, data):
    return hmac_sha256(key, label(purpose, fields) + data)


def pad(plain):
    """ISO/IEC 7816-4 to a multiple of 64."""
    padded = plain + b"\x80"
    return padded + bytes(-len(padded) % 64)


def message_keys(kek, header, salt, aad):
    okm = derive(hkdf_extract(salt, kek), "seal", [header, sha256(aad)], 76)
    return okm[:32], okm[32:44], okm[44:]


def seal(kek, epoch, aad, plain, salt):
    header = b"SR" + bytes([1, 1]) + struct.pack(">I", epoch)
    key, nonce, commitment = message_keys(kek, header, salt, aad)
    return header + salt + commitment + AESGCM(key).encrypt(nonce, plain, header + aad)


def unseal(kek, aad, sealed):
    header, salt, commitment = sealed[:8], sealed[8:40], sealed[40:72]
    assert header[:4] == b"SR\x01\x01"
    key, nonce, expected = message_keys(kek, header, salt, aad)
    assert commitment == expected
    return AESGCM(key).decrypt(nonce, sealed[72:], header + aad)


def hedged_salt(key, random, aad, plain):
    return mac(key, "hedge", [random, sha256(aad), sha256(plain)], b"")


# --- our inputs -----------------------------------------------------------------------------------

VAULT = bytes(range(0x00, 0x10))
TENANT = bytes(range(0x10, 0x20))
KEY_ID = bytes(range(0x20, 0x30))
REGION = b"eu-central"


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


LABELS = [
    ("no fields", "genesis", []),
    ("one empty field", "genesis", [b""]),
    ("two empty fields", "genesis", [b"", b""]),
    ("identifier, text and number", "tenant-root", [VAULT, REGION, u32(1)]),
    ("the same bytes in other fields", "tenant-root", [VAULT + REGION, u32(1)]),
    ("numbers of every width", "widths", [u16(1), u32(1), u64(1)]),
    ("a field longer than a byte can count", "long", [bytes(range(256)) + b"\x00\xff"]),
    ("the longest purpose", "p" * 241, []),
    ("two hundred and fifty-five fields", "many", [b"\x5a"] * 255),
]

DERIVATIONS = [
    ("a tenant root", b"\x42" * 32, "tenant-root", [VAULT, REGION, u32(1)], 32),
    ("another length is another key", b"\x42" * 32, "tenant-root", [VAULT, REGION, u32(1)], 33),
    ("another epoch", b"\x42" * 32, "tenant-root", [VAULT, REGION, u32(2)], 32),
    ("one byte", b"\x43" * 32, "short", [], 1),
    ("several blocks", b"\x43" * 32, "long", [TENANT], 100),
    ("as long as HKDF allows", b"\x43" * 32, "longest", [TENANT], 8160),
    ("from a longer key", bytes(range(64)), "long-key", [], 32),
]

MACS = [
    ("of nothing", b"\x47" * 32, "record-mac", [TENANT], b""),
    ("of a line", b"\x47" * 32, "record-mac", [TENANT], b'{"v":1,"log":"vault","seq":0}'),
    ("under another label", b"\x47" * 32, "record-mac", [KEY_ID], b'{"v":1,"log":"vault","seq":0}'),
]

PADS = [b"", b"sk-test-0123456789abcdef", b"k" * 63, b"k" * 64, b"ends like padding\x80\x00\x00"]

DATA_KEY_AAD = label("aad.data-key", [VAULT, REGION, TENANT, KEY_ID, u32(7), u32(1)])
PROVIDER_KEY_AAD = label("aad.provider-key", [VAULT, REGION, TENANT, KEY_ID, u32(7), u16(1)])

SEALS = [
    ("an empty value in no context", b"\x40" * 32, 0, b"", b"", b"\x44" * 32),
    ("a data key", b"\x41" * 32, 1, DATA_KEY_AAD, b"\x44" * 32, b"\x45" * 32),
    ("a padded provider key", b"\x44" * 32, 7, PROVIDER_KEY_AAD, pad(PADS[1]), b"\x46" * 32),
    ("the highest epoch", b"\x44" * 32, 0xFFFFFFFF, PROVIDER_KEY_AAD, pad(PADS[1]), b"\x46" * 32),
    ("not a multiple of a block, longest context", bytes(range(32)), 258, bytes(i % 251 for i in range(1024)),
     bytes(i % 241 for i in range(1000)), bytes(range(32, 64))),
]

HEDGES = [
    ("one value", b"\x49" * 32, b"\x4a" * 32, DATA_KEY_AAD, b"\x44" * 32),
    ("another value, same random", b"\x49" * 32, b"\x4a" * 32, DATA_KEY_AAD, b"\x45" * 32),
]


# What the keeper signs of a sealed delivery: vault, lease, gateway, certificate, nonce, key, version,
# expires, sealed value; with this seed.
DELIVERIES = [
    ("a small one", b"\x61" * 32, VAULT, b"\x62" * 16, b"\x63" * 16, b"\x64" * 32, b"\x65" * 32, KEY_ID, 1,
     1795240800000000, bytes(range(80))),
    ("the largest numbers, nothing sealed", bytes(range(32)), TENANT, b"\xff" * 16, bytes(16), bytes(32),
     b"\xff" * 32, KEY_ID, 2**32 - 1, 2**64 - 1, b""),
]


def delivery_signed(vault, lease, gateway, certificate, nonce, key, version, expires, sealed):
    return label("delivery", [vault, lease, gateway, certificate, nonce, key, u32(version), u64(expires),
                              sha256(sealed)])


def delivery_row(name, seed, *members):
    names = ("vault", "lease", "gateway", "certificate", "nonce", "key", "version", "expires", "sealed")
    shown = {key: value.hex() for key, value in zip(names, members) if isinstance(value, bytes)}
    signed = delivery_signed(*members)
    return {"name": name, "seed": seed.hex(), **shown, "version": u32(members[6]).hex(),
            "expires": u64(members[7]).hex(), "signed": signed.hex(),
            "signature": Ed25519PrivateKey.from_private_bytes(seed).sign(signed).hex()}


def own_vectors():
    def texts(fields):
        return [field.hex() for field in fields]

    return {
        "about": "Strongroom's own known answers, format version 1. Made and checked by check_vectors.py.",
        "label": [
            {"name": name, "purpose": purpose, "fields": texts(fields), "bytes": label(purpose, fields).hex()}
            for name, purpose, fields in LABELS
        ],
        "derive": [
            {"name": name, "key": key.hex(), "purpose": purpose, "fields": texts(fields), "length": length,
             "output": derive(key, purpose, fields, length).hex()}
            for name, key, purpose, fields, length in DERIVATIONS
        ],
        "mac": [
            {"name": name, "key": key.hex(), "purpose": purpose, "fields": texts(fields), "in": data.hex(),
             "mac": mac(key, purpose, fields, data).hex()}
            for name, key, purpose, fields, data in MACS
        ],
        "pad": [{"plain": plain.hex(), "padded": pad(plain).hex()} for plain in PADS],
        "seal": [
            {"name": name, "kek": kek.hex(), "epoch": epoch, "aad": aad.hex(), "plain": plain.hex(),
             "salt": salt.hex(), "sealed": seal(kek, epoch, aad, plain, salt).hex()}
            for name, kek, epoch, aad, plain, salt in SEALS
        ],
        "hedge": [
            {"name": name, "key": key.hex(), "random": random.hex(), "aad": aad.hex(), "plain": plain.hex(),
             "salt": hedged_salt(key, random, aad, plain).hex()}
            for name, key, random, aad, plain in HEDGES
        ],
        "delivery": [delivery_row(*row) for row in DELIVERIES],
    }


def check_own():
    want = own_vectors()
    have = json.loads(OWN.read_text(encoding="ascii"))
    if have != want:
        for group in want:
            if have.get(group) != want[group]:
                raise AssertionError(f"{OWN.name}: '{group}' is not what the format gives")
        raise AssertionError(f"{OWN.name}: holds something unknown")
    for row in have["seal"]:
        kek, aad, sealed = (bytes.fromhex(row[name]) for name in ("kek", "aad", "sealed"))
        assert unseal(kek, aad, sealed).hex() == row["plain"], row["name"]
        assert len(sealed) == len(row["plain"]) // 2 + 88, row["name"]
    labels = [row["bytes"] for row in have["label"]]
    assert len(set(labels)) == len(labels), "two labels share their bytes"
    return sum(len(rows) for rows in have.values() if isinstance(rows, list))


# --- published vectors ----------------------------------------------------------------------------


def blocks(name):
    """Blocks of 'Name = value' lines, parted by empty lines; a lone word is a mark."""
    for block in (HERE / name).read_text(encoding="ascii").split("\n\n"):
        rows = [row for row in block.splitlines() if row and not row.startswith("#")]
        if rows:
            yield {key.strip(): value.strip() for key, _, value in (row.partition("=") for row in rows)}


def raw(block, *names):
    values = [bytes.fromhex(block[name]) for name in names]
    return values if len(values) > 1 else values[0]


def check_hkdf(block):
    ikm, salt, info, prk, okm = raw(block, "IKM", "Salt", "Info", "PRK", "OKM")
    return hkdf_extract(salt, ikm) == prk and hkdf_expand(prk, info, len(okm)) == okm


def check_hmac(block):
    key, data, expected = raw(block, "Key", "Data", "MAC")
    return hmac_sha256(key, data)[:len(expected)] == expected


def check_sha256(block):
    message, digest = raw(block, "Msg", "MD")
    return sha256(message * int(block.get("Repeat", "1"))) == digest


def check_gcm_encrypt(block):
    key, iv, plain, aad, cipher, tag = raw(block, "Key", "IV", "PT", "AAD", "CT", "Tag")
    return AESGCM(key).encrypt(iv, plain, aad) == cipher + tag


def check_gcm_decrypt(block):
    key, iv, cipher, aad, tag = raw(block, "Key", "IV", "CT", "AAD", "Tag")
    try:
        plain = AESGCM(key).decrypt(iv, cipher + tag, aad)
    except InvalidTag:
        return "FAIL" in block
    return "FAIL" not in block and plain == raw(block, "PT")


def check_ed25519(block):
    seed, public, message, signature = raw(block, "Seed", "Public", "Msg", "Signature")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return (key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) == public
            and key.sign(message) == signature)


def check_x25519(block):
    scalar, point, result = raw(block, "Scalar", "Point", "Result")
    for _ in range(int(block.get("Repeat", "1"))):
        product = X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(point))
        scalar, point = product, scalar
    return scalar == result


def wycheproof_gcm(block):
    if block["Result"] == "valid":
        return check_gcm_encrypt(block)
    return check_gcm_decrypt(block | {"FAIL": ""})


def wycheproof_hkdf(block):
    size = int(block["Size"])
    if block["Result"] == "invalid":
        return size > 255 * 32
    ikm, salt, info, okm = raw(block, "IKM", "Salt", "Info", "OKM")
    return hkdf_expand(hkdf_extract(salt, ikm), info, size) == okm


def wycheproof_hmac(block):
    return check_hmac(block) == (block["Result"] == "valid")


def wycheproof_x25519(block):
    private, public, shared = raw(block, "Private", "Public", "Shared")
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)) == shared
    except ValueError:
        return shared == bytes(32) and block["Result"] == "acceptable"


def wycheproof_ed25519(block):
    public, message, signature = raw(block, "Public", "Msg", "Signature")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return block["Result"] == "invalid"
    return block["Result"] == "valid"


PUBLISHED = {
    "sha256_messages.rsp": check_sha256,
    "rfc4231_hmac_sha256.rsp": check_hmac,
    "rfc5869_hkdf_sha256.rsp": check_hkdf,
    "cavp_gcm256_encrypt.rsp": check_gcm_encrypt,
    "cavp_gcm256_decrypt.rsp": check_gcm_decrypt,
    "rfc8032_ed25519.rsp": check_ed25519,
    "rfc7748_x25519.rsp": check_x25519,
    "wycheproof_aes_gcm.rsp": wycheproof_gcm,
    "wycheproof_hkdf_sha256.rsp": wycheproof_hkdf,
    "wycheproof_hmac_sha256.rsp": wycheproof_hmac,
    "wycheproof_x25519.rsp": wycheproof_x25519,
    "wycheproof_ed25519.rsp": wycheproof_ed25519,
}


def check_published():
    unknown = {path.name for path in HERE.glob("*.rsp")} - set(PUBLISHED)
    assert not unknown, f"nobody checks {sorted(unknown)}"
    count = 0
    for name, check in PUBLISHED.items():
        for block in blocks(name):
            assert check(block), f"{name}: {block['Case']}"
            count += 1
    return count


def main(arguments):
    if arguments == ["--write"]:
        OWN.write_text(json.dumps(own_vectors(), indent=1) + "\n", encoding="ascii")
    elif arguments:
        sys.exit(__doc__)
    print(f"{check_own()} own and {check_published()} published vectors agree")


if __name__ == "__main__":
    main(sys.argv[1:])
