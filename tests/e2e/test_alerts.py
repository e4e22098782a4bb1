"""Alerts in the trail of the shipped programs, and refusals that are counted to the last one."""

import collections
import http.client
import threading
import time

import harness
import pytest
from harness import await_that

DENIED = 403


@pytest.fixture(scope="module")
def watched():
    vault = harness.Vault.opened(**harness.ALERTS)
    yield vault
    vault.close()


def alert(vault, log, rule, **wanted):
    return vault.await_record(log, type="alert.raised", rule=rule, **wanted)


def test_the_first_lease_of_a_key_by_a_gateway_raises_one_alert(watched):
    customer = watched.customer()
    for _ in range(3):
        customer.leased()
    raised = alert(watched, customer.name, "first-use")
    assert raised["key"] == customer.path and raised["gateway"] == customer.gateway.name
    assert raised["actor"] == "system"
    lines = watched.records(customer.name)
    assert lines[raised["record"]][1]["type"] == "lease.issued"
    other = watched.add_gateway(f"{customer.name}/*")
    customer.lease(other)
    alert(watched, customer.name, "first-use", gateway=other.name)
    assert watched.types(customer.name).count("alert.raised") == 2
    watched.cli("audit", "verify", customer.name)


def test_a_burst_of_refusals_raises_an_alert_that_names_the_actor(watched):
    customer, stranger = watched.customer(), watched.add_gateway()
    for _ in range(9):
        assert customer.lease(stranger).status == DENIED
    assert "alert.raised" not in watched.types(customer.name)
    assert customer.lease(stranger).status == DENIED
    raised = alert(watched, customer.name, "denied-burst", about=f"gateway:{stranger.name}")
    assert (raised["count"], raised["threshold"], raised["severity"]) == (10, 10, "warning")


def test_a_version_that_is_still_leased_when_its_grace_is_over_raises_an_alert(watched):
    customer = watched.customer()
    customer.leased()
    watched.rotate_key(customer.name, grace_s=0)
    raised = alert(watched, customer.name, "use-after-rotation")
    assert (raised["key"], raised["old_version"]) == (customer.path, 1)
    assert raised["gateway"] == customer.gateway.name
    assert customer.leased()["version"] == 2
    assert watched.api("GET", "/v1/status")["alerts"] >= 1


def test_alerts_that_are_switched_off_are_not_raised(vault):
    customer = vault.customer()
    customer.leased()
    for _ in range(30):
        customer.lease(key=f"{customer.name}/nothing")
    vault.rotate_key(customer.name, grace_s=0)
    time.sleep(1.5)  # longer than an alert takes
    assert "alert.raised" not in vault.types(customer.name)


# --- exact counts ----------------------------------------------------------------------------------


class Knocker(threading.Thread):
    """A gateway that asks for what it may not have, `times` times or until nobody answers."""

    def __init__(self, vault, gateway, times):
        super().__init__(daemon=True)
        self.client, self.gateway, self.times = vault.client(gateway), gateway, times
        self.sent = self.denied = 0
        self.start()

    def run(self):
        try:
            while self.sent < self.times:
                self.sent += 1
                if self.client("POST", "/v1/leases", {"key": "nobody/nothing"}).status != DENIED:
                    break
                self.denied += 1
        except (OSError, http.client.HTTPException):
            pass


def refusals(vault):
    """{actor: refusals in the vault's log, each by itself or counted}"""
    found = collections.Counter()
    for _, record in vault.records("vault"):
        if record["type"] == "lease.refused":
            found[record["actor"]] += 1
        elif record["type"] == "requests.refused":
            found[record["actor"]] += record["count"]
    return found


def test_five_thousand_refusals_of_several_certificates_are_counted_to_the_last(new_vault):
    vault = new_vault(**harness.ALERTS)
    gateways = [vault.add_gateway() for _ in range(5)]
    knockers = [Knocker(vault, gateway, 500) for gateway in gateways for _ in range(2)]
    for knocker in knockers:
        knocker.join()
    assert [knocker.denied for knocker in knockers] == [500] * 10
    vault.lock()
    vault.unlock()
    assert refusals(vault) == {f"gateway:{gateway.name}": 1000 for gateway in gateways}
    records = [record for _, record in vault.records("vault")]
    bursts = [record["about"] for record in records if record["type"] == "alert.raised"]
    assert sorted(bursts) == sorted(f"gateway:{gateway.name}" for gateway in gateways)
    assert len(records) < 500, "a flood fills no trail"
    vault.cli("audit", "verify", "vault")


def test_a_flood_that_a_stop_in_order_cuts_off_is_counted_to_the_last(own):
    gateways = [own.add_gateway() for _ in range(3)]
    knockers = [Knocker(own, gateway, 1_000_000) for gateway in gateways]
    await_that("the flood is on", lambda: all(knocker.denied > 200 for knocker in knockers))
    assert own.stop(), "it stops in order amid the flood"
    for knocker in knockers:
        knocker.join()
    own.start()
    own.unlock()
    counted = refusals(own)
    for knocker in knockers:
        # The last one may have been refused without that the answer came through.
        assert knocker.denied <= counted[f"gateway:{knocker.gateway.name}"] <= knocker.sent
    own.cli("audit", "verify", "vault")
