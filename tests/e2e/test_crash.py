"""kill -9 during load: every answered lease is in the trail, which is gapless and verifies."""

import http.client
import threading

import pytest
from harness import await_that, verify_bundle
from trail import Load

ANSWERS = 150  # to see before the blow falls


def more_answers(load, count):
    target = load.answered + count
    await_that(f"{count} more leases are answered", lambda: load.answered >= target)


def everything_is_recorded(vault, load):
    for customer in load.customers:
        records = [record for _, record in vault.records(customer.name)]
        assert [record["seq"] for record in records] == list(range(len(records)))
        recorded = [record["lease_id"] for record in records if record["type"] == "lease.issued"]
        assert len(set(recorded)) == len(recorded), "a lease is recorded twice"
        missing = set(load.given[customer.name]) - set(recorded)
        assert not missing, f"{len(missing)} answered leases are not in the trail"
    for log in ["vault", *load.given]:
        vault.cli("audit", "verify", log)
        code, said = verify_bundle(vault.export(log))
        assert code == 0, said
        size = len(vault.records(log))
        for start in range(0, size, 500):
            end = min(start + 500, size)
            assert vault.api("POST", f"/v1/logs/{log}/check", {"from": start, "to": end})["bad"] is None


def test_a_killed_server_loses_no_answered_lease(own):
    load = Load(own, [own.customer() for _ in range(3)])
    with load:
        for _ in range(4):
            more_answers(load, ANSWERS)
            own.kill("server")
            await_that("the server is back", lambda: own.reachable() and own.state == "unlocked")
        more_answers(load, ANSWERS)
    everything_is_recorded(own, load)
    assert own.types("vault").count("server.started") >= 4


@pytest.mark.parametrize("victim", ["keeper", "supervisor"])
def test_a_killed_keeper_or_supervisor_loses_no_answered_lease(own, victim):
    load = Load(own, [own.customer() for _ in range(3)])
    with load:
        for _ in range(2):
            more_answers(load, ANSWERS)
            own.kill(victim)
            own.come_back()
            assert own.state == "locked"
            own.unlock()
        more_answers(load, ANSWERS)
    everything_is_recorded(own, load)


def test_changes_that_were_answered_survive_a_killed_server(own):
    """Not only leases: keys, rotations and revocations are all there or were never answered."""
    customer = own.customer()
    stop, done = threading.Event(), {"put": [], "revoked": []}

    def work():
        client, number = own.client(own.operator), 0
        while not stop.is_set():
            number += 1
            name = f"key-{number}"
            try:
                if client("POST", f"/v1/tenants/{customer.name}/keys/{name}",
                          {"provider": "generic", "sealed_key": sealed}).status == 201:
                    done["put"].append(name)
                if number % 2 and client("POST", f"/v1/tenants/{customer.name}/keys/{name}/revoke", {}).status == 200:
                    done["revoked"].append(name)
            except (OSError, http.client.HTTPException):
                stop.wait(0.02)
        client.close()

    sealed = own.seal("sk-test-survivor")
    gateway = own.add_gateway(f"{customer.name}/*")
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(3):
            seen = len(done["put"])
            await_that("keys arrive", lambda: len(done["put"]) >= seen + 10)
            own.kill("server")
            await_that("the server is back", lambda: own.reachable() and own.state == "unlocked")
    finally:
        stop.set()
        worker.join()
    for name in done["put"]:
        reply = own.call("POST", "/v1/leases", {"key": f"{customer.name}/{name}"}, gateway)
        if name in done["revoked"]:
            assert reply.status in (403, 404, 409), f"{name}: {reply}"
        elif reply.status != 201:
            # The only excuse: its revocation was carried out, and the crash ate the answer.
            key = own.api("GET", f"/v1/tenants/{customer.name}/keys/{name}")
            assert key["state"] == "revoked", f"{name}: {reply}"
    own.cli("audit", "verify", customer.name)


def test_a_torn_database_log_is_cut_at_the_last_commit(own):
    """Power fails while SQLite writes: what is behind the last commit is ignored."""
    customer = own.customer()
    leases = [customer.leased()["lease"][:32] for _ in range(3)]
    own.kill("supervisor")
    wal = next((path for path in own.data.rglob("*-wal")), None)
    if wal is not None:
        with open(wal, "ab") as file:
            file.write(b"\x5a" * 5000)
    own.start()
    own.unlock()
    recorded = [record.get("lease_id") for _, record in own.records(customer.name)]
    assert set(leases) <= set(recorded)
    own.cli("audit", "verify", customer.name)
    assert customer.lease().status == 201
