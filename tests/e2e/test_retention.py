"""Old records go when operators allowed it, leave a statement, and what is left verifies."""

import json

import pytest
from harness import NOT_FOUND, UNVERIFIED, USAGE, await_that, verify_bundle
from operators import first

MONTH = "+31d"


@pytest.fixture(scope="module")
def aged():
    """(vault, customer): a log of 300 records, most of which went after a month; exports of before and after."""
    import harness
    vault = harness.Vault.opened()
    customer = vault.customer()
    client = vault.client(customer.gateway)
    while len(vault.records(customer.name)) < 300:
        for _ in range(50):
            assert client("POST", "/v1/leases", {"key": customer.path}).status == 201
    vault.before = vault.export(customer.name)
    first(vault).cli("retention", "set", customer.name, "30", "--yes")
    vault.restart(MONTH)
    vault.unlock()
    await_that("old records are gone", lambda: vault.api("GET", f"/v1/logs/{customer.name}")["first"] == 256)
    yield vault, customer
    vault.close()


def test_the_trail_verifies_from_where_it_begins(aged):
    vault, customer = aged
    done = vault.cli("audit", "verify", customer.name)
    assert "256 older records were dropped" in done.text
    bundle = vault.export(customer.name)
    assert json.loads(bundle.read_text().splitlines()[0])["from"] == 256
    vault.cli("audit", "verify", "--bundle", bundle)
    code, said = verify_bundle(bundle)
    assert code == 0, said


def test_who_exported_in_time_has_the_records_that_the_statement_speaks_of(aged):
    vault, customer = aged
    statement = next(r for r in map(json.loads, vault.export(customer.name).read_text().splitlines())
                     if r.get("type") == "records.dropped")
    assert (statement["first_seq"], statement["last_seq"], statement["days"]) == (0, 255, 30)
    records = [line.encode() for line in vault.before.read_text().splitlines() if line.startswith('{"v":1')][:256]

    def root(lines):
        import hashlib
        if len(lines) == 1:
            return hashlib.sha256(b"\0" + lines[0]).digest()
        half = len(lines) // 2
        return hashlib.sha256(b"\1" + root(lines[:half]) + root(lines[half:])).digest()
    assert root(records).hex() == statement["root"]


def test_who_allowed_it_is_in_the_vaults_own_log(aged):
    vault, customer = aged
    statement = next(r for r in map(json.loads, vault.export(customer.name).read_text().splitlines())
                     if r.get("type") == "records.dropped")
    allowed = [r for _, r in vault.records("vault") if r["type"] == "retention.set"]
    assert [(r["tenant"], r["days"], r["operation"]) for r in allowed] == [
        (customer.name, 30, statement["allowed_by"])]
    own = vault.export("vault")
    assert "retention.set" in vault.cli("audit", "verify", "--bundle", own, "--step-ups").text
    code, said = verify_bundle(own, "--step-ups")
    assert code == 0 and "retention.set" in said


def test_what_was_dropped_is_answered_as_gone(aged):
    vault, customer = aged
    reply = vault.call("GET", f"/v1/logs/{customer.name}/records?from=0&limit=10")
    assert reply.status == 410 and "not kept" in reply.text
    vault.cli("audit", "show", customer.name, "--from", "0", expect=NOT_FOUND)
    assert "30 days" in vault.cli("retention", "show", customer.name).text


def test_a_trail_that_lacks_its_statement_does_not_verify(aged, tmp_path):
    vault, customer = aged
    lines = vault.export(customer.name).read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"type":"records.dropped"' in line)
    forged = tmp_path / "forged.jsonl"
    forged.write_text("".join(lines[:at] + lines[at + 1:]))
    vault.cli("audit", "verify", "--bundle", forged, expect=UNVERIFIED)
    assert verify_bundle(forged)[0] != 0


def test_fewer_days_than_a_month_are_refused(aged):
    vault, customer = aged
    vault.cli("retention", "set", customer.name, "29", "--yes", expect=USAGE)
    first(vault).cli("retention", "set", customer.name, "keep")
    assert "for ever" in vault.cli("retention", "show", customer.name).text
