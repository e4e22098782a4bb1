"""Whatever is changed in an exported trail, both verifiers name the same record for the same reason."""

import collections
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "golden")]
import ledger_make  # noqa: E402
import verify_audit  # noqa: E402
from harness import BIN, VERIFY_AUDIT  # noqa: E402

GOLDEN = TESTS / "golden"
RECORDS = 200
TAMPER = BIN / "tests" / "tamper"
VERIFY = BIN / "strongroom-verify"
KEY = ledger_make.public_key(ledger_make.SEED).hex()


def two_hundred():
    """Records of many types and lengths."""
    log, time_us = ledger_make.Log(ledger_make.VAULT, ledger_make.LOG), ledger_make.START_US
    log.add("tenant.created", time_us, keeper=ledger_make.fragment(tenant_id=ledger_make.LOG.hex()))
    kinds = ["lease.issued", "lease.refused", "lease.released", "key.put", "certificate.issued", "audit.exported"]
    for n in range(1, RECORDS):
        time_us += 1000 * (n % 3)
        fields = {"number": n, "actor": f"gateway:edge-{n % 7}"}
        if n % 4 == 0:
            fields["why"] = 'no grant \u2013 "refused"\\'
        log.add(kinds[n % 6], time_us, ("ok", "denied")[n % 6 == 1], keeper=ledger_make.fragment(**fields))
    return ledger_make.bundle(log)


class Changes:
    """The same changes in the same order as tests/tools/tamper.c makes them, verified here."""

    def __init__(self, data, **options):
        self.lines = data.splitlines(keepends=True)
        self.before, bundle = [], verify_audit.Bundle(**options)
        for line in self.lines:
            self.before.append(bundle.copy())
            bundle.line(line[:-1])
        bundle.end()

    def judge(self, at, first, rest):
        """first: what stands in place of some lines from at on; rest: the number of the line after them."""
        bundle = self.before[at].copy()
        try:
            held = first
            while held or rest < len(self.lines):
                end = held.find(b"\n")
                if end < 0 and rest < len(self.lines):
                    held += self.lines[rest]
                    rest += 1
                    continue
                line, held = (held[:end], held[end + 1 :]) if end >= 0 else (held, b"")
                bundle.line(line)
            bundle.end()
        except verify_audit.Bad as bad:
            return f"{bad.seq} {bad.reason}"
        except verify_audit.Unusable:
            return "unusable"
        return "good"

    def verdicts(self):
        """(what was done, number of the line, verdict)"""
        for at, line in enumerate(self.lines):
            for k in range(len(line)):
                for bit in (1, 0x80):
                    yield "flip", at, self.judge(at, line[:k] + bytes([line[k] ^ bit]) + line[k + 1 :], at + 1)
                yield "cut", at, self.judge(at, line[:k], len(self.lines))
        for at, line in enumerate(self.lines):
            yield "delete", at, self.judge(at, b"", at + 1)
            yield "duplicate", at, self.judge(at, line + line, at + 1)
            last = at + 1 == len(self.lines)
            yield "swap", at, self.judge(at, line if last else self.lines[at + 1] + line, at + 1 if last else at + 2)


def compare(path, changes, *options):
    """Both verdicts of each change, which must be the same."""
    said = subprocess.run([TAMPER, path, *options], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    ours = list(changes.verdicts())
    assert len(said) == len(ours)
    wrong = [(done, at, here, there) for (done, at, here), there in zip(ours, said) if here != there]
    assert wrong[:5] == []
    return ours


def test_every_change_of_two_hundred_records_is_found_where_it_is(tmp_path):
    path = tmp_path / "bundle.jsonl"
    path.write_bytes(two_hundred())
    found = collections.Counter()
    for done, line, verdict in compare(path, Changes(path.read_bytes())):
        record = line - 1  # after the header
        if verdict in ("unusable", "good"):
            # The header's name is a label; nothing else may change, and the end may lack its newline.
            assert line == 0 or (done, line, verdict) in (("swap", RECORDS + 1, "good"), ("cut", RECORDS + 1, "good")), (done, line)
            continue
        place, reason = verdict.split(" ", 1)
        found[reason] += 1
        if line == 0:
            continue
        # What keeps its form is noticed by the next one's prev; a record whose newline alone is cut off is whole.
        places = {"flip": {record, min(record + 1, RECORDS - 1)}, "cut": {record, record + 1}, "delete": {record},
                  "swap": {record}, "duplicate": {min(record + 1, RECORDS)}}[done]  # fmt: skip
        assert int(place) in places, (done, line, verdict)
    assert {"malformed", "wrong log", "wrong sequence", "prev does not match", "time runs backwards", "root differs",
            "a record is missing", "bundle is cut off", "bad signature"} <= set(found)  # fmt: skip


def test_every_change_of_what_stands_around_the_records_is_found(tmp_path):
    path = GOLDEN / "ledger_bundle_rich.jsonl"
    vkey = ledger_make.vkey()
    changes = Changes(path.read_bytes(), witnesses=[verify_audit.parse_vkey(vkey)], wanted=(21, 30))
    good = collections.Counter()
    for done, line, verdict in compare(path, changes, vkey, "21", "30"):
        if verdict == "good":
            good[done, changes.lines[line].split(b":")[0]] += 1
    # The label in the header, and names or operators' records that are left out: nothing says how many there were.
    assert {kind for _, kind in good} <= {b'{"strongroom_export"', b'{"person"', b'{"operator_record"', b'{"checkpoint"',
                                          b'{"left"', b'{"right"', b'{"commitment"', b'{"vault_checkpoint"'}  # fmt: skip
    assert {done for done, kind in good if kind == b'{"person"'} <= {"delete", "duplicate", "swap", "flip"}


def test_every_change_of_a_trail_whose_beginning_was_dropped_is_found():
    path = GOLDEN / "ledger_bundle_dropped.jsonl"
    compare(path, Changes(path.read_bytes()))


def proof_verdict(data, vkey):
    try:
        verify_audit.check_proof(data, bytes.fromhex(KEY), [vkey])
    except verify_audit.Bad as bad:
        return f"{bad.seq} {bad.reason}"
    except verify_audit.Unusable:
        return "unusable"
    return "good"


def test_every_changed_bit_and_every_cut_of_a_proof_is_found():
    path, vkey = GOLDEN / "ledger_proof.txt", ledger_make.vkey()
    data, ours, witness = path.read_bytes(), [], verify_audit.parse_vkey(vkey)
    for k in range(len(data)):
        ours += [proof_verdict(data[:k] + bytes([data[k] ^ 1 << bit]) + data[k + 1 :], witness) for bit in range(8)]
        ours.append(proof_verdict(data[:k], witness))
    said = subprocess.run([TAMPER, path, vkey, KEY], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert [pair for pair in zip(ours, said) if pair[0] != pair[1]][:5] == [] and len(said) == len(ours)
    assert "good" not in ours


def verdict(program, path, *options):
    done = subprocess.run([*program, path, *options], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"record (\d+): (.*)", done.stdout)
    return done.returncode, found.groups() if found and done.returncode == 1 else None


@pytest.mark.parametrize("name", ["ledger_bundle.jsonl", "ledger_bundle_rich.jsonl", "ledger_bundle_dropped.jsonl", "ledger_proof.txt"])
def test_both_programs_say_the_same_of_the_same_file(tmp_path, name):
    data = (GOLDEN / name).read_bytes()
    middle = len(data) // 2
    files = [data, data[:-1], data + b"\n", data[:middle], data[:middle] + b"x" + data[middle + 1 :], data[: data.index(b"\n")], b""]
    wanted = [(), ("--from", "21", "--to", "30"), ("--from", "0", "--to", "50"), ("--witness", ledger_make.vkey())]
    for number, content in enumerate(files):
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        for options in wanted if number == 0 else wanted[1:2]:
            theirs = verdict([sys.executable, VERIFY_AUDIT], path, "--public-key", ledger_make_key(), *options)
            assert verdict([VERIFY], path, "--public-key", KEY, *options) == theirs, (number, options)


def ledger_make_key():
    return ledger_make.base64.b64encode(bytes.fromhex(KEY)).decode()


def test_the_small_verifier_needs_libsodium_nettles_hashes_and_the_c_library_only():
    done = subprocess.run(["ldd", VERIFY], capture_output=True, text=True, timeout=60, check=True)
    needs = {line.split()[0].split("/")[-1].split(".so")[0] for line in done.stdout.splitlines()}
    system = {"linux-vdso", "libc", "ld-linux-x86-64", "ld-linux-aarch64", "libpthread"}
    assert needs <= {"libsodium", "libnettle"} | system, needs


def test_the_small_verifier_says_what_it_found_in_json(tmp_path):
    def said(*words):
        done = subprocess.run([VERIFY, "--json", *words], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, verify_audit.object_of(done.stdout)

    code, good = said(GOLDEN / "ledger_bundle.jsonl")
    assert (code, good["verified"], good["records"], good["key_given"]) == (0, True, 50, False)
    code, good = said(GOLDEN / "ledger_bundle_rich.jsonl", "--from", "21", "--to", "30", "--witness", ledger_make.vkey())
    assert (code, good["round"], good["persons"], good["operator_records"], good["witnesses"]) == (0, 4, 2, 3, 1)
    code, good = said(GOLDEN / "ledger_proof.txt", "--public-key", KEY)
    assert (code, good["seq"], good["size"], good["type"]) == (0, 33, 50, "audit.exported")
    path = tmp_path / "bundle"
    path.write_bytes((GOLDEN / "ledger_bundle.jsonl").read_bytes().replace(b"edge-3", b"edge-4", 1))
    code, bad = said(path)
    assert (code, bad["verified"], bad["bad_seq"], bad["reason"]) == (1, False, 4, "prev does not match")


def test_what_the_small_verifier_cannot_use_is_told_apart(tmp_path):
    for words in ([], [tmp_path / "absent"], [GOLDEN / "ledger_v1.json"], [GOLDEN / "ledger_proof.txt"],
                  [GOLDEN / "ledger_bundle.jsonl", "--public-key", "x"], [GOLDEN / "ledger_bundle.jsonl", "--witness", "a+b+c"],
                  [GOLDEN / "ledger_bundle.jsonl", "--from", "9", "--to", "8"], ["--nonsense"], [tmp_path]):  # fmt: skip
        done = subprocess.run([VERIFY, *words], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr, words
    done = subprocess.run([VERIFY, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "--public-key" in done.stdout
