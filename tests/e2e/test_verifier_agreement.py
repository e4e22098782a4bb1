"""The independent verifier tells good bundles from bad ones, by its exit status and in its words."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
VERIFIER = TESTS / "verify_audit.py"
GOLDEN = TESTS / "golden"

PUBLIC_KEY = base64.b64encode(
    bytes.fromhex(json.loads((GOLDEN / "ledger_v1.json").read_text("utf-8"))["public_key"])
).decode()
OTHER_KEY = base64.b64encode(b"\x01" * 32).decode()


@pytest.fixture
def lines():
    """Header, fifty records, checkpoint."""
    return (GOLDEN / "ledger_bundle.jsonl").read_bytes().splitlines()


@pytest.fixture
def verify(tmp_path):
    def run(lines, *options):
        bundle = tmp_path / "bundle.jsonl"
        bundle.write_bytes(lines if isinstance(lines, bytes) else b"\n".join(lines) + b"\n")
        done = subprocess.run(
            [sys.executable, VERIFIER, bundle, *options], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


def header(lines, **changes):
    return [json.dumps({**json.loads(lines[0]), **changes}, separators=(",", ":")).encode(), *lines[1:]]


def test_the_golden_files_are_what_their_maker_makes():
    done = subprocess.run(
        [sys.executable, GOLDEN / "ledger_make.py", "--check"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_good_bundle_verifies_and_says_whose_key_was_trusted(verify, lines):
    status, out, _ = verify(lines)
    assert status == 0
    assert out.startswith("OK 101112131415161718191a1b1c1d1e1f 50 records, root ")
    assert "taken from the bundle itself" in out and PUBLIC_KEY in out
    status, out, _ = verify(lines, "--public-key", PUBLIC_KEY)
    assert status == 0
    assert "taken from the bundle itself" not in out


def test_a_bundle_signed_by_another_key_is_bad(verify, lines):
    assert verify(lines, "--public-key", OTHER_KEY)[:2] == (1, "BAD record 0: public key is not the one given\n")
    assert verify(header(lines, public_key=OTHER_KEY))[:2] == (1, "BAD record 50: bad signature\n")
    status, out, _ = verify(header(lines, public_key=OTHER_KEY), "--public-key", PUBLIC_KEY)
    assert (status, out) == (1, "BAD record 0: public key is not the one given\n")


def test_every_record_that_is_missing_is_named(verify, lines):
    for at in (0, 1, 24, 48):
        status, out, _ = verify(lines[: at + 1] + lines[at + 2 :])
        assert (status, out) == (1, f"BAD record {at}: wrong sequence\n")
    status, out, _ = verify(lines[:50] + lines[51:])
    assert (status, out) == (1, "BAD record 49: a record is missing\n")
    status, out, _ = verify(lines[:-1])
    assert (status, out) == (1, "BAD record 50: bundle is cut off\n")


def test_changed_repeated_and_exchanged_records_are_named(verify, lines):
    changed = lines[:11] + [lines[11].replace(b"edge-", b"edgf-")] + lines[12:]
    assert verify(changed)[:2] == (1, "BAD record 11: prev does not match\n")
    last = lines[:50] + [lines[50].replace(b"edge-", b"edgf-")] + lines[51:]
    assert verify(last)[:2] == (1, "BAD record 49: root differs\n")
    assert verify(lines[:12] + lines[11:])[:2] == (1, "BAD record 11: wrong sequence\n")
    swapped = lines[:11] + [lines[12], lines[11]] + lines[13:]
    assert verify(swapped)[:2] == (1, "BAD record 10: wrong sequence\n")


def test_a_name_that_occurs_twice_is_bad_wherever_it_is(verify, lines):
    twice = lines[:5] + [lines[5][:-1] + b',"actor":"operator:1"}'] + lines[6:]
    assert verify(twice)[:2] == (1, "BAD record 4: malformed\n")
    assert verify([lines[0][:-1] + b',"size":50}', *lines[1:]])[0] == 2
    assert verify([*lines[:-1], lines[-1][:-1] + b',"checkpoint":""}'])[:2] == (1, "BAD record 50: malformed line\n")


def test_a_header_that_disagrees_is_bad(verify, lines):
    assert verify(header(lines, log="20" * 16))[:2] == (1, "BAD record 0: wrong log\n")
    assert verify(header(lines, vault="20" * 16))[:2] == (1, "BAD record 0: prev does not match\n")
    assert verify(header(lines, size=49, to=49))[:2] == (1, "BAD record 49: more records than the header says\n")
    assert verify(header(lines, size=51))[:2] == (1, "BAD record 50: size differs from checkpoint\n")
    assert verify(header(lines, name="other"))[0] == 0  # a label, for people


def test_what_is_no_bundle_is_unusable(verify, lines):
    whole = b"\n".join(lines) + b"\n"
    unusable = [b"", b"\n", whole[: len(lines[0]) // 2], lines[1:], b"\xff" + whole]
    unusable += [header(lines, strongroom_export=value) for value in (1, 3, "2", True, None, 2.0)]
    unusable += [header(lines, size=value) for value in (-1, 49, "50", True, 2**40)]
    unusable += [header(lines, log="x"), header(lines, vault=7), header(lines, public_key="AA=="), header(lines, more=1)]
    unusable += [header(lines, **{"from": 51}), header(lines, name="Acme Ltd"), header(lines, name="")]
    for lines_or_bytes in unusable:
        status, out, err = verify(lines_or_bytes)
        assert (status, out) == (2, ""), lines_or_bytes
        assert err.startswith("unusable: ")
        assert "Traceback" not in err
    assert verify(lines, "--public-key", "nonsense")[0] == 2
    assert verify(lines, "--mac-key", "00" * 32)[0] == 2


def test_a_record_whose_mac_is_another_is_named(verify, lines, tmp_path):
    key = bytes(range(32))
    domain = b"strongroom/v1/record-mac"
    macs = [hmac.new(key, bytes([len(domain)]) + domain + b"\x00" + line, hashlib.sha256).hexdigest() for line in lines[1:-1]]
    file = tmp_path / "macs"
    file.write_text("\n".join(macs) + "\n", "ascii")
    options = ("--mac-key", key.hex(), "--macs", str(file))
    status, out, _ = verify(lines, *options)
    assert status == 0 and "every MAC matches" in out
    file.write_text("\n".join([*macs[:10], "00" * 32, *macs[11:]]) + "\n", "ascii")
    assert verify(lines, *options)[:2] == (1, "BAD record 10: mac differs\n")
    file.write_text("\n".join(macs) + "\n", "ascii")
    assert verify(lines, "--mac-key", "00" * 32, "--macs", str(file))[:2] == (1, "BAD record 0: mac differs\n")
    file.write_text("\n".join(macs[:-1]) + "\n", "ascii")
    assert verify(lines, *options)[0] == 2
