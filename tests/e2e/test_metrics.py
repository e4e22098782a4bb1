"""GET /metrics over both listeners, as Prometheus reads it."""

import re
import subprocess
from pathlib import Path

import pytest
from harness import Identity, Vault, await_that, make_request

SAMPLE = re.compile(r'^([a-z_]+)(\{[^}]*\})? ([0-9.e+]+|\+Inf|NaN)$')


def scrape(vault, who):
    reply = vault.call("GET", "/metrics", who=who)
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return reply.text


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            assert (name, labels) not in found, f"twice: {line}"
            found[name + (labels or "")] = float(value)
    return found


def rss(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def limited_auditor(vault, tenant):
    key, csr = make_request(vault.files, "una")
    made = vault.api("POST", "/v1/certificates",
                     {"role": "auditor", "name": "una", "csr": csr.read_text(), "tenants": [tenant]})
    (vault.files / "una.pem").write_text(made["certificate"])
    return Identity("una", key, vault.files / "una.pem")


def promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def own():
    vault = Vault.opened()
    yield vault
    vault.close()


@pytest.mark.sanitize
def test_promtool_finds_nothing_to_complain_about(own):
    customer = own.customer()
    customer.leased()
    customer.lease(ttl_s=-1)
    text = scrape(own, own.certify("auditor", "prometheus"))
    assert promtool(text) == (0, ""), text
    found = samples(text)
    assert found["strongroom_lease_issued_total"] == 1
    assert found['strongroom_lease_refused_total{operation="issue",reason="bad-input"}'] == 1
    assert found["strongroom_connections"] >= 1
    assert found["strongroom_connections_limit"] == 1024
    for process, name in (("server", "process"), ("keeper", "strongroom_keeper")):
        told = found[f"{name}_resident_memory_bytes"]
        assert 0.5 < told / rss(own.pid(process)) < 2, process


def test_an_auditor_of_some_tenants_a_tenant_and_a_gateway_may_not_read_it(own):
    customer = own.customer()
    for who in (limited_auditor(own, customer.name), own.certify("tenant", customer.name), customer.gateway):
        assert own.call("GET", "/metrics", who=who).status == 403


def test_the_gauge_of_connections_follows_them(own):
    auditor = own.certify("auditor", "counter")
    scrape(own, auditor)

    def open_ones():
        return samples(scrape(own, auditor))["strongroom_connections"]

    before = open_ones()
    clients = [own.client(auditor) for _ in range(5)]
    for client in clients:
        assert client("GET", "/v1/status").status == 200
    assert open_ones() == before + 5
    for client in clients:
        client.close()
    await_that("the gauge goes back", lambda: open_ones() == before)


def test_a_locked_vault_still_shows_its_state_to_prometheus_and_passes_promtool(own):
    auditor = own.certify("auditor", "watcher")
    own.customer()
    own.lock()
    text = scrape(own, auditor)
    assert promtool(text) == (0, "")
    found = samples(text)
    assert found['strongroom_state{state="locked"}'] == 1
    assert not [name for name in found if name.startswith("strongroom_lease")]
    assert samples(own.local("GET", "/metrics").text)['strongroom_state{state="locked"}'] == 1
    own.unlock()
    assert samples(scrape(own, auditor))['strongroom_state{state="unlocked"}'] == 1


def test_a_scrape_leaves_no_record(own):
    auditor = own.certify("auditor", "quiet")
    before = len(own.records("vault"))
    for _ in range(5):
        scrape(own, auditor)
    assert len(own.records("vault")) == before


def test_a_vault_that_is_only_scraped_locks_itself_when_idle(new_vault):
    vault = new_vault(idle_lock_s=4)  # time enough for a certificate
    auditor = vault.certify("auditor", "prometheus")
    await_that("it locks itself",
               lambda: samples(scrape(vault, auditor))['strongroom_state{state="locked"}'] == 1)
