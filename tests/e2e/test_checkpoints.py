"""What the vault says of its trail by itself, checked here from checkpoints alone, over TLS."""

import base64
import hashlib
import json
import struct

import harness
import pytest
from harness import await_that

PREFIX = b"strongroom/v1/"


def label(purpose, *fields):
    name = PREFIX + purpose
    text = bytes([len(name)]) + name + bytes([len(fields)])
    return text + b"".join(struct.pack(">H", len(f)) + f for f in fields)


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def leaf(line):
    return hashlib.sha256(b"\0" + line).digest()


def read_note(note):
    """(text, size, root) of a checkpoint."""
    text = note.split("\n\n")[0] + "\n"
    _, size, root = text.splitlines()
    return text.encode(), int(size), base64.b64decode(root)


def root_by_path(index, size, hash_, path):
    """RFC 9162, 2.1.3.2."""
    fn, sn = index, size - 1
    for step in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            hash_ = node(step, hash_)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            hash_ = node(hash_, step)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return hash_


def continues(first, second, path):
    """RFC 9162, 2.1.4.2, of (size, root)."""
    (m, old), (n, new) = first, second
    if m == n:
        return old == new and not path
    if m & (m - 1) == 0:
        path = [old, *path]
    fn, sn = m - 1, n - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for step in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(step, fr), node(step, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old and sr == new


def decoded(hashes):
    return [base64.b64decode(h) for h in hashes]


@pytest.fixture(scope="module")
def quick():
    vault = harness.Vault.opened(checkpoint_s=1)
    yield vault
    vault.close()


def commitment(vault, log):
    def newest():
        reply = vault.call("GET", f"/v1/logs/{log}/commitment")
        return reply.json if reply.status == 200 else None

    return await_that("a round has the log", newest)


def test_a_round_binds_each_log_to_a_checkpoint_of_the_tree(quick):
    customer = quick.customer()
    said = commitment(quick, customer.name)
    text, _, _ = read_note(said["checkpoint"])
    blind = bytes.fromhex(said["blind"])
    fields = struct.pack(">Q", said["round"]), hashlib.sha256(text).digest(), blind
    hash_ = leaf(label(b"tree-leaf", *fields))
    assert len(said["siblings"]) == 17
    for level, sibling in enumerate(bytes.fromhex(s) for s in said["siblings"]):
        right = said["index"] >> level & 1
        hash_ = node(sibling, hash_) if right else node(hash_, sibling)
    assert json.loads(said["record"])["root"] == hash_.hex()
    created = quick.records(customer.name)[0][1]
    assert created["index"] == said["index"]
    _, size, root = read_note(said["tree_checkpoint"])
    assert size == said["tree_size"]
    path = decoded(said["tree_proof"])
    assert root_by_path(said["tree_seq"], size, leaf(said["record"].encode()), path) == root


def test_rounds_follow_what_happens_and_the_tree_only_grows(quick):
    customer = quick.customer()
    first = read_note(quick.api("GET", "/v1/logs/tree", who=customer.gateway)["checkpoint"])[1:]
    customer.leased()

    def grown():
        now = read_note(quick.api("GET", "/v1/logs/tree", who=customer.gateway)["checkpoint"])[1:]
        return now if now[0] > first[0] else None

    second = await_that("the next round", grown)
    query = f"?from={first[0]}&to={second[0]}"
    reply = quick.api("GET", "/v1/logs/tree/consistency" + query, who=customer.gateway)
    assert continues(first, second, decoded(reply["proof"]))
    assert not continues((first[0], bytes(32)), second, decoded(reply["proof"]))


def test_every_record_is_shown_to_be_in_the_log(quick):
    customer = quick.customer()
    _, size, root = read_note(quick.api("GET", f"/v1/logs/{customer.name}")["checkpoint"])
    for line, record in quick.records(customer.name)[:size]:
        query = f"?seq={record['seq']}&size={size}"
        proof = quick.api("GET", f"/v1/logs/{customer.name}/inclusion{query}")
        assert base64.b64decode(proof["leaf"]) == leaf(line.encode())
        path = decoded(proof["proof"])
        assert root_by_path(record["seq"], size, leaf(line.encode()), path) == root
