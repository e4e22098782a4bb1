"""`audit show`: filters that the vault applies, tables that people read, and following what comes."""

import json
import signal
import subprocess

import pytest
from harness import BIN, NOT_FOUND, OK, USAGE, await_that, terminal


@pytest.fixture(scope="module")
def story(vault):
    """(customer, the token of its last lease)"""
    customer = vault.customer()
    vault.put_key(customer.name, "spare")
    customer.gateway = vault.add_gateway(f"{customer.name}/*")
    for _ in range(3):
        lease = customer.leased()
    customer.vault.curl("/v1/leases", who=customer.gateway, body={"key": f"{customer.name}/nothing"})
    return customer, lease["lease"]


def shown(vault, customer, *filters):
    """The stored lines that a filter lets through."""
    return [json.loads(line) for line in
            vault.cli("--json", "audit", "show", customer.name, *filters).out.splitlines()]


def test_filters_pick_records_and_keep_their_bytes(vault, story):
    customer, token = story
    stored = [line for line, _ in vault.records(customer.name)]
    out = vault.cli("--json", "audit", "show", customer.name, "--type", "lease.issued").out.splitlines()
    assert len(out) == 3 and all(line in stored for line in out)
    assert len(shown(vault, customer, "--lease", token)) == 1
    assert len(shown(vault, customer, "--lease", token[:32], "--outcome", "ok")) == 1
    assert [r["type"] for r in shown(vault, customer, "--outcome", "denied")] == ["lease.refused"]
    assert len(shown(vault, customer, "--key", "spare")) == 1
    assert {r["actor"] for r in shown(vault, customer, "--gateway", customer.gateway.name, "--type", "lease.")} == {
        f"gateway:{customer.gateway.name}"}
    assert len(shown(vault, customer, "--actor", customer.gateway.name)) == 4
    assert len(shown(vault, customer, "--since", "1h", "--limit", "500")) == len(stored)
    assert shown(vault, customer, "--until", "1h") == []
    middle = json.loads(stored[4])["time"]
    assert [r["seq"] for r in shown(vault, customer, "--since", middle)][0] <= 4
    assert shown(vault, customer, "--since", middle)[-1]["seq"] == len(stored) - 1
    assert [r["seq"] for r in shown(vault, customer, "--from", "2", "--limit", "3")] == [2, 3, 4]
    assert [r["seq"] for r in shown(vault, customer, "--limit", "2")] == [len(stored) - 2, len(stored) - 1]


def test_the_table_has_names_and_no_hashes(vault, story):
    customer, token = story
    table = vault.cli("audit", "show", customer.name).out
    assert f"key={customer.path}" in table and "engagement=" in table
    assert customer.value[-4:] in table, "the hint of the key"
    assert f"lease={token[:32]}" in table
    assert token[32:] not in table
    for word in ("key_id", "engagement_id", "gateway_id", "certificate", "request_id", "prev"):
        assert word not in table
    few = vault.cli("audit", "show", customer.name, "--limit", "2")
    assert len(few.out.splitlines()) == 3 and "These are the last 2" in few.text


def test_a_filter_that_makes_no_sense_is_a_usage_error(vault, story):
    customer, _ = story
    for words in (["--since", "yesterday"], ["--outcome", "good"], ["--lease", "12"], ["--follow", "--until", "1h"],
                  ["--actor", ""]):
        vault.cli("audit", "show", customer.name, *words, expect=USAGE)
    vault.cli("audit", "show", "nowhere", "--since", "1h", expect=NOT_FOUND)
    assert "No record fits" in vault.cli("audit", "show", customer.name, "--actor", "a&b=c d/é").text


@pytest.mark.parametrize("query", ["since=2h", "outcome=good", "lease=12", "before=-1", "type=", "actor=" + "x" * 200])
def test_the_vault_checks_filters_itself(vault, story, query):
    customer, _ = story
    assert vault.call("GET", f"/v1/logs/{customer.name}/records?{query}").status == 400


class Follower:
    """`audit show --follow`, read line by line."""

    def __init__(self, vault, *words):
        self.out = vault.files / "followed"
        self.process = subprocess.Popen(
            [BIN / "strongroom", *words], stdout=open(self.out, "wb"), stderr=subprocess.STDOUT,
            env=vault.environment(), stdin=subprocess.DEVNULL, preexec_fn=terminal.die_with_parent)

    def until(self, what, count=1):
        return await_that(f"{what!r} is shown", lambda: self.out.read_text().count(what) >= count)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        text = self.out.read_text()
        assert text.endswith("\n")
        return code, text


def test_follow_prints_what_comes_and_ends_with_an_interrupt(own):
    customer = own.customer()
    follower = Follower(own, "audit", "show", customer.name, "--follow")
    follower.until("key.put")
    customer.leased()
    follower.until("lease.issued")
    own.lock()
    follower.until("The vault is locked: waiting")
    own.unlock()
    follower.until("The vault is back")
    own.kill("server")
    await_that("the vault answers again", lambda: own.reachable() and own.state == "unlocked")
    customer.leased()
    follower.until("lease.issued", 2)
    code, text = follower.interrupt()
    assert code == OK
    assert text.count("key.put") == 1 and text.count("lease.issued") == 2


def test_follow_filters_too(vault, story):
    customer, _ = story
    follower = Follower(vault, "--json", "audit", "show", customer.name, "--follow", "--outcome", "denied")
    follower.until("lease.refused")
    customer.leased()
    vault.curl("/v1/leases", who=customer.gateway, body={"key": f"{customer.name}/nothing"})
    follower.until("lease.refused", 2)
    code, text = follower.interrupt()
    assert code == OK and "lease.issued" not in text
    assert all(json.loads(line) for line in text.splitlines())
