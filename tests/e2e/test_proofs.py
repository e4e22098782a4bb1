"""What a customer takes home: ranges, proofs of single leases, and all that belongs to an export."""

import json
import subprocess

import pytest
from harness import BIN, NOT_FOUND, UNVERIFIED, USAGE, await_that, unique, verify_bundle


@pytest.fixture(scope="module")
def story(vault):
    """(customer, tokens of its leases, the ledger key)"""
    customer = vault.customer()
    tokens = [customer.leased()["lease"] for _ in range(12)]
    return customer, tokens, vault.api("GET", f"/v1/logs/{customer.name}")["public_key"]


def small_verifier(path, *options):
    done = subprocess.run([BIN / "strongroom-verify", path, *options], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def accepted(path, key, *options):
    """Both verifiers accept it for the same reason."""
    for code, said in (verify_bundle(path, "--public-key", key, *options),
                       small_verifier(path, "--public-key", key, *options)):
        assert code == 0, said


def members(bundle):
    """How many lines begin with each member."""
    found = {}
    for line in bundle.read_text().splitlines():
        name = next(iter(json.loads(line)))
        found[name] = found.get(name, 0) + 1
    return found


def test_a_range_is_verified_without_the_rest(vault, story):
    customer, _, key = story
    size = len(vault.records(customer.name))
    for first, end in ((0, 1), (3, 9), (size - 1, size), (0, size)):
        done = vault.cli("--json", "audit", "verify", customer.name, "--from", str(first), "--to", str(end))
        assert json.loads(done.out)["records"] == end - first
        bundle = vault.files / unique("range")
        vault.cli("audit", "export", customer.name, "--out", bundle, "--from", str(first), "--to", str(end))
        assert members(bundle)["v"] == end - first
        accepted(bundle, key, "--from", str(first), "--to", str(end))
    vault.cli("audit", "verify", customer.name, "--from", "5", "--to", str(size + 1000))  # as far as there is
    vault.cli("audit", "verify", customer.name, "--from", "7", "--to", "7", expect=USAGE)
    vault.cli("audit", "verify", customer.name, "--from", str(size + 1000), expect=USAGE)


def test_an_export_has_the_operators_keys_with_proofs(vault, story):
    customer, _, key = story
    bundle = vault.export(customer.name)
    found = members(bundle)
    assert found["operator_record"] >= 1 and found["vault_checkpoint"] == 1
    assert found["checkpoint"] == 1 and found["strongroom_export"] == 1
    accepted(bundle, key)
    vault.cli("audit", "verify", "--bundle", bundle, "--public-key", key)
    code, said = verify_bundle(bundle, "--public-key", key, "--step-ups")  # as the bundle has them, without the vault's log
    assert code == 0, said
    lines = [json.loads(line) for line in bundle.read_text().splitlines() if line.startswith('{"operator_record"')]
    types = [json.loads(line["operator_record"])["type"] for line in lines]
    assert types[:2] == ["vault.created", "operator.enrolled"]
    bundle.write_text(bundle.read_text().replace('operator\\":\\"alice', 'operator\\":\\"alicf'))
    assert verify_bundle(bundle, "--public-key", key)[0] == 1
    assert small_verifier(bundle, "--public-key", key)[0] != 0


def test_an_export_is_bound_to_the_vaults_tree_once_a_round_has_passed(vault, story):
    customer, _, key = story

    def committed():
        bundle = vault.export(customer.name)
        return "commitment" in members(bundle) and bundle

    accepted(await_that("an export has a commitment", committed), key)


def test_one_lease_is_proven_and_nothing_else_is_shown(vault, story):
    customer, tokens, key = story
    for token in (tokens[0], tokens[-1][:32]):
        proof = vault.files / unique("proof")
        vault.cli("audit", "prove", token, "--log", customer.name, "--out", proof)
        assert proof.read_text().startswith("c2sp.org/tlog-proof@v1\n")
        accepted(proof, key)
        assert tokens[0][32:] not in proof.read_text()
        other = proof.read_text().replace("index ", "index 1", 1)
        proof.write_text(other)
        assert small_verifier(proof, "--public-key", key)[0] != 0
    assert vault.cli("audit", "prove", tokens[3]).out.startswith("c2sp.org/tlog-proof@v1\n")
    vault.cli("audit", "prove", "0" * 32, "--log", customer.name, expect=NOT_FOUND)
    vault.cli("audit", "prove", "12", expect=USAGE)


def test_a_tenant_takes_its_own_trail_home_with_its_own_certificate(vault, story):
    customer, tokens, key = story
    who = vault.certify("tenant", customer.name)
    profile = vault.base / unique("tenant")
    vault.cli("profile", "create", "--certificate", who.certificate, "--key", who.key, "--ca", vault.ca, "--url",
              vault.url, profile=profile)
    bundle = vault.files / unique("own")
    vault.cli("audit", "export", customer.name, "--out", bundle, profile=profile)
    assert members(bundle)["operator_record"] >= 1
    accepted(bundle, key)
    vault.cli("audit", "prove", tokens[1], "--log", customer.name, profile=profile)
    vault.cli("audit", "export", "vault", "--out", bundle, profile=profile, expect=NOT_FOUND)


def test_the_vaults_tree_and_its_own_log_are_verified_like_any_other(vault, story):
    await_that("there is a round", lambda: vault.records("tree"))
    for log in ("tree", "vault"):
        vault.cli("audit", "verify", log, expect=None)
        code, said = verify_bundle(vault.export(log))
        assert code == 0, said
